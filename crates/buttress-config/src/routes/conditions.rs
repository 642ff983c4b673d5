use super::Match;
use super::host::{Host, host_of};
use super::methods::{Head, Methods};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use std::cmp::Reverse;
use std::fmt;

/// What must hold of a request besides its path.
#[derive(Clone, Debug)]
pub(super) struct Conditions {
    methods: Methods,
    pub(super) host: Option<Host>,
    grpc: bool,
    headers: Vec<(HeaderName, Option<HeaderValue>)>,
}

/// A header that is wanted, and what it must say.
pub(super) type Wanted<'a> = (&'a str, Option<&'a [u8]>);

/// How conditions are ordered: the smaller applies first.
pub(super) type Rank = (Reverse<usize>, bool, usize);

/// Something that must hold of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// The method is one of some.
    Method,
    /// The host is this one.
    Host,
    /// The method is `POST`, as it is in all of gRPC.
    Grpc,
    /// The header field of that name is there, with the value if one is given.
    Header(HeaderName),
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method => f.write_str("the method"),
            Self::Host => f.write_str("the host"),
            Self::Grpc => f.write_str("the method, which is always POST in gRPC"),
            Self::Header(name) => write!(f, "the header `{name}`"),
        }
    }
}

impl Conditions {
    pub(super) fn of(wanted: &Match) -> Self {
        Self {
            methods: Methods::of(&wanted.methods),
            host: wanted.host.as_deref().map(Host::of),
            grpc: wanted.grpc.is_some(),
            headers: wanted.headers.clone(),
        }
    }

    /// Whether one of the methods is `HEAD`, which gRPC has not.
    pub(super) fn name_head(&self) -> bool {
        !self.grpc && self.methods.name(&Method::HEAD)
    }

    /// Where the rule of that number stands among those with the same path.
    pub(super) fn rank(&self, number: usize) -> Rank {
        let count = self.count_of_methods() + usize::from(self.host.is_some()) + self.headers.len();
        let under = matches!(self.host, Some(Host::Under(_)));
        (Reverse(count), under, number)
    }

    /// How many of the conditions are about the method.
    pub(super) fn count_of_methods(&self) -> usize {
        usize::from(!self.methods.is_any()) + usize::from(self.grpc)
    }

    /// The headers, in an order that does not depend on the file's.
    pub(super) fn headers_in_order(&self) -> Vec<Wanted<'_>> {
        let headers = self.headers.iter();
        let headers =
            headers.map(|(name, value)| (name.as_str(), value.as_ref().map(HeaderValue::as_bytes)));
        let mut headers: Vec<_> = headers.collect();
        headers.sort_unstable();
        headers.dedup();
        headers
    }

    /// Whether all hold but that on the host, which was looked at already.
    #[inline]
    pub(super) fn hold_but_for_host<B>(&self, request: &Request<B>, head: Head) -> bool {
        self.methods.hold(request.method(), head)
            && self.grpc_holds(request)
            && self.headers_hold(request.headers())
    }

    /// Those that don't hold.
    pub(super) fn missing<B>(&self, request: &Request<B>, head: Head) -> Vec<Condition> {
        let mut missing = Vec::new();
        if !self.methods.hold(request.method(), head) {
            missing.push(Condition::Method);
        }
        if let Some(wanted) = &self.host
            && !host_of(request).is_some_and(|host| wanted.holds(&host))
        {
            missing.push(Condition::Host);
        }
        if !self.grpc_holds(request) {
            missing.push(Condition::Grpc);
        }
        for (name, value) in &self.headers {
            if !holds(request.headers(), name, value.as_ref()) {
                missing.push(Condition::Header(name.clone()));
            }
        }
        missing
    }

    /// The methods that fulfil these conditions by their names. `None` if no method does.
    pub(super) fn effective_methods(&self) -> Option<Methods> {
        if !self.grpc {
            return Some(self.methods.clone());
        }
        let post = self.methods.hold(&Method::POST, Head::OfItsOwn);
        post.then(|| Methods::of(&[Method::POST]))
    }

    /// What serves gRPC goes by the path, and need not look at the content type: `tonic` does not.
    /// So whoever leaves that out must not pass by a rule.
    fn grpc_holds<B>(&self, request: &Request<B>) -> bool {
        !self.grpc || request.method() == Method::POST
    }

    fn headers_hold(&self, headers: &HeaderMap) -> bool {
        let mut conditions = self.headers.iter();
        conditions.all(|(name, value)| holds(headers, name, value.as_ref()))
    }
}

fn holds(headers: &HeaderMap, name: &HeaderName, value: Option<&HeaderValue>) -> bool {
    let mut found = headers.get_all(name).iter();
    match (value, found.next(), found.next()) {
        (None, Some(_), _) => true,
        (Some(value), Some(only), None) => value == only,
        _ => false,
    }
}
