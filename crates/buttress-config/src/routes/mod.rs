//! Which rule applies to a request.
//!
//! A rule's [`Match`] has a path and conditions. A rule *matches* if its path fits and all of its
//! conditions hold. Of several that match, one applies:
//!
//! 1. The one with the **more specific path**, compared segment by segment from the left: a fixed
//!    segment (`/users/me`) before a parameter (`/users/{id}`) before a wildcard (`/users/{*rest}`)
//!    before no path at all.
//! 2. Of those with equally specific paths, the one with **more conditions**: the method, the host,
//!    gRPC, and each header count as one.
//! 3. Of those, one with a fixed host before one with `*.` in it.
//! 4. Of those, the one that **comes first in the file**.
//!
//! A rule whose path fits and whose conditions don't hold is out of the way: `POST /users/me` finds
//! the rule for `/users/{id}` if the one for `/users/me` is for `GET` only.
//!
//! A rule for `GET` is one for `HEAD` as well, because axum and most servers answer `HEAD` by what
//! they have for `GET`: otherwise `curl -I` would pass by its limits. A rule that names `HEAD` takes
//! those `HEAD` requests away from the rules for `GET` with the very same path for which it matches
//! itself, and no others: one for the host `a.test` changes nothing for `b.test`. [`Routes::explain`]
//! goes by the same.
//!
//! # Paths
//!
//! They are written as axum's: `{id}` is one segment that is not empty, `{*rest}` at the end is one
//! or more, and `{{` and `}}` are braces. The names are for people: `/users/{id}` and
//! `/users/{user}` are the same path. Paths are matched as they are sent: nothing is decoded or
//! normalised, and a trailing slash is a segment of its own, as in axum. So `/%73low`, `//slow` and
//! `/x/../slow` are not `/slow`. An upstream that normalises them needs a rule for the wider path, or
//! a default that is safe.
//!
//! A layer that is mounted inside of axum's router finds the same rule as one outside of it. A nested
//! router's requests have only the rest of their path, so the path that was sent is taken from axum's
//! `OriginalUri` where that is there. What the router itself matched does not matter: it may well have
//! one route `/users/{id}` where the file has a rule for `/users/me`.
//!
//! A gRPC method is the path `/package.Service/Method`, and the condition that the method is `POST`;
//! a service alone stands for all of its methods. The content type is not asked for, because servers
//! such as `tonic` answer whatever it is.
//!
//! # What it costs
//!
//! A table for each segment, and one for hosts: the same with ten routes and with ten thousand.
//! Rules with the very same path are found by their hosts, too. Only those with the very same path and
//! host (or for any host), which differ by method or headers, are tried one after the other: of a
//! thousand that differ by a header, one is found in about 8 µs instead of 0.1
//! (`cargo bench -p buttress-benches --bench config -- lookup`).

mod conditions;
mod explain;
#[cfg(test)]
mod head_tests;
mod hidden;
#[cfg(test)]
mod hidden_steps_tests;
#[cfg(test)]
mod hidden_tests;
mod host;
mod methods;
#[cfg(test)]
mod model_tests;
mod template;
#[cfg(test)]
mod tests;
mod tree;

pub use conditions::Condition;
pub use explain::{Explained, WhyNot};
pub use hidden::Hidden;
pub use template::TemplateError;

use conditions::Conditions;
pub(crate) use host::host_holds;
use http::{HeaderName, HeaderValue, Method, Request};
use template::Template;
use tree::Tree;

/// What a rule is for. What is not said is not asked: the default is every request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Match {
    /// Any of these methods; any at all if there are none. `GET` stands for `HEAD` too, but for
    /// requests that a rule of the same path matches which names that.
    pub methods: Vec<Method>,
    /// A path template: `/users/{id}`.
    pub path: Option<String>,
    /// A gRPC method, `package.Service/Method`, or all of a service's, `package.Service`. With it
    /// there is no `path`.
    pub grpc: Option<String>,
    /// A host, `api.example.com` or `*.example.com`, in any case. The port is part of it if it is
    /// given, and else it does not matter. Nor does a dot at the end of the name.
    pub host: Option<String>,
    /// Header fields that must be there: with a value, exactly once and with this one; without, at
    /// least once.
    pub headers: Vec<(HeaderName, Option<HeaderValue>)>,
}

/// Finds the rule for a request. Rules are known by their number, from 0 on.
#[derive(Debug)]
pub struct Routes {
    tree: Tree,
    entries: Vec<Entry>,
}

/// A rule, parsed.
#[derive(Debug)]
struct Entry {
    template: Option<Template>,
    conditions: Conditions,
}

impl Routes {
    /// The rules for these matches, in the file's order.
    ///
    /// # Errors
    ///
    /// The number of the first rule whose path cannot be read, and why.
    pub fn new<'a>(
        matches: impl IntoIterator<Item = &'a Match>,
    ) -> Result<Self, (usize, TemplateError)> {
        let mut tree = Tree::default();
        let mut entries = Vec::new();
        for (number, wanted) in matches.into_iter().enumerate() {
            let template = wanted.template().map_err(|error| (number, error))?;
            let conditions = Conditions::of(wanted);
            tree.insert(template.as_ref(), number, &conditions);
            let template = template.filter(|_| wanted.path.is_some() || wanted.grpc.is_some());
            entries.push(Entry {
                template,
                conditions,
            });
        }
        Ok(Self { tree, entries })
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The number of the rule that applies to `request`, if one does.
    #[inline]
    pub fn find<B>(&self, request: &Request<B>) -> Option<usize> {
        if self.entries.is_empty() {
            return None;
        }
        self.tree
            .find(path_of(request), |leaf| leaf.find(request, &self.entries))
    }
}

/// The path that was sent, of which nested routers take the front off.
fn path_of<B>(request: &Request<B>) -> &str {
    #[cfg(feature = "axum")]
    if let Some(original) = request.extensions().get::<axum::extract::OriginalUri>() {
        return original.path();
    }
    request.uri().path()
}

impl Match {
    fn template(&self) -> Result<Option<Template>, TemplateError> {
        match (&self.grpc, &self.path) {
            (Some(method), None) => Template::of_grpc(method).map(Some),
            (Some(_), Some(_)) => Err(TemplateError::Two),
            (None, Some(path)) => Template::parse(path).map(Some),
            (None, None) => Ok(None),
        }
    }
}
