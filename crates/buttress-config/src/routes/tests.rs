use super::*;

fn rule(path: &str) -> Match {
    Match {
        path: Some(path.to_owned()),
        ..Match::default()
    }
}

fn found(rules: &[Match], request: http::request::Builder) -> Option<usize> {
    Routes::new(rules).unwrap().find(&request.body(()).unwrap())
}

#[test]
fn a_fixed_segment_comes_before_a_parameter_before_a_wildcard_before_no_path() {
    let rules = [
        Match::default(),
        rule("/users/{*rest}"),
        rule("/users/{id}"),
        rule("/users/me"),
    ];
    for (path, expected) in [
        ("/users/me", 3),
        ("/users/7", 2),
        ("/users/7/posts", 1),
        ("/users/", 0),
        ("/users", 0),
        ("/", 0),
    ] {
        assert_eq!(found(&rules, Request::get(path)), Some(expected), "{path}");
    }
}

#[test]
fn a_rule_whose_conditions_do_not_hold_is_out_of_the_way() {
    let rules = [
        Match {
            methods: vec![Method::GET],
            ..rule("/users/me")
        },
        rule("/users/{id}"),
    ];
    assert_eq!(found(&rules, Request::get("/users/me")), Some(0));
    assert_eq!(found(&rules, Request::post("/users/me")), Some(1));
}

#[test]
fn more_conditions_come_first_and_then_the_order_in_the_file() {
    let rules = [
        rule("/"),
        Match {
            host: Some("*.example.com".to_owned()),
            ..rule("/")
        },
        Match {
            host: Some("API.example.com".to_owned()),
            ..rule("/")
        },
        Match {
            methods: vec![Method::GET],
            headers: vec![(HeaderName::from_static("x-canary"), None)],
            ..rule("/")
        },
        rule("/"),
    ];
    let get = || Request::get("/");
    assert_eq!(found(&rules, get()), Some(0));
    assert_eq!(
        found(&rules, get().header("host", "api.example.COM")),
        Some(2)
    );
    assert_eq!(
        found(&rules, get().header("host", "api.example.com:80")),
        Some(2)
    );
    assert_eq!(
        found(&rules, get().header("host", "b.example.com")),
        Some(1)
    );
    assert_eq!(found(&rules, get().header("host", ".example.com")), Some(0));
    let canary = get()
        .header("host", "api.example.com")
        .header("x-canary", "1");
    assert_eq!(found(&rules, canary), Some(3));
    let never = Routes::new(&rules).unwrap().never_apply();
    assert!(matches!(&never[..], [Hidden { rule: 4, by }] if by == &[0]));
}

#[test]
fn a_header_with_a_value_must_be_there_once() {
    let name = HeaderName::from_static("x-tenant");
    let rules = [Match {
        headers: vec![(name, Some(HeaderValue::from_static("one")))],
        ..Match::default()
    }];
    let get = || Request::get("/").header("x-tenant", "one");
    assert_eq!(found(&rules, get()), Some(0));
    assert_eq!(found(&rules, get().header("x-tenant", "one")), None);
    assert_eq!(
        found(&rules, Request::get("/").header("x-tenant", "two")),
        None
    );
}

#[test]
fn paths_that_cannot_be_read_say_why() {
    for (path, error) in [
        ("users", TemplateError::NoSlash),
        ("/{id}.json", TemplateError::Brace),
        ("/a{id}", TemplateError::Brace),
        ("/{}", TemplateError::NoName),
        ("/{*}", TemplateError::NoName),
        ("/{*rest}/more", TemplateError::NotLast),
    ] {
        let error_of = Routes::new([&rule("/"), &rule(path)]).unwrap_err();
        assert_eq!(error_of, (1, error), "{path}");
    }
    assert_eq!(found(&[rule("/{{id}}")], Request::get("/%7Bid%7D")), None);
    assert!(Template::parse("/{{id}}").unwrap().fits("/{id}"));
}

#[test]
fn each_rule_says_why_it_does_not_apply() {
    let rules = [
        rule("/users/{id}"),
        Match {
            methods: vec![Method::POST],
            ..rule("/users/me")
        },
        rule("/users/me"),
        rule("/other"),
    ];
    let request = Request::get("/users/me").body(()).unwrap();
    let why_not: Vec<_> = Routes::new(&rules)
        .unwrap()
        .explain(&request)
        .into_iter()
        .map(|explained| explained.why_not)
        .collect();
    assert_eq!(
        why_not,
        [
            Some(WhyNot::ComesAfter(2)),
            Some(WhyNot::Conditions(vec![Condition::Method])),
            None,
            Some(WhyNot::Path)
        ]
    );
}

