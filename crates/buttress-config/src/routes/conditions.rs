use super::Match;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use std::borrow::Cow;
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

/// Methods: a bit for each of the usual ones.
#[derive(Clone, Debug)]
struct Methods {
    usual: u16,
    others: Vec<Method>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Host {
    /// In lower case.
    Fixed(Box<str>),
    /// What follows the star, in lower case: `.example.com`.
    Under(Box<str>),
}

const USUAL: [Method; 9] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::HEAD,
    Method::OPTIONS,
    Method::CONNECT,
    Method::PATCH,
    Method::TRACE,
];

impl Methods {
    fn of(methods: &[Method]) -> Self {
        let mut usual = 0;
        let mut others = Vec::new();
        for method in methods {
            match bit(method) {
                0 => others.push(method.clone()),
                bit => usual |= bit,
            }
        }
        Self { usual, others }
    }

    fn is_any(&self) -> bool {
        self.usual == 0 && self.others.is_empty()
    }

    /// Whether it is one of them by its name.
    fn name(&self, method: &Method) -> bool {
        self.usual & bit(method) != 0
    }

    /// Whether every one of the others is one of these.
    fn cover(&self, others: &Self) -> bool {
        let mut unusual = others.others.iter();
        self.is_any()
            || (!others.is_any()
                && others.usual & !self.usual == 0
                && unusual.all(|method| self.others.contains(method)))
    }

    fn hold(&self, method: &Method) -> bool {
        self.is_any() || self.usual & bit(method) != 0 || self.others.contains(method)
    }
}

fn bit(method: &Method) -> u16 {
    let place = USUAL.iter().position(|usual| usual == method);
    place.map_or(0, |place| 1 << place)
}

impl Host {
    fn of(text: &str) -> Self {
        let text = plain(text);
        match text.strip_prefix('*') {
            Some(end) if end.starts_with('.') => Self::Under(end.into()),
            _ => Self::Fixed(text.into()),
        }
    }

    pub(super) fn holds(&self, host: &str) -> bool {
        match self {
            Self::Fixed(fixed) => with_and_without_port(host).any(|host| *host == **fixed),
            Self::Under(end) => with_and_without_port(host)
                .any(|host| host.len() > end.len() && host.ends_with(&**end)),
        }
    }
}

/// The host as it is, and without its port, if it has one.
pub(super) fn with_and_without_port(host: &str) -> impl Iterator<Item = &str> {
    let colon = colon(host);
    [Some(host), colon.map(|colon| &host[..colon])]
        .into_iter()
        .flatten()
}

/// Where the port begins.
fn colon(host: &str) -> Option<usize> {
    // A colon may be a part of an address in brackets.
    host.rfind(':')
        .filter(|colon| !host[*colon..].contains(']'))
}

/// The host as it is compared: in lower case, and without the dot that may stand at the end of a
/// name, before the port. It is copied only if it is not lower case, or has both dot and port.
fn plain(host: &str) -> Cow<'_, str> {
    let (name, port) = host.split_at(colon(host).unwrap_or(host.len()));
    let shorter = name.strip_suffix('.').unwrap_or(name);
    let mut plain = match port {
        "" => Cow::Borrowed(shorter),
        _ if shorter == name => Cow::Borrowed(host),
        port => Cow::Owned([shorter, port].concat()),
    };
    if plain.bytes().any(|byte| byte.is_ascii_uppercase()) {
        plain.to_mut().make_ascii_lowercase();
    }
    plain
}

/// Whether a rule for the host `wanted` is one for the host `sent`.
pub(crate) fn host_holds(wanted: &str, sent: &str) -> bool {
    Host::of(wanted).holds(&plain(sent))
}

/// The host that a request is for, as it is compared.
pub(super) fn host_of<B>(request: &Request<B>) -> Option<Cow<'_, str>> {
    let host = match request.uri().authority() {
        Some(authority) => authority.as_str().rsplit('@').next()?,
        None => request.headers().get(header::HOST)?.to_str().ok()?,
    };
    Some(plain(host))
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

    /// From here on, `HEAD` is taken as well if `GET` is.
    pub(super) fn take_head_with_get(&mut self) {
        if self.methods.name(&Method::GET) {
            self.methods.usual |= bit(&Method::HEAD);
        }
    }

    /// Where the rule of that number stands among those with the same path.
    pub(super) fn rank(&self, number: usize) -> Rank {
        let count = usize::from(!self.methods.is_any())
            + usize::from(self.host.is_some())
            + usize::from(self.grpc)
            + self.headers.len();
        let under = matches!(self.host, Some(Host::Under(_)));
        (Reverse(count), under, number)
    }

    /// Whether all hold but that on the host, which was looked at already.
    pub(super) fn hold_but_for_host<B>(&self, request: &Request<B>) -> bool {
        self.methods.hold(request.method())
            && self.grpc_holds(request)
            && self.headers_hold(request.headers())
    }

    /// Those that don't hold.
    pub(super) fn missing<B>(&self, request: &Request<B>) -> Vec<Condition> {
        let mut missing = Vec::new();
        if !self.methods.hold(request.method()) {
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

    /// Whether every request for which `other` holds is one for which these do.
    pub(super) fn cover(&self, other: &Self) -> bool {
        let post = Methods::of(&[Method::POST]);
        let theirs = if other.grpc { &post } else { &other.methods };
        let methods = self.methods.cover(theirs) && (!self.grpc || post.cover(theirs));
        let host = match (&self.host, &other.host) {
            (None, _) => true,
            (Some(Host::Under(end)), Some(Host::Under(other))) => other.ends_with(&**end),
            (Some(mine), Some(Host::Fixed(other))) => mine.holds(other),
            (Some(_), _) => false,
        };
        let headers = self.headers.iter().all(|(name, value)| {
            other
                .headers
                .iter()
                .any(|(theirs, given)| theirs == name && (value.is_none() || value == given))
        });
        methods && host && headers
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
