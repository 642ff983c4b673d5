use super::methods::Head;
use super::template::Segment;
use super::*;
use proptest::prelude::*;
use std::cmp::Reverse;

/// Whether all of a rule's conditions hold of a request, by their names alone.
fn hold(rule: &Match, request: &Request<()>) -> bool {
    let conditions = Conditions::of(rule);
    conditions.missing(request, Head::OfItsOwn).is_empty()
}

/// Whether a rule matches, among others with the same path.
fn matches(rule: &Match, rules: &[Match], request: &Request<()>) -> bool {
    let template = rule.template().unwrap();
    let fits = (template.as_ref()).is_none_or(|template| template.fits(request.uri().path()));
    if request.method() != Method::HEAD || !rule.methods.contains(&Method::GET) {
        return fits && hold(rule, request);
    }
    let mut others = rules.iter().filter(|rule| {
        rule.methods.contains(&Method::HEAD) && rule.template().unwrap() == template
    });
    let head_is_named = others.any(|rule| hold(rule, request));
    let mut as_get = request.clone();
    *as_get.method_mut() = Method::GET;
    fits && (hold(rule, request) || (!head_is_named && hold(rule, &as_get)))
}

/// The order of the module's documentation, taken literally.
fn naive(rules: &[Match], request: &Request<()>) -> Option<usize> {
    let entries = rules.iter().enumerate().filter_map(|(number, rule)| {
        if !matches(rule, rules, request) {
            return None;
        }
        let template = rule.template().unwrap();
        let kinds = template.map_or(vec![3], |template| {
            let kind = |segment: &Segment| match segment {
                Segment::Fixed(_) => 0,
                Segment::Parameter => 1,
                Segment::Wildcard => 2,
            };
            template.segments.iter().map(kind).collect()
        });
        let methods = usize::from(!rule.methods.is_empty());
        let host = usize::from(rule.host.is_some());
        let count = methods + host + rule.headers.len();
        let star = rule.host.as_ref().is_some_and(|host| host.starts_with('*'));
        Some((kinds, Reverse(count), star, number))
    });
    entries.min().map(|(.., number)| number)
}

fn rules() -> impl Strategy<Value = Vec<Match>> {
    let segment = prop::sample::select(vec!["a", "b", "", "{x}", "{y}"]);
    let path = (
        prop::collection::vec(segment, 1..4),
        prop::option::weighted(0.2, Just("{*rest}")),
    );
    let path = path.prop_map(|(mut segments, last)| {
        segments.extend(last);
        format!("/{}", segments.join("/"))
    });
    // Rules get in each other's way only where there are several with the same path.
    let path = prop_oneof![Just("/a".to_owned()), path];
    let method = prop::sample::subsequence(vec![Method::GET, Method::POST, Method::HEAD], 0..3);
    let host = prop::sample::select(vec![
        "a.test",
        "*.test",
        "*.a.test:2",
        "b.a.test",
        "a.test:1",
    ]);
    let header = prop::sample::select(vec![None, Some(HeaderValue::from_static("1"))]);
    let headers = prop::collection::vec(
        header.prop_map(|value| (HeaderName::from_static("x-a"), value)),
        0..2,
    );
    let rule = (
        prop::option::weighted(0.9, path),
        method,
        prop::option::weighted(0.4, host),
        headers,
    );
    let rule = rule.prop_map(|(path, methods, host, headers)| Match {
        methods,
        path,
        grpc: None,
        host: host.map(str::to_owned),
        headers,
    });
    prop::collection::vec(rule, 0..12)
}

fn request() -> impl Strategy<Value = Request<()>> {
    let hosts = prop_oneof![
        Just("a.test"),
        Just("b.a.test"),
        prop::sample::select(vec![
            "a.test",
            "a.test.",
            "A.TEST.:1",
            "A.TEST:1",
            "..a.test",
            "test.",
            "b.a.test",
            "other",
            "x.b.a.test:2",
            "",
            ".test",
        ])
    ];
    let segments = prop::sample::select(vec!["a", "b", "c", ""]);
    let path =
        prop::collection::vec(segments, 1..5).prop_map(|path| format!("/{}", path.join("/")));
    let path = prop_oneof![Just("/a".to_owned()), path];
    // Two slashes at the start would be an authority.
    let path = path.prop_filter("it is a path", |path| !path.starts_with("//"));
    let request = (
        path,
        prop::sample::select(vec![Method::GET, Method::POST, Method::HEAD]),
        prop::option::weighted(0.8, hosts),
        prop::option::of(prop::sample::select(vec!["1", "2"])),
    );
    request.prop_map(|(path, method, host, header)| {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        if let Some(header) = header {
            request = request.header("x-a", header);
        }
        request.body(()).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn the_tree_finds_what_a_naive_search_finds(rules in rules(), request in request()) {
        let routes = Routes::new(&rules).unwrap();
        let found = routes.find(&request);
        prop_assert_eq!(found, naive(&rules, &request));
        // And it is explained, unless there is no rule.
        let applies = routes.explain(&request).into_iter().find(|rule| rule.why_not.is_none());
        prop_assert_eq!(applies.map(|explained| explained.rule), found);
        let never = routes.never_apply();
        prop_assert!(never.iter().all(|hidden| Some(hidden.rule) != found));
    }

    /// Whatever the order: a rule is there for the requests that it matches.
    #[test]
    fn a_rule_whose_conditions_do_not_hold_changes_nothing(
        rules in rules(),
        request in request(),
    ) {
        let mut as_get = request.clone();
        if request.method() == Method::HEAD {
            *as_get.method_mut() = Method::GET;
        }
        let others = rules.iter().filter(|rule| hold(rule, &request) || hold(rule, &as_get));
        let others: Vec<_> = others.cloned().collect();
        let find = |rules: &[Match]| {
            let found = Routes::new(rules).unwrap().find(&request)?;
            Some(rules[found].clone())
        };
        prop_assert_eq!(find(&rules), find(&others));
    }
}
