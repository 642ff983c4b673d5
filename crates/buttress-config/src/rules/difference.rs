//! What another file changes, in words that logs and operators can take.

use super::compile::title;
use crate::settings::{Setting, Settings, inline};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// What differs between two files. Its length has a bound, however much does: 20 changes are told,
/// each in at most 200 characters, and the others are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    told: Vec<String>,
    more: usize,
}

const MOST_TOLD: usize = 20;
const LONGEST: usize = 200;
/// A long name or value must not keep the others from being told.
const LONGEST_NAME: usize = 100;
const LONGEST_VALUE: usize = 50;

impl Difference {
    /// In the order of the names. What a route or an upstream has from the defaults is told once, as
    /// a change of `server.defaults`.
    pub(crate) fn between(before: &Settings, after: &Settings) -> Self {
        let (before, after) = (parts(before), parts(after));
        let mut difference = Self::default();
        let added = after.keys().filter(|name| !before.contains_key(*name));
        let mut names: Vec<_> = before.keys().chain(added).collect();
        names.sort_unstable();
        for name in names {
            let shown = || shortened(name, LONGEST_NAME);
            match (before.get(name), after.get(name)) {
                (Some(one), Some(other)) if one == other => {}
                (Some(one), Some(other)) => {
                    difference.tell(|| format!("changed {}: {}", shown(), fields(one, other)));
                }
                (None, _) => difference.tell(|| format!("added {}", shown())),
                (_, None) => difference.tell(|| format!("removed {}", shown())),
            }
        }
        difference
    }

    /// Each change on its own.
    #[cfg(feature = "admin")]
    pub(crate) fn told(&self) -> &[String] {
        &self.told
    }

