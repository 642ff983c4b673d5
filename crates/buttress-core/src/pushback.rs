//! What a callee says about calling again: `Retry-After` and `grpc-retry-pushback-ms`.
//!
//! A callee that has too much to do knows best when it will have less. Callers that don't listen
//! come back in the middle of it, all together. But what it says is a header that anybody on the
//! way can write, so whoever obeys bounds it: by the deadline, or by a longest wait of their own.
//!
//! The parsers look at a few dozen bytes at most and allocate nothing.

use crate::setting::LONGEST;
use http::{HeaderMap, HeaderName, header};
use std::time::{Duration, SystemTime};

/// What a callee says about calling again.
///
/// ```
/// use buttress_core::pushback::Pushback;
/// use http::{HeaderMap, HeaderValue};
/// use std::time::Duration;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("retry-after", HeaderValue::from_static("3"));
/// assert_eq!(Pushback::of(&headers), Some(Pushback::After(Duration::from_secs(3))));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushback {
    /// Not before this time has passed; a year at most.
    After(Duration),
    /// Not again: a `grpc-retry-pushback-ms` that is negative, or that cannot be read (gRFC A6).
    Never,
}

impl Pushback {
    /// What the headers or trailers of an answer say. `grpc-retry-pushback-ms` comes before
    /// `Retry-After`, of which both forms are read (RFC 9110, section 10.2.3). A date counts from
    /// the answer's own `Date`, so that the two clocks need not agree, or from this machine's clock
    /// if there is none. A `Retry-After` that cannot be read says nothing.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        if let Some(value) = headers.get(GRPC_PUSHBACK) {
            return Some(parse_grpc_pushback(value.as_bytes()));
        }
        let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
        if let Some(seconds) = parse_seconds(value) {
            return Some(Self::After(seconds));
        }
        let then = httpdate::parse_http_date(value).ok()?;
        let date = headers.get(header::DATE);
        let date = date.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        let now = date.unwrap_or_else(SystemTime::now);
        let wait = then.duration_since(now).unwrap_or(Duration::ZERO);
        Some(Self::After(wait.min(LONGEST)))
    }

    /// How long to wait, if calling again is allowed.
    pub const fn wait(self) -> Option<Duration> {
        match self {
            Self::After(wait) => Some(wait),
            Self::Never => None,
        }
    }
}

/// Reads `grpc-retry-pushback-ms`: a whole number of milliseconds in 32 bits.
fn parse_grpc_pushback(value: &[u8]) -> Pushback {
    let number = std::str::from_utf8(value).ok();
    match number.and_then(|number| number.parse::<i32>().ok()) {
        Some(milliseconds @ 0..) => Pushback::After(Duration::from_millis(u64::from(
            milliseconds.unsigned_abs(),
        ))),
        _ => Pushback::Never,
    }
}

/// Reads delay-seconds. A number too large for any clock is a year, like the largest that is not.
fn parse_seconds(value: &str) -> Option<Duration> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = value.parse().map_or(LONGEST, Duration::from_secs);
    Some(seconds.min(LONGEST))
}

/// Milliseconds that a gRPC server asks its clients to wait before they try again (gRFC A6).
pub const GRPC_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn of(fields: &[(&'static str, &[u8])]) -> Option<Pushback> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.insert(*name, HeaderValue::from_bytes(value).ok()?);
        }
        Pushback::of(&headers)
    }

    fn seconds(seconds: u64) -> Pushback {
        Pushback::After(Duration::from_secs(seconds))
    }

    #[test]
    fn both_forms_of_retry_after_are_read() {
        assert_eq!(of(&[("retry-after", b"120")]), Some(seconds(120)));
        assert_eq!(of(&[("retry-after", b"0")]), Some(seconds(0)));
        let date = ("date", &b"Tue, 29 Oct 2024 16:56:32 GMT"[..]);
        let later = b"Tue, 29 Oct 2024 16:56:52 GMT";
        assert_eq!(of(&[date, ("retry-after", later)]), Some(seconds(20)));
        let earlier = b"Tue, 29 Oct 2024 16:56:12 GMT";
        assert_eq!(of(&[date, ("retry-after", earlier)]), Some(seconds(0)));
        let past_by_our_clock = b"Fri, 31 Dec 1999 23:59:59 GMT";
        assert_eq!(of(&[("retry-after", past_by_our_clock)]), Some(seconds(0)));
    }

    #[test]
    fn a_retry_after_that_cannot_be_read_says_nothing() {
        for value in [
            &b"soon"[..],
            b"",
            b"-1",
            b"1.5",
            b"+3",
            b" 3",
            b"3 s",
            b"\xff",
        ] {
            assert_eq!(of(&[("retry-after", value)]), None, "{value:?}");
        }
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn numbers_beyond_any_clock_are_a_year() {
        let endless = b"99999999999999999999999999";
        assert_eq!(
            of(&[("retry-after", endless)]),
            Some(Pushback::After(LONGEST))
        );
        let far = b"Fri, 31 Dec 9999 23:59:59 GMT";
        assert_eq!(of(&[("retry-after", far)]), Some(Pushback::After(LONGEST)));
    }

    #[test]
    fn grpc_is_read_as_its_specification_says() {
        let pushback = |value: &'static [u8]| of(&[("grpc-retry-pushback-ms", value)]);
        assert_eq!(
            pushback(b"1500"),
            Some(Pushback::After(Duration::from_millis(1_500)))
        );
        assert_eq!(pushback(b"0"), Some(seconds(0)));
        for never in [&b"-1"[..], b"", b"soon", b"2147483648", b"1.5", b"\xff"] {
            assert_eq!(pushback(never), Some(Pushback::Never), "{never:?}");
        }
        let both = [
            ("grpc-retry-pushback-ms", &b"-1"[..]),
            ("retry-after", b"5"),
        ];
        assert_eq!(of(&both), Some(Pushback::Never));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_wait_longer_than_a_year(value: Vec<u8>, grpc: bool) {
            let name = if grpc { "grpc-retry-pushback-ms" } else { "retry-after" };
            if let Some(Pushback::After(wait)) = of(&[(name, &value)]) {
                prop_assert!(wait <= LONGEST);
            }
        }
    }
}
