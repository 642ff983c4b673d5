//! What a callee says about calling again: `Retry-After` and `grpc-retry-pushback-ms`.
//!
//! A callee that has too much to do knows best when it will have less. Callers that don't listen
//! come back in the middle of it, all together. But what it says is a header that anybody on the
//! way can write, so whoever obeys bounds it: by the deadline, or by a longest wait of their own.
//!
//! The parsers look at a few dozen bytes at most and allocate nothing.

use crate::setting::LONGEST;
use http::{HeaderMap, HeaderName, HeaderValue, header};
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
    /// Not again: a `grpc-retry-pushback-ms` that is negative, or that cannot be read (gRFC A6), or
    /// [`x-should-retry`](SHOULD_RETRY) with the value `false`.
    Never,
}

impl Pushback {
    /// What the headers or trailers of an answer say. `grpc-retry-pushback-ms` comes before
    /// `x-should-retry`, and that before `Retry-After`, of which both forms are read (RFC 9110, section 10.2.3). A date counts from
    /// the answer's own `Date`, so that the two clocks need not agree, or from this machine's clock
    /// if there is none. A `Retry-After` that cannot be read says nothing.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        if let Some(value) = headers.get(GRPC_PUSHBACK) {
            return Some(parse_grpc_pushback(value.as_bytes()));
        }
        if headers
            .get(SHOULD_RETRY)
            .is_some_and(|value| value == DO_NOT)
        {
            return Some(Self::Never);
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

/// The do-not-retry marker: an answer that carries it with the value [`false`](DO_NOT) must not be
/// retried, by anybody, because it has been already or because the callee knows that it is of no
/// use.
///
/// HTTP has no standard for that. The name is the one that the clients of `OpenAI`'s and Anthropic's
/// services obey today (Stripe's have it with a prefix), so some callers understand it who have
/// never heard of us. Other values mean nothing here: that an answer *should* be retried is for the
/// caller to know. gRPC has a standard, a negative `grpc-retry-pushback-ms`.
pub const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// What [`SHOULD_RETRY`] must say.
pub const DO_NOT: HeaderValue = HeaderValue::from_static("false");

/// Marks an answer that must not be retried: with the header `marker`, and for gRPC also with a
/// negative pushback. A service's handler can do so, for an answer that has been computed at great
/// expense, or when it knows that it will be the same next time.
///
/// ```
/// use buttress_core::pushback::{Pushback, SHOULD_RETRY, forbid_retries};
/// use http::HeaderMap;
///
/// let mut headers = HeaderMap::new();
/// forbid_retries(&mut headers, &SHOULD_RETRY, false);
/// assert_eq!(headers["x-should-retry"], "false");
/// assert_eq!(Pushback::of(&headers), Some(Pushback::Never));
/// ```
pub fn forbid_retries(headers: &mut HeaderMap, marker: &HeaderName, is_grpc: bool) {
    // A header map has an end, far beyond what any server sends; one that is full is not marked.
    let _ = headers.try_insert(marker, DO_NOT);
    if is_grpc {
        let _ = headers.try_insert(GRPC_PUSHBACK, HeaderValue::from_static("-1"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn what_is_marked_is_not_retried() {
        let marked = ("x-should-retry", &b"false"[..]);
        assert_eq!(of(&[marked]), Some(Pushback::Never));
        assert_eq!(of(&[("retry-after", b"1"), marked]), Some(Pushback::Never));
        for value in [&b"true"[..], b"", b"FALSE", b"0", b"\xff"] {
            assert_eq!(of(&[("x-should-retry", value)]), None, "{value:?}");
        }
        let mut headers = HeaderMap::new();
        forbid_retries(&mut headers, &SHOULD_RETRY, true);
        assert_eq!(headers["grpc-retry-pushback-ms"], "-1");
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