    /// How many more there are.
    #[cfg(feature = "admin")]
    pub(crate) const fn more(&self) -> usize {
        self.more
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        if self.told.len() < MOST_TOLD {
            self.told.push(shortened(&what(), LONGEST));
        } else {
            self.more += 1;
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.told.is_empty() {
            return f.write_str("nothing but the order");
        }
        f.write_str(&self.told.join("; "))?;
        match self.more {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// Something that has a name in a file.
#[derive(PartialEq)]
enum Part<'a> {
    Defaults(&'a crate::settings::ServerPolicies),
    Route(&'a crate::settings::RouteSettings),
    Shared(&'a crate::settings::SharedPolicies),
    Upstream(&'a crate::settings::UpstreamSettings),
}

impl Part<'_> {
    fn show(&self) -> Map<String, Value> {
        let shown = match self {
            Self::Defaults(defaults) => defaults.show(),
            Self::Route(route) => route.show(),
            Self::Shared(shared) => shared.show(),
            Self::Upstream(upstream) => upstream.show(),
        };
        match shown {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }
}

/// By the names that their policies have, too.
fn parts(settings: &Settings) -> BTreeMap<String, Part<'_>> {
    let mut parts = BTreeMap::new();
    let server = settings.server.as_ref();
    if let Some(defaults) = server.and_then(|server| server.defaults.as_ref()) {
        parts.insert("server.defaults".to_owned(), Part::Defaults(defaults));
    }
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for route in settings.routes() {
        let mut name = format!("route {}", title(route));
        let count = seen.entry(name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            name = format!("{name} ({count})");
        }
        parts.insert(name, Part::Route(route));
    }
    for (name, shared) in settings.policy.iter().flat_map(|all| all.iter()) {
        parts.insert(format!("policy.{}", **name), Part::Shared(shared));
    }
    for (name, upstream) in settings.upstream.iter().flat_map(|all| all.iter()) {
        parts.insert(format!("upstream.{}", **name), Part::Upstream(upstream));
    }
    parts
}

/// What each field that differs was, and is.
fn fields(before: &Part<'_>, after: &Part<'_>) -> String {
    let (before, after) = (before.show(), after.show());
    let added = after.keys().filter(|name| !before.contains_key(*name));
    let names = before.keys().chain(added);
    let told = names.filter_map(|name| {
        let (one, other) = (before.get(name), after.get(name));
        (one != other).then(|| format!("{name} {} -> {}", value(one), value(other)))
    });
    told.collect::<Vec<_>>().join(", ")
}

fn value(value: Option<&Value>) -> String {
    value.map_or("unset".to_owned(), |value| {
        shortened(&inline(value), LONGEST_VALUE)
    })
}

/// At most so many characters.
pub(super) fn shortened(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some(_) => text.chars().take(longest - 1).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, Format};

    fn settings(text: &str) -> Settings {
        let document = Document::parse("test", text, Format::Toml).unwrap();
        document.settings().clone()
    }

    fn between(before: &str, after: &str) -> Difference {
        Difference::between(&settings(before), &settings(after))
    }

    #[test]
    fn what_was_added_removed_and_changed_is_told_by_name() {
        let before = r#"
            [server.defaults]
            timeout = "2s"
            [[server.route]]
            match = { method = "GET", path = "/a" }
            bulkhead = 7
            [[server.route]]
            match = { path = "/b" }
            use = ["pool"]
            [policy.pool]
            rate_limit = "5/s"
            [upstream.payments]
            retry = 2
            [upstream.same]
        "#;
        let after = r#"
            [server.defaults]
            timeout = "3s"
            [[server.route]]
            match = { method = "GET", path = "/a" }
            bulkhead = { limit = 7, shadow = true }
            timeout = "1s"
            [[server.route]]
            match = { path = "/c" }
            use = ["pool"]
            [policy.pool]
            rate_limit = "6/s"
            [upstream.orders]
            [upstream.same]
        "#;
        let told = [
            "changed policy.pool: rate_limit { rate = \"5 per second\" } -> { rate = \"6 per second\" }",
            "removed route /b",
            "added route /c",
            "changed route GET /a: bulkhead { limit = 7 } -> { limit = 7, shadow = true }, \
             timeout unset -> { headers = \"1s\" }",
            "changed server.defaults: timeout { headers = \"2s\" } -> { headers = \"3s\" }",
            "added upstream.orders",
            "removed upstream.payments",
        ];
        let difference = between(before, after);
        assert_eq!(difference.told, told);
        assert_eq!(difference.to_string(), told.join("; "));
        assert_eq!(between(before, before), Difference::default());
    }

    #[test]
    fn routes_that_match_the_same_are_told_apart_and_order_is_no_change_of_any() {
        let route = |path: &str, limit: u32| {
            format!("[[server.route]]\nmatch = {{ path = \"{path}\" }}\nbulkhead = {limit}\n")
        };
        let (one, other) = (route("/a", 1), route("/b", 2));
        let swapped = between(&format!("{one}{other}"), &format!("{other}{one}"));
        assert_eq!(swapped, Difference::default());
        assert_eq!(swapped.to_string(), "nothing but the order");
    }

    #[test]
    fn its_length_has_a_bound_whatever_changed() {
        let many = |limit: u32| {
            let route = |number: u32| {
                let path = format!("/{number}/{}", "x".repeat(300));
                format!("[[server.route]]\nmatch = {{ path = \"{path}\" }}\nbulkhead = {limit}\n")
            };
            (0..500).map(route).collect::<Vec<_>>().concat()
        };
        let difference = between(&many(1), &many(2));
        assert_eq!((difference.told.len(), difference.more), (20, 480));
        let text = difference.to_string();
        assert!(text.ends_with("; and 480 more"), "{text}");
        assert!(text.chars().count() < 20 * 202 + 20, "{}", text.len());
        let trusted: Vec<_> = (0..200).map(|n| format!("\"10.0.0.{n}\"")).collect();
        let trusting = format!(
            "[server.defaults]\ncriticality = {{ trusting = {{ peers_in = [{}] }} }}\ntimeout = ",
            trusted.join(", ")
        );
        let text = between(
            &format!("{trusting}\"1s\""),
            "[server.defaults]\ntimeout = \"2s\"",
        )
        .to_string();
        assert!(text.contains("timeout"), "{text}");
    }
}
