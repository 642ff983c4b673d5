//! Which requests a route is about.

use super::names::is_token;
use super::scalar::text_schema;
use super::setting::{Definitions, Setting};
use crate::problem::Reporter;
use crate::routes::Match;
use crate::source::{At, Node};
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

settings! {
    /// Which requests a route is about: those of which everything that is set here is true.
    #[derive(Default)]
    pub struct MatchSettings {
        /// The HTTP method, or one of several. `GET` is `HEAD` as well, but for requests that a route
        /// of the same path matches which names that.
        optional method: Vec<At<Method>>,
        /// The path, as axum writes it: `/users/{id}`, `/files/{*rest}`.
        optional path: String,
        /// The gRPC method, `package.Service/Method`, or all of a service, `package.Service`. Not
        /// together with `path`.
        optional grpc: String,
        /// The host that is asked for: `api.example.com`, or `*.example.com`.
        optional host: String,
        /// Headers, and what each must say; `true` if it need only be there.
        optional header: HeadersWanted,
    }
}

/// Headers that must be there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadersWanted {
    wanted: Vec<(HeaderName, Option<HeaderValue>)>,
}

impl HeadersWanted {
    /// Each, and what it must say; nothing if it need only be there.
    pub fn iter(&self) -> impl Iterator<Item = &(HeaderName, Option<HeaderValue>)> {
        self.wanted.iter()
    }
}

/// What [`Routes`](crate::routes::Routes) are made of.
impl From<&MatchSettings> for Match {
    fn from(settings: &MatchSettings) -> Self {
        let text = |text: &Option<At<String>>| text.as_ref().map(|text| (**text).clone());
        let mut wanted = Self::default();
        let methods = settings.method.iter().flat_map(|methods| methods.iter());
        wanted.methods = methods.map(|method| (**method).clone()).collect();
        wanted.path = text(&settings.path);
        wanted.grpc = text(&settings.grpc);
        wanted.host = text(&settings.host);
        let headers = settings.header.iter().flat_map(|headers| headers.iter());
        wanted.headers = headers.cloned().collect();
        wanted
    }
}

impl Setting for Method {
    fn read(node: &At<Node>, report: &mut Reporter) -> Option<Self> {
        let method = match &**node {
            Node::Text(text) if is_token(text) => Self::from_bytes(text.as_bytes()).ok(),
            _ => None,
        };
        let Some(method) = method else {
            report.unfit(node, "a method such as \"GET\"");
            return None;
        };
        // Methods are told apart by case, and nobody's are in small letters.
        if let Some(capital) = in_capitals(&method) {
            let problem = report.unfit(node, "in capital letters");
            problem.meant(Some(capital));
            return None;
        }
        Some(method)
    }

    fn schema(_: &mut Definitions) -> Value {
        json!({ "anyOf": [{ "enum": USUAL }, text_schema("^[A-Z0-9_-]+$", &["A method."])] })
    }

    fn show(&self) -> Value {
        Value::from(self.as_str())
    }
}

const USUAL: [&str; 9] = [
    "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "CONNECT", "PATCH", "TRACE",
];

/// The usual method from which this one differs only in that some letters are small. Methods are told apart
/// by case, in requests as in files.
pub(crate) fn in_capitals(method: &Method) -> Option<&'static str> {
    let method = method.as_str();
    let mut usual = USUAL.into_iter();
    usual.find(|usual| *usual != method && usual.eq_ignore_ascii_case(method))
}

/// The usual method from which this one differs in a letter, or in two that changed places.
pub(crate) fn similar_method(method: &str) -> Option<&'static str> {
    let capital = method.to_ascii_uppercase();
    let differs_little = |usual: &&str| strsim::osa_distance(usual, &capital) == 1;
    if USUAL.contains(&method) {
        return None;
    }
    USUAL.into_iter().find(differs_little)
}

impl Setting for HeadersWanted {
    fn read(node: &At<Node>, report: &mut Reporter) -> Option<Self> {
        let Node::Table(table) = &**node else {
            report.unfit(node, "a table of headers");
            return None;
        };
        let before = report.count();
        let mut wanted = Vec::with_capacity(table.len());
        let mut names = HashSet::new();
        for (name, node) in table.iter() {
            report.field(name, |report| {
                let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
                    let problem = report.error(name.span(), "is not a header's name");
                    problem.must_be("a header's name such as \"x-tier\"");
                    return;
                };
                if !names.insert(header.clone()) {
                    report.error(name.span(), "is there twice");
                }
                match &**node {
                    Node::Bool(true) => wanted.push((header, None)),
                    Node::Text(text) if HeaderValue::from_str(text).is_ok() => {
                        wanted.push((header, HeaderValue::from_str(text).ok()));
                    }
                    _ => _ = report.unfit(node, "what the header must say, or true"),
                }
            });
        }
        (report.count() == before).then_some(Self { wanted })
    }

    fn schema(_: &mut Definitions) -> Value {
        json!({
            "type": "object",
            "additionalProperties": {
                "anyOf": [
                    { "type": "string", "pattern": "^[^\\x00-\\x1f\\x7f]*$" },
                    { "const": true },
                ],
            },
        })
    }

    fn show(&self) -> Value {
        let shown = self.iter().map(|(name, value)| {
            let value = value
                .as_ref()
                .map(|value| String::from_utf8_lossy(value.as_bytes()));
            (
                name.to_string(),
                value.map_or(Value::Bool(true), Value::from),
            )
        });
        Value::Object(shown.collect::<Map<_, _>>())
    }
}
