use buttress_core::{Key, MissingKey};
use http::{Request, header};
use std::hash::{Hash, Hasher};

/// Tells calls apart by the host that they are meant for: the URI's authority, or else the `Host`
/// header, in lower case, with the port if one is given.
///
/// In a client it is the upstream that is called, so that one that hangs doesn't use up what the
/// others need. In a server it is the virtual host; there the client chooses what it says, so use
/// it only where unknown hosts are turned away before. A call with neither has no key, and is
/// refused with [`Reason::KeyMissing`](crate::Reason::KeyMissing).
///
/// ```
/// use buttress::{Bulkhead, key::authority};
///
/// let per_upstream = Bulkhead::builder(32).by(authority()).build()?;
/// # let _ = per_upstream;
/// # Ok::<(), buttress::SettingError>(())
/// ```
pub const fn authority() -> Authority {
    Authority { _private: () }
}

/// The key that [`authority`] makes.
#[derive(Clone, Copy, Debug)]
pub struct Authority {
    _private: (),
}

impl<B> Key<Request<B>> for Authority {
    type Key<'a>
        = HostName<'a>
    where
        B: 'a;

    fn key<'a>(&self, call: &'a Request<B>) -> Result<HostName<'a>, MissingKey> {
        let name = match call.uri().authority() {
            // Who is asked, without who asks.
            Some(authority) => authority
                .as_str()
                .rsplit('@')
                .next()
                .unwrap_or_default()
                .as_bytes(),
            None => call
                .headers()
                .get(header::HOST)
                .map_or(&[][..], |host| host.as_bytes()),
        };
        match name {
            [] => Err(MissingKey::NotSent),
            name => Ok(HostName(name)),
        }
    }
}

/// A host's name, whatever the case of its letters.
#[derive(Clone, Copy, Debug)]
pub struct HostName<'a>(&'a [u8]);

impl PartialEq for HostName<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(other.0)
    }
}

impl Eq for HostName<'_> {}

impl Hash for HostName<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.0 {
            state.write_u8(byte.to_ascii_lowercase());
        }
        // So that no two of them in a tuple run into each other.
        state.write_u8(0xff);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use std::hash::{BuildHasher, RandomState};

    #[test]
    fn the_uri_comes_before_the_header_and_case_does_not_matter() {
        let by_uri = Request::get("http://user@Example.com:8080/x")
            .body(())
            .unwrap();
        let mut by_header = Request::get("/x").body(()).unwrap();
        assert_eq!(authority().key(&by_header), Err(MissingKey::NotSent));
        let host = HeaderValue::from_static("example.COM:8080");
        by_header.headers_mut().insert(header::HOST, host);
        let (one, other) = (authority().key(&by_uri), authority().key(&by_header));
        assert_eq!(one, other);
        let state = RandomState::new();
        assert_eq!(state.hash_one(one.unwrap()), state.hash_one(other.unwrap()));
    }
}
