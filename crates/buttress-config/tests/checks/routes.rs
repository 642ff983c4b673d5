//! Routes that cannot be read, and those that never match.

use super::{fine, refused, warned};
use buttress_config::routes::Routes;
use buttress_config::{Document, Format};
use http::Request;

#[test]
fn a_route_that_another_hides_can_never_match() {
    let routes = |first: &str, second: &str| {
        format!(
            "[[server.route]]\nmatch = {{ {first} }}\n[[server.route]]\nmatch = {{ {second} }}\n"
        )
    };
    let hidden = "server.route[1] can never match: `server.route[0]` comes first";
    refused(&routes("path = '/a/{x}'", "path = '/a/{y}'"), hidden);
    refused(&routes("host = 'a'", "host = 'A'"), hidden);
    refused(&routes("", ""), hidden);
    fine(&routes("path = '/a/{x}'", "path = '/a/b'"));
    fine(&routes("path = '/a'", "path = '/a', method = 'GET'"));
    fine(&routes(
        "path = '/a', method = 'POST'",
        "path = '/a', method = 'GET'",
    ));
}

#[test]
fn a_route_that_several_others_hide_together_can_never_match() {
    let routes = |last: &str| {
        let wanted = ["method = 'GET'", "method = ['POST', 'PUT']", last];
        let routes =
            wanted.map(|wanted| format!("[[server.route]]\nmatch = {{ path = '/a', {wanted} }}\n"));
        routes.concat()
    };
    refused(
        &routes("method = ['PUT', 'GET']"),
        "server.route[2] can never match: one of `server.route[0]`, `server.route[1]` comes first",
    );
    fine(&routes("method = ['PUT', 'GET', 'PATCH']"));
    fine(&routes("method = 'HEAD'"));
}

#[test]
fn a_route_whose_conditions_contradict_can_never_match() {
    let route = |wanted: &str| format!("[[server.route]]\nmatch = {{ {wanted} }}\n");
    let cases = [
        (
            "grpc = 'a.B', method = 'GET'",
            "method can never match: gRPC is always POST",
        ),
        ("path = '/search?q=1'", "path can never match"),
        ("host = 'bücher.de'", "host can never match"),
        ("path = '/a b'", "path can never match"),
        ("path = '/a#b'", "path can never match"),
        (
            "path = '/a', grpc = 'a.B'",
            "grpc is \"a.B\": a rule has a path or a gRPC method",
        ),
        (
            "path = '/{a}b'",
            "path is \"/{a}b\": a parameter is a whole segment",
        ),
        ("grpc = 'a/b/c'", "grpc is \"a/b/c\": a gRPC method is"),
    ];
    for (wanted, what) in cases {
        refused(&route(wanted), &format!("server.route[0].match.{what}"));
    }
    fine(&route("grpc = 'a.B', method = ['POST', 'GET']"));
    fine(&route("host = '*.example.com', header = { x-a = true }"));
    fine(&route("host = 'a.test', header = { host = 'A.test.:80' }"));
    fine(&route("path = '/%C3%A4/{the größe}/~|^{{}}'"));
}

#[test]
fn a_host_that_no_request_has_can_never_match() {
    for host in ["ä.de", "a\\u0000b", "a\\nb", "\\u007f"] {
        refused(
            &format!("[[server.route]]\nmatch = {{ host = \"{host}\" }}\n"),
            "server.route[0].match.host can never match",
        );
    }
}

/// Each of them can be sent, and then matches.
#[test]
fn a_host_that_is_like_no_name_is_hardly_meant() {
    let long = "a".repeat(64);
    let strange = [
        "",
        ".",
        "*",
        "*.",
        "*.*",
        "*.*.a",
        "a..b",
        ".a",
        "a:",
        "a:65536",
        "a:-1",
        "a:+1",
        "a:b",
        "a:1:2",
        "::1",
        "[::1",
        "[a]",
        "[::1]x",
        "[::1]:x",
        "a b",
        "a/b",
        "a@b",
        "a*",
        "*a.b",
        "a..",
        "https://a",
        "a~b.example",
        "example.com:",
        "%61.example",
        &long,
    ];
    for host in strange {
        let text = format!("[[server.route]]\nmatch = {{ host = '{host}' }}\n");
        warned(&text, "server.route[0].match.host hardly ever matches");
        let document = Document::parse("test.toml", &text, Format::Toml).unwrap();
        let routes = Routes::new(&document.settings().matches()).unwrap();
        let request = Request::get("/").header("host", host).body(()).unwrap();
        assert_eq!(routes.find(&request), Some(0), "{host:?}");
    }
}

