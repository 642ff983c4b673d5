//! The rule that is said to apply is the one whose policies refuse.

use super::{Body, again, paused, refused_by};
use buttress_config::explain::explain;
use buttress_config::routes::Routes;
use buttress_config::{Document, Format, Rules};
use http::{Request, Response};
use proptest::prelude::*;
use std::collections::HashSet;
use tower::{BoxError, Layer, ServiceExt, service_fn};

/// A file with a route for each of the matches, whose limits have the routes' numbers for names.
fn file(matches: &[String]) -> String {
    let limit =
        |name: &str| format!("rate_limit = {{ rate = '1/h', burst = 1, name = '{name}' }}\n");
    let defaults = format!("[server.defaults]\npressure = false\n{}", limit("none"));
    let routes = matches.iter().enumerate().map(|(number, wanted)| {
        let limit = limit(&number.to_string());
        format!("[[server.route]]\nmatch = {{ {wanted} }}\n{limit}")
    });
    defaults + &routes.collect::<String>()
}

/// Without those that a check would refuse, because they never apply. What is left hides nothing more.
fn without_hidden(matches: &[String]) -> Vec<String> {
    let hidden = hidden(&file(matches));
    let left = matches.iter().enumerate();
    let left = left.filter(|(number, _)| !hidden.contains(number));
    left.map(|(_, wanted)| wanted.clone()).collect()
}

fn hidden(text: &str) -> HashSet<usize> {
    let Err(problems) = Document::parse("test.toml", text, Format::Toml) else {
        return HashSet::new();
    };
    let numbers = problems.iter().map(|problem| {
        let number = problem.path.strip_prefix("server.route[").unwrap();
        assert!(problem.what.contains("can never match"), "{problem}");
        number[..number.find(']').unwrap()].parse().unwrap()
    });
    numbers.collect()
}

fn matches() -> impl Strategy<Value = Vec<String>> {
    let path = prop::sample::select(vec![
        "",
        "path = '/a'",
        "path = '/a'",
        "path = '/{x}'",
        "path = '/a/{*rest}'",
        "path = '/a/b'",
        "grpc = 'a'",
        "grpc = 'a/b'",
    ]);
    let method = prop::sample::select(vec![
        "",
        "",
        "method = 'GET'",
        "method = 'HEAD'",
        "method = ['GET', 'POST']",
        "method = 'POST'",
    ]);
    let host = prop::sample::select(vec!["", "", "host = 'a.test'", "host = '*.test'"]);
    let header = prop::sample::select(vec![
        "",
        "",
        "header = { x-a = true }",
        "header = { x-a = '1' }",
    ]);
    let wanted = (path, method, host, header).prop_map(|(path, method, host, header)| {
        // A method that gRPC has not is a problem of its own.
        let method = if path.starts_with("grpc") { "" } else { method };
        let parts = [path, method, host, header];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(", ")
    });
    prop::collection::vec(wanted, 0..12)
}

fn request() -> impl Strategy<Value = Request<Body>> {
    let request = (
        prop::sample::select(vec!["GET", "HEAD", "HEAD", "POST", "PUT"]),
        prop::sample::select(vec!["/a", "/a", "/b", "/a/b", "/a/b/c", "/"]),
        prop::sample::select(vec![
            None,
            Some("a.test"),
            Some("b.test"),
            Some("a.test:80"),
        ]),
        prop::sample::select(vec![None, Some("1"), Some("2")]),
    );
    request.prop_map(|(method, path, host, header)| {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        if let Some(header) = header {
            request = request.header("x-a", header);
        }
        request.body(Body::new()).unwrap()
    })
}

proptest! {
    #[test]
    fn the_rule_that_is_said_to_apply_is_the_one_that_does(
        matches in matches(),
        request in request(),
    ) {
        let text = file(&without_hidden(&matches));
        let document = Document::parse("test.toml", &text, Format::Toml).unwrap();
        let said = explain(document.settings(), &request).unwrap();
        let said = if let Some(rest) = said.strip_prefix("server.route[") {
            rest[..rest.find(']').unwrap()].to_owned()
        } else {
            prop_assert!(said.starts_with("no route matches"), "{}", said);
            "none".to_owned()
        };
        let refused = paused().block_on(async {
            let service = service_fn(|_| async { Ok::<_, BoxError>(Response::new(Body::new())) });
            let server = Rules::new(document).unwrap().server().layer(service);
            let first = server.clone().oneshot(again(&request)).await;
            assert_eq!(refused_by(first), None);
            refused_by(server.oneshot(again(&request)).await)
        });
        prop_assert_eq!(refused, Some(&*said), "of {}", text);
    }
}

/// What is left out above is left out for a reason.
#[test]
fn what_is_hidden_is_what_the_routes_say() {
    let matches = ["path = '/a'", "path = '/a', host = 'a.test'", "path = '/a'"];
    let matches = matches.map(str::to_owned);
    let text = file(&matches);
    assert_eq!(hidden(&text), HashSet::from([2]));
    let left = file(&without_hidden(&matches));
    let document = Document::parse("test.toml", &left, Format::Toml).unwrap();
    let routes = Routes::new(&document.settings().matches()).unwrap();
    assert_eq!((routes.len(), routes.never_apply()), (2, vec![]));
}
