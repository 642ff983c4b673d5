use buttress_core::{Key, MissingKey, SettingError};
use http::{HeaderName, Request};

/// Tells calls apart by what a header says: an API key, a tenant that a gateway has checked.
///
/// # How it fails when misused
///
/// A header that is not checked before it gets here is whatever the client says, and a client that
/// says something new each time has no limit. Put the check outside of this layer.
///
/// A call without the header, with an empty one, or with more than one is refused with
/// [`Reason::KeyMissing`](crate::Reason::KeyMissing): of two values, nobody knows which one was
/// checked.
///
/// ```
/// use buttress::{RateLimit, key::header};
///
/// let limit = RateLimit::per_minute(600).by(header("x-api-key")?).build()?;
/// # let _ = limit;
/// # Ok::<(), buttress::SettingError>(())
/// ```
///
/// # Errors
///
/// `name` is not a header's name.
pub fn header(name: &str) -> Result<HeaderKey, SettingError> {
    let name = crate::deadline::header_name(name)?;
    Ok(HeaderKey { name })
}

/// The key that [`header`] makes.
#[derive(Clone, Debug)]
pub struct HeaderKey {
    name: HeaderName,
}

impl<B> Key<Request<B>> for HeaderKey {
    type Key<'a>
        = &'a [u8]
    where
        B: 'a;

    fn key<'a>(&self, call: &'a Request<B>) -> Result<&'a [u8], MissingKey> {
        let mut values = call.headers().get_all(&self.name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) if !value.is_empty() => Ok(value.as_bytes()),
            _ => Err(MissingKey::NotSent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn exactly_one_value_is_a_key() {
        let by = header("X-Api-Key").unwrap();
        let mut request = Request::new(());
        assert_eq!(by.key(&request), Err(MissingKey::NotSent));
        let add = |request: &mut Request<()>, value| {
            let value = HeaderValue::from_static(value);
            request.headers_mut().append("x-api-key", value);
        };
        add(&mut request, "one");
        assert_eq!(by.key(&request), Ok(&b"one"[..]));
        add(&mut request, "two");
        assert_eq!(by.key(&request), Err(MissingKey::NotSent));
        let mut empty = Request::new(());
        add(&mut empty, "");
        assert_eq!(by.key(&empty), Err(MissingKey::NotSent));
    }

    #[test]
    fn what_is_no_header_is_refused() {
        assert_eq!(header("not a name").unwrap_err().field(), "header");
    }
}
