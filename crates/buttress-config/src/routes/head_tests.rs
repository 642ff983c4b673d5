use super::*;

fn rule(path: &str, methods: &[Method]) -> Match {
    Match {
        path: Some(path.to_owned()),
        methods: methods.to_vec(),
        ..Match::default()
    }
}

fn on(host: &str, rule: Match) -> Match {
    Match {
        host: Some(host.to_owned()),
        ..rule
    }
}

/// What applies to a request, and is explained to.
fn found(rules: &[Match], request: http::request::Builder) -> Option<usize> {
    let routes = Routes::new(rules).unwrap();
    let request = request.body(()).unwrap();
    let found = routes.find(&request);
    let explained = routes.explain(&request);
    let applies = explained.iter().find(|rule| rule.why_not.is_none());
    assert_eq!(applies.map(|rule| rule.rule), found);
    found
}

#[test]
fn a_rule_for_get_is_one_for_head_unless_a_rule_of_its_path_names_head() {
    let rules = [
        rule("/users/{id}", &[Method::GET]),
        rule("/posts/{id}", &[Method::GET]),
        rule("/posts/{post}", &[Method::POST, Method::HEAD]),
        rule("/posts/{*rest}", &[Method::GET]),
        rule("/orders", &[Method::POST]),
        rule("/posts/{id}", &[]),
    ];
    assert_eq!(found(&rules, Request::head("/users/7")), Some(0));
    assert_eq!(found(&rules, Request::head("/posts/7")), Some(2));
    assert_eq!(found(&rules, Request::get("/posts/7")), Some(1));
    assert_eq!(found(&rules, Request::head("/posts/7/all")), Some(3));
    assert_eq!(found(&rules, Request::head("/orders")), None);
    let request = Request::head("/posts/7").body(()).unwrap();
    let why_not = Routes::new(&rules).unwrap().explain(&request).remove(1);
    let method = WhyNot::Conditions(vec![Condition::Method]);
    assert_eq!(why_not.why_not, Some(method));
}

#[test]
fn a_rule_for_head_on_one_host_takes_it_from_no_other() {
    let rules = [
        on("a.test", rule("/", &[Method::GET])),
        on("b.test", rule("/", &[Method::GET])),
        on("b.test", rule("/", &[Method::HEAD])),
        rule("/", &[Method::GET]),
    ];
    let head = |host: &str| Request::head("/").header("host", host);
    assert_eq!(found(&rules, head("a.test")), Some(0));
    assert_eq!(found(&rules, head("b.test")), Some(2));
    assert_eq!(found(&rules, head("c.test")), Some(3));
    assert_eq!(found(&rules, Request::head("/")), Some(3));
}

#[test]
fn a_rule_for_head_with_a_header_takes_only_what_has_the_header() {
    let with = HeaderName::from_static("x-probe");
    let rules = [
        rule("/", &[Method::GET]),
        Match {
            headers: vec![(with, None)],
            ..rule("/", &[Method::HEAD])
        },
    ];
    let head = || Request::head("/");
    assert_eq!(found(&rules, head()), Some(0));
    assert_eq!(found(&rules, head().header("x-probe", "1")), Some(1));
}

#[test]
fn a_rule_that_names_head_comes_before_more_conditions_and_get() {
    let rules = [
        on("a.test", rule("/", &[Method::GET])),
        rule("/", &[Method::HEAD]),
    ];
    let head = Request::head("/").header("host", "a.test");
    assert_eq!(found(&rules, head), Some(1));
}