#[test]
fn a_host_that_clients_send_is_fine() {
    let route = |host: &str| format!("[[server.route]]\nmatch = {{ host = '{host}' }}\n");
    for host in [
        "a",
        "A.Test",
        "a.test.",
        "a.test.:80",
        "*.a",
        "*.a_b-c.d:8080",
        "a:0",
        "127.0.0.1:80",
        "[::1]",
        "[2001:db8::7]:443",
        "xn--bcher-kva.example",
    ] {
        fine(&route(host));
    }
}

#[test]
fn a_route_for_no_method_is_refused() {
    let route = |method: &str| format!("[[server.route]]\nmatch = {{ method = {method} }}\n");
    refused(
        &route("[]"),
        "server.route[0].match.method is an empty list",
    );
    fine("[[server.route]]\nmatch = {}\n");
    // One mistake is one problem.
    refused(
        &route("['get']"),
        "server.route[0].match.method[0] is \"get\"",
    );
}

#[test]
fn a_method_that_is_nearly_another_is_hardly_meant() {
    let route = |method: &str| format!("[[server.route]]\nmatch = {{ method = {method} }}\n");
    for (method, meant) in [
        ("PSOT", "POST"),
        ("DELTE", "DELETE"),
        ("OPTION", "OPTIONS"),
        ("psot", "POST"),
    ] {
        let text = route(&format!("['GET', '{method}']"));
        warned(
            &text,
            &format!("server.route[0].match.method[1] is \"{method}\", which is hardly a method"),
        );
        let document = Document::parse("test.toml", &text, Format::Toml).unwrap();
        let warning = document.warnings().iter().next().unwrap();
        assert_eq!(warning.did_you_mean.as_deref(), Some(meant));
    }
    warned(
        &route("'PSOT'"),
        "server.route[0].match.method is \"PSOT\", which is hardly a method",
    );
    for method in [
        "PURGE", "PROPFIND", "MERGE", "MOVE", "LOCK", "REPORT", "QUERY", "M-SEARCH", "FETCH",
    ] {
        fine(&route(&format!("'{method}'")));
    }
}

#[test]
fn a_route_that_matches_what_hardly_anybody_sends_is_a_warning() {
    let route = |wanted: &str| format!("[[server.route]]\nmatch = {{ {wanted} }}\n");
    let grpc = |content_type: &str| {
        route(&format!(
            "grpc = 'a.B', header = {{ content-type = '{content_type}' }}"
        ))
    };
    for well in [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc;charset=utf-8",
        "Application/gRPC+json",
        "application/grpc-web",
    ] {
        fine(&grpc(well));
    }
    let header = "server.route[0].match.header hardly ever matches";
    warned(&grpc("text/html"), header);
    warned(&route("host = 'a', header = { host = 'b' }"), header);
    let path = "server.route[0].match.path hardly ever matches";
    warned(&route("path = '/straße'"), path);
}

/// What is warned of may be meant, so it must be possible.
#[test]
fn what_hardly_ever_matches_can_match() {
    let text = "[[server.route]]\nmatch = { grpc = 'a.B', header = { content-type = 'text/html' } }\n\
                [[server.route]]\nmatch = { host = 'a', header = { host = 'b' } }\n\
                [[server.route]]\nmatch = { path = '/straße' }\n";
    let document = Document::parse("test.toml", text, Format::Toml).unwrap();
    let routes = Routes::new(&document.settings().matches()).unwrap();
    let requests = [
        Request::post("/a.B/C").header("content-type", "text/html"),
        Request::get("http://a/").header("host", "b"),
        Request::get("/straße"),
    ];
    let requests = requests.map(|request| request.body(()).unwrap());
    assert_eq!(
        requests.map(|request| routes.find(&request)),
        [Some(0), Some(1), Some(2)]
    );
}
