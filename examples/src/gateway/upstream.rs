//! What a file says of upstreams that is for the gateway alone.

use buttress_config::Document;
use http::uri::Authority;
use serde_json::Value;
use std::cmp::Reverse;

/// Where an upstream is, what it speaks, and which paths are for it.
#[derive(Clone, Debug)]
pub struct Upstream {
    pub(super) name: String,
    pub(super) address: Authority,
    /// Whether all calls go there over HTTP/2, and gRPC with them, or over HTTP/1.1. Did it depend on
    /// the call, clients could make any upstream fail.
    pub(super) http2: bool,
    /// The beginning of its paths, without the slash at its end.
    prefix: String,
}

impl Upstream {
    /// All upstreams of a file. Whoever is the first to have a path is the one whom it is for.
    ///
    /// # Errors
    ///
    /// An upstream's `x-address` is missing or is not `HOST:PORT`, its `x-prefix` is not a path, or
    /// its `x-http2` is not a boolean.
    pub fn all_of(file: &Document) -> Result<Vec<Self>, String> {
        let root = Value::from(file.root());
        let all = root["upstream"].as_object().into_iter().flatten();
        let all = all.map(|(name, fields)| {
            let read = Self::read(name, fields);
            read.map_err(|wrong| format!("{}: upstream.{name}.{wrong}", file.file()))
        });
        let mut all: Vec<_> = all.collect::<Result<_, _>>()?;
        all.sort_by_key(|upstream| Reverse(upstream.prefix.len()));
        Ok(all)
    }

    fn read(name: &str, fields: &Value) -> Result<Self, &'static str> {
        let address = fields["x-address"].as_str().unwrap_or_default();
        let address: Option<Authority> = address.parse().ok();
        let address = address.filter(|it| it.port().is_some() && !it.as_str().contains('@'));
        let prefix = fields.get("x-prefix").map_or(Some("/"), Value::as_str);
        let prefix = prefix.filter(|prefix| prefix.starts_with('/'));
        let prefix = prefix.ok_or("x-prefix must begin with \"/\"")?;
        let http2 = fields.get("x-http2").map_or(Some(false), Value::as_bool);
        Ok(Self {
            name: name.to_owned(),
            address: address.ok_or("x-address must be \"HOST:PORT\"")?,
            http2: http2.ok_or("x-http2 must be true or false")?,
            prefix: prefix.trim_end_matches('/').to_owned(),
        })
    }

    /// Whether a path is for it, unless another one has a longer prefix of it.
    pub(super) fn has(&self, path: &str) -> bool {
        let rest = path.strip_prefix(&self.prefix);
        rest.is_some_and(|rest| self.prefix.is_empty() || rest.is_empty() || rest.starts_with('/'))
    }
}
