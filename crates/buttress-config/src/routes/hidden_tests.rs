use super::hidden::{FEW, MOST_STEPS};
use super::*;
use proptest::prelude::*;

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

/// Which rules never apply, and because of which.
fn hidden(rules: &[Match]) -> Vec<(usize, Vec<usize>)> {
    let never = Routes::new(rules).unwrap().never_apply().into_iter();
    never.map(|hidden| (hidden.rule, hidden.by)).collect()
}

#[test]
fn a_grpc_method_and_post_on_the_same_path_are_the_same_rule() {
    let grpc = Match {
        grpc: Some("pkg.Greeter".to_owned()),
        ..Match::default()
    };
    let post = rule("/pkg.Greeter/{method}", &[Method::POST]);
    assert_eq!(hidden(&[grpc.clone(), post.clone()]), [(1, vec![0])]);
    assert_eq!(hidden(&[post, grpc.clone()]), [(1, vec![0])]);
    assert_eq!(hidden(&[grpc, rule("/pkg.Greeter/{method}", &[])]), []);
}

#[test]
fn rules_that_name_all_of_a_rules_methods_hide_it_together() {
    let (get, post) = (rule("/a", &[Method::GET]), rule("/a", &[Method::POST]));
    let both = rule("/a", &[Method::POST, Method::GET]);
    let purge = Method::from_bytes(b"PURGE").unwrap();
    let rules = [get.clone(), post.clone(), both.clone()];
    assert_eq!(hidden(&rules), [(2, vec![0, 1])]);
    // Not what they leave, nor what comes first, nor what is elsewhere.
    assert_eq!(
        hidden(&[get.clone(), both.clone(), post.clone()]),
        [(2, vec![1])]
    );
    assert_eq!(hidden(&[get.clone(), post.clone(), rule("/a", &[])]), []);
    let more = rule("/a", &[Method::GET, Method::POST, purge.clone()]);
    assert_eq!(hidden(&[get.clone(), post.clone(), more.clone()]), []);
    let rules = [get.clone(), post.clone(), rule("/a", &[purge]), more];
    assert_eq!(hidden(&rules), [(3, vec![0, 1, 2])]);
    let elsewhere = [get, post, rule("/{b}", &[Method::POST, Method::GET])];
    assert_eq!(hidden(&elsewhere), []);
}

#[test]
fn rules_with_wider_hosts_hide_one_together() {
    let all = [Method::GET, Method::PUT];
    let rules = [
        on("*.test", rule("/", &[Method::GET])),
        on("a.test:80", rule("/", &[Method::PUT])),
        on("a.test", rule("/", &[Method::PUT])),
        on("a.test:80", rule("/", &all)),
        on("a.test", rule("/", &all)),
    ];
    // One with a fixed host comes before one with a star.
    assert_eq!(hidden(&rules), []);
    let rules = [
        on("*.test", rule("/", &[Method::GET])),
        on("*.a.test", rule("/", &[Method::PUT])),
        on("*.a.test", rule("/", &all)),
        on("*.b.test", rule("/", &all)),
    ];
    assert_eq!(hidden(&rules), [(2, vec![0, 1])]);
}

#[test]
fn a_rule_for_head_beside_one_for_get_is_not_hidden() {
    let head = rule("/", &[Method::HEAD]);
    let get = rule("/", &[Method::GET]);
    assert_eq!(hidden(&[get.clone(), head.clone()]), []);
    let both = rule("/", &[Method::GET, Method::HEAD]);
    assert_eq!(hidden(&[get, head, both]), [(2, vec![0, 1])]);
}

/// Each rule compared with each other: what `never_apply` is to find without.
fn compared_with_each(routes: &Routes) -> Vec<(usize, Vec<usize>)> {
    let entries = || routes.entries.iter().enumerate();
    let covers = |one: &Entry, other: &Entry| {
        let host = match (&one.conditions.host, &other.conditions.host) {
            (None, _) => true,
            (Some(one), Some(other)) => one.cover(other),
            (Some(_), None) => false,
        };
        let theirs = other.conditions.headers_in_order();
        let headers = one.conditions.headers_in_order();
        let headers = headers.iter().all(|(name, value)| {
            let mut theirs = theirs.iter();
            theirs.any(|(other, given)| other == name && (value.is_none() || value == given))
        });
        one.template == other.template && host && headers
    };
    let hidden = entries().filter_map(|(rule, entry)| {
        let methods = entry.conditions.effective_methods()?;
        let first: Vec<_> = entries()
            .filter(|(number, other)| {
                other.conditions.rank(*number) < entry.conditions.rank(rule) && covers(other, entry)
            })
            .filter_map(|(number, other)| Some((number, other.conditions.effective_methods()?)))
            .collect();
        let alone = first.iter().find(|(_, theirs)| {
            let named = !methods.is_any() && methods.names().all(|method| theirs.name(method));
            theirs.is_any() || named
        });
        if let Some((number, _)) = alone {
            return Some((rule, vec![*number]));
        }
        let for_each = methods.names().map(|method| {
            let first = first.iter().find(|(_, theirs)| theirs.name(method));
            first.map(|(number, _)| *number)
        });
        let mut by = for_each.collect::<Option<Vec<_>>>()?;
        by.sort_unstable();
        by.dedup();
        (!by.is_empty()).then_some((rule, by))
    });
    hidden.collect()
}

