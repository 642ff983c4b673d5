//! A file of a thousand routes.

use axum::body::Body;
use buttress_config::{Document, Format};
use http::Request;
use std::fmt::Write as _;

/// The file's text. With another `edit`, all of its routes are others: it counts modulo 2.
pub fn text(edit: u32) -> String {
    // Or a busy machine would refuse calls, and what is measured were the refusals.
    let mut text = "[server.defaults]\npressure = false\n".to_owned();
    for number in 0..1_000 {
        let _ = write!(
            text,
            "[[server.route]]\nmatch = {{ method = \"GET\", path = \"/tenant{number}/{{id}}\" }}\n\
             bulkhead = {}\nrate_limit = {{ rate = \"100/s\", by = \"header:x-user\" }}\n\
             timeout = \"{}ms\"\n",
            64 + edit % 2,
            300 + edit % 2,
        );
    }
    text
}

/// The same, read and checked.
pub fn document(edit: u32) -> Document {
    Document::parse("rules.toml", &text(edit), Format::Toml).unwrap()
}

/// A request for one of the routes, from another user each time.
pub fn request(number: u64) -> Request<Body> {
    let path = format!("http://example.com/tenant{}/4711", number % 1_000);
    Request::get(path)
        .header("x-user", number)
        .body(Body::empty())
        .unwrap()
}