#[test]
fn a_grpc_method_is_a_path_and_post_whatever_the_content_type() {
    let grpc = |method: &str| Match {
        grpc: Some(method.to_owned()),
        ..Match::default()
    };
    let rules = [grpc("pkg.Greeter"), grpc("pkg.Greeter/SayHello")];
    let call = Request::post;
    assert_eq!(found(&rules, call("/pkg.Greeter/SayHello")), Some(1));
    assert_eq!(found(&rules, call("/pkg.Greeter/Other")), Some(0));
    assert_eq!(found(&rules, call("/pkg.Other/SayHello")), None);
    for content_type in ["application/grpc+proto", "text/plain"] {
        let call = call("/pkg.Greeter/SayHello").header("content-type", content_type);
        assert_eq!(found(&rules, call), Some(1), "{content_type}");
    }
    let get = Request::get("/pkg.Greeter/SayHello").header("content-type", "application/grpc");
    let request = get.body(()).unwrap();
    let routes = Routes::new(&rules).unwrap();
    assert_eq!(routes.find(&request), None);
    let why_not = Some(WhyNot::Conditions(vec![Condition::Grpc]));
    assert!((routes.explain(&request).into_iter()).all(|explained| explained.why_not == why_not));
}

#[test]
fn the_dot_at_the_end_of_a_host_says_nothing() {
    let host = |host: &str| Match {
        host: Some(host.to_owned()),
        ..Match::default()
    };
    let rules = [
        host("api.example.com"),
        host("*.example.com"),
        host("b.example.com.:81"),
    ];
    for (host, expected) in [
        ("api.example.com.", Some(0)),
        ("API.example.com.:80", Some(0)),
        ("c.example.com.", Some(1)),
        ("b.example.com:81", Some(2)),
        ("b.example.com.:81", Some(2)),
        ("example.com.", None),
        (".", None),
        ("", None),
    ] {
        assert_eq!(
            found(&rules, Request::get("/").header("host", host)),
            expected,
            "{host}"
        );
    }
}

#[test]
fn a_host_with_a_great_many_labels_is_still_under_the_star() {
    let rules = [
        Match {
            host: Some("*.example.com".to_owned()),
            ..Match::default()
        },
        Match {
            host: Some("*.b.example.com:80".to_owned()),
            ..Match::default()
        },
    ];
    let many = "a.".repeat(1_000);
    for (end, expected) in [
        ("example.com", Some(0)),
        ("b.example.com:80", Some(0)),
        ("example.org", None),
    ] {
        let request = Request::get("/").header("host", format!("{many}{end}"));
        let request = request.body(()).unwrap();
        let routes = Routes::new(&rules).unwrap();
        assert_eq!(routes.find(&request), expected, "{end}");
        let explained = routes.explain(&request);
        let applies = explained.iter().find(|rule| rule.why_not.is_none());
        assert_eq!(applies.map(|rule| rule.rule), expected, "{end}");
    }
    let request = Request::get("/").header("host", format!("{many}b.example.com:80"));
    assert_eq!(found(&rules[1..], request), Some(0));
}

#[test]
fn paths_are_matched_as_they_are_sent() {
    let rules = [rule("/slow"), rule("/{*rest}")];
    assert_eq!(found(&rules, Request::get("/slow")), Some(0));
    for path in [
        "/%73low",
        "http://a.test//slow",
        "/x/../slow",
        "/slow/",
        "/SLOW",
    ] {
        assert_eq!(found(&rules, Request::get(path)), Some(1), "{path}");
    }
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn a_request_has_the_same_rule_inside_of_axums_routers_as_outside() {
    use axum::Router;
    use axum::extract::Request as Incoming;
    use axum::middleware::{Next, from_fn};
    use std::sync::Arc;
    use tower::ServiceExt;

    let rules = [
        rule("/api/users/{id}"),
        rule("/api/users/me"),
        rule("/users/{id}"),
        rule("/users/me"),
    ];
    let routes = Arc::new(Routes::new(&rules).unwrap());
    let look = {
        let routes = routes.clone();
        move |request: Incoming, next: Next| {
            let found = routes.find(&request);
            let explained = routes.explain(&request);
            let applies = explained.iter().find(|rule| rule.why_not.is_none());
            assert_eq!(applies.map(|rule| rule.rule), found);
            async move {
                let mut response = next.run(request).await;
                response.extensions_mut().insert(found);
                response
            }
        }
    };
    let users = Router::new()
        .route("/users/{id}", axum::routing::get(|| async {}))
        .layer(from_fn(look));
    let app = Router::new().merge(users.clone()).nest("/api", users);
    for (path, expected) in [
        ("/api/users/7", 0),
        ("/api/users/me", 1),
        ("/users/7", 2),
        ("/users/me", 3),
    ] {
        let outside = Request::get(path).body(axum::body::Body::empty()).unwrap();
        assert_eq!(routes.find(&outside), Some(expected), "{path}");
        let response = app.clone().oneshot(outside).await.unwrap();
        let inside = response.extensions().get::<Option<usize>>();
        assert_eq!(inside, Some(&Some(expected)), "{path}");
    }
}
