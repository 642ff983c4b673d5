//! How many attempts there were before this one, as header fields carry it.

use http::HeaderName;

/// The number of attempts before this one, in gRPC (gRFC A6). It is absent on the first.
pub const GRPC_PREVIOUS_ATTEMPTS: HeaderName =
    HeaderName::from_static("grpc-previous-rpc-attempts");

/// Reads a number of attempts: digits. One too large for anybody to have made is the largest.
/// What is no number is none: a stranger's idea of the header must not break a request.
///
/// ```
/// use buttress_core::attempt_header::parse_attempts;
///
/// assert_eq!(parse_attempts(b"2"), Some(2));
/// assert_eq!(parse_attempts(b"two"), None);
/// ```
pub fn parse_attempts(value: &[u8]) -> Option<u32> {
    if value.is_empty() || value.len() > DIGITS || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |number: u32, digit: &u8| {
        let digit = u32::from(digit - b'0');
        number.saturating_mul(10).saturating_add(digit)
    };
    Some(value.iter().fold(0, digit))
}

/// More than any number needs.
const DIGITS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digits_are_a_number_and_nothing_else_is() {
        let most = b"99999999999999999999";
        for (value, attempts) in [
            (&b"0"[..], Some(0)),
            (b"1", Some(1)),
            (b"007", Some(7)),
            (b"4294967295", Some(u32::MAX)),
            (b"4294967296", Some(u32::MAX)),
            (most, Some(u32::MAX)),
            (b"999999999999999999999", None),
            (b"", None),
            (b"-1", None),
            (b"+1", None),
            (b" 1", None),
            (b"1.0", None),
            (b"one", None),
            (b"\xff", None),
        ] {
            assert_eq!(parse_attempts(value), attempts, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(value: Vec<u8>) {
            let _ = parse_attempts(&value);
        }

        #[test]
        fn what_is_written_is_read(attempts: u32) {
            prop_assert_eq!(parse_attempts(attempts.to_string().as_bytes()), Some(attempts));
        }
    }
}
