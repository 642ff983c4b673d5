use super::template::Segment;
use super::*;
use proptest::prelude::*;
use std::cmp::Reverse;

/// The order of the module's documentation, taken literally.
fn naive(rules: &[Match], request: &Request<()>) -> Option<usize> {
    let named_head = |template: &Option<Template>| {
        rules.iter().any(|rule| {
            rule.methods.contains(&Method::HEAD) && rule.template().unwrap() == *template
        })
    };
    let entries = rules.iter().enumerate().filter_map(|(number, rule)| {
        let template = rule.template().unwrap();
        let mut wanted = rule.clone();
        if rule.methods.contains(&Method::GET) && !named_head(&template) {
            wanted.methods.push(Method::HEAD);
        }
        let conditions = Conditions::of(&wanted);
        let fits = (template.as_ref()).is_none_or(|template| template.fits(request.uri().path()));
        if !fits || !conditions.missing(request).is_empty() {
            return None;
        }
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

proptest! {
    #[test]
    fn the_tree_finds_what_a_naive_search_finds(
        rules in rules(),
        segments in prop::collection::vec(prop::sample::select(vec!["a", "b", "c", ""]), 1..5),
        method in prop::sample::select(vec![Method::GET, Method::POST, Method::HEAD]),
        host in prop::option::of(prop::sample::select(
            vec!["a.test", "a.test.", "A.TEST.:1", "A.TEST:1", "..a.test", "test.", "b.a.test", "other", "x.b.a.test:2", "", ".test"]
        )),
        header in prop::option::of(prop::sample::select(vec!["1", "2"])),
    ) {
        let path = format!("/{}", segments.join("/"));
        // Two slashes at the start would be an authority.
        prop_assume!(!path.starts_with("//"));
        let mut request = Request::builder()
            .method(method)
            .uri(path);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        if let Some(header) = header {
            request = request.header("x-a", header);
        }
        let request = request.body(()).unwrap();
        let routes = Routes::new(&rules).unwrap();
        let found = routes.find(&request);
        prop_assert_eq!(found, naive(&rules, &request));
        // And it is explained, unless there is no rule.
        let applies = routes.explain(&request).into_iter().find(|rule| rule.why_not.is_none());
        prop_assert_eq!(applies.map(|explained| explained.rule), found);
        let never = routes.never_apply();
        prop_assert!(never.iter().all(|(rule, _)| Some(*rule) != found));
    }
}
