use http::{Request, header};
use std::borrow::Cow;

/// The host that a rule is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Host {
    /// In lower case.
    Fixed(Box<str>),
    /// What follows the star, in lower case: `.example.com`.
    Under(Box<str>),
}

impl Host {
    pub(super) fn of(text: &str) -> Self {
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

    /// Whether it holds whatever the other one does. (That `*.a.test` holds what `*.a.test:80` does
    /// is not seen.)
    pub(super) fn cover(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Under(end), Self::Under(other)) => other.ends_with(&**end),
            (mine, Self::Fixed(other)) => mine.holds(other),
            (Self::Fixed(_), Self::Under(_)) => false,
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