/// Rules that differ in all that rules can, but often only a little.
fn any_rules() -> impl Strategy<Value = Vec<Match>> {
    let odd = prop::sample::select(vec!["PURGE", "A", "B"]);
    let odd = odd.prop_map(|name| Method::from_bytes(name.as_bytes()).unwrap());
    let value = prop::option::weighted(0.7, prop::sample::select(vec!["1", "1", "1", "2"]));
    let header = prop::option::weighted(0.95, value);
    let parts = (
        prop::collection::vec(prop_oneof![method(), odd], 0..9),
        prop::sample::select(vec![
            None,
            None,
            None,
            Some("*.test"),
            Some("a.test"),
            Some("a.test:80"),
            Some("*.a.test"),
            Some("*.test:80"),
            Some("*.c.b.a.test"),
            Some("d.c.b.a.test"),
            Some("d.c.b.a.test.:80"),
            Some(".test"),
            Some("[::1]:80"),
        ]),
        prop::collection::vec(header, 7),
        0_usize..=7,
        0_u8..8,
    );
    let rules = parts.prop_map(|(methods, host, headers, count, kind)| Match {
        methods,
        host: host.map(str::to_owned),
        headers: (0..count)
            .zip(headers)
            .filter_map(|(number, value)| {
                let name = HeaderName::from_bytes(format!("x-{number}").as_bytes()).unwrap();
                Some((name, value?.map(HeaderValue::from_static)))
            })
            .collect(),
        path: (kind > 2).then(|| if kind == 3 { "/{a}/{b}" } else { "/p.S/{m}" }.to_owned()),
        grpc: (1..=2).contains(&kind).then(|| "p.S".to_owned()),
    });
    prop::collection::vec(rules, 0..40)
}

fn method() -> impl Strategy<Value = Method> {
    prop::sample::select(vec![Method::GET, Method::POST, Method::HEAD, Method::PUT])
}

fn rules(hosts: &'static [Option<&'static str>]) -> impl Strategy<Value = Vec<Match>> {
    let parts = (
        prop::collection::vec(method(), 0..4),
        prop::sample::select(hosts),
        prop::option::weighted(0.3, prop::option::of(Just(HeaderValue::from_static("1")))),
    );
    let rules = parts.prop_map(|(methods, host, header)| Match {
        host: host.map(str::to_owned),
        headers: header
            .map(|value| (HeaderName::from_static("x-a"), value))
            .into_iter()
            .collect(),
        ..rule("/", &methods)
    });
    prop::collection::vec(rules, 0..10)
}

/// Which of the rules none of a great many different requests finds.
fn never_found(rules: &[Match]) -> Vec<usize> {
    let routes = Routes::new(rules).unwrap();
    let mut never: Vec<_> = (0..rules.len()).collect();
    for method in ["GET", "POST", "HEAD", "PUT", "PURGE"] {
        for host in [
            None,
            Some("a.test"),
            Some("b.a.test"),
            Some("c.b.a.test"),
            Some("z"),
        ] {
            for header in [None, Some("1"), Some("2")] {
                let mut request = Request::builder().method(method).uri("/");
                if let Some(host) = host {
                    request = request.header("host", host);
                }
                if let Some(header) = header {
                    request = request.header("x-a", header);
                }
                let found = routes.find(&request.body(()).unwrap());
                never.retain(|rule| Some(*rule) != found);
            }
        }
    }
    never
}

proptest! {
    #[test]
    fn it_finds_what_comparing_each_with_each_finds(rules in any_rules()) {
        let routes = Routes::new(&rules).unwrap();
        let expected = compared_with_each(&routes);
        // As few, and looked up as many.
        for few in [FEW, 0] {
            let (found, _) = routes.hidden_within(few, MOST_STEPS);
            let found: Vec<_> = found.into_iter().map(|hidden| (hidden.rule, hidden.by)).collect();
            prop_assert_eq!(&found, &expected, "{} {:?}", few, rules);
        }
    }

    #[test]
    fn what_is_found_before_it_stops_is_true(
        rules in any_rules(),
        most in 0_usize..2_000,
        few in prop::sample::select(vec![0, FEW]),
    ) {
        let routes = Routes::new(&rules).unwrap();
        let all = routes.never_apply();
        let (found, _) = routes.hidden_within(few, most);
        prop_assert!(found.iter().all(|hidden| all.contains(hidden)));
    }

    #[test]
    fn what_is_said_never_to_apply_is_never_found(
        rules in rules(&[None, None, Some("*.test"), Some("*.a.test"), Some("a.test"), Some("b.a.test")]),
    ) {
        let never = never_found(&rules);
        for (rule, by) in hidden(&rules) {
            prop_assert!(never.contains(&rule), "{} of {:?}", rule, rules);
            // Those in its way need no help.
            let mut alone: Vec<_> = by.iter().map(|number| rules[*number].clone()).collect();
            alone.push(rules[rule].clone());
            prop_assert!(hidden(&alone).iter().any(|(last, _)| *last == by.len()));
        }
    }

    #[test]
    fn where_only_methods_differ_all_that_is_never_found_is_said_never_to_apply(
        methods in prop::collection::vec(prop::collection::vec(method(), 0..4), 0..8),
    ) {
        let rules: Vec<_> = methods.iter().map(|methods| rule("/", methods)).collect();
        let said: Vec<_> = hidden(&rules).into_iter().map(|(rule, _)| rule).collect();
        prop_assert_eq!(said, never_found(&rules));
    }
}
