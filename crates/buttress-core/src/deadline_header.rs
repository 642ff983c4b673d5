//! Deadlines as header fields carry them: as the time that is left.
//!
//! The parsers look at a dozen bytes at most and allocate nothing. The writers round down, because
//! a deadline only ever shrinks.

use http::HeaderValue;
use std::fmt;
use std::time::Duration;

/// Reads the value of `grpc-timeout`: one to eight digits and a unit, `H`, `M`, `S`, `m`, `u` or
/// `n` (gRPC over HTTP/2). The grammar asks for a positive number, yet clients send 0 when their
/// time is up, so it is read, as no time at all.
///
/// # Errors
///
/// The value is anything else.
///
/// ```
/// use buttress_core::deadline_header::parse_grpc_timeout;
/// use std::time::Duration;
///
/// assert_eq!(parse_grpc_timeout(b"250m"), Ok(Duration::from_millis(250)));
/// assert!(parse_grpc_timeout(b"250 ms").is_err());
/// ```
pub fn parse_grpc_timeout(value: &[u8]) -> Result<Duration, MalformedDeadline> {
    let (unit, digits) = value.split_last().ok_or(MalformedDeadline)?;
    let number = parse_digits(digits, GRPC_DIGITS)?;
    Ok(match unit {
        // Eight digits of hours are eleven thousand years, which a `Duration` holds.
        b'H' => Duration::from_secs(number * 60 * 60),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return Err(MalformedDeadline),
    })
}

/// Writes `grpc-timeout`, in the finest unit in which the number has at most eight digits.
///
/// ```
/// use buttress_core::deadline_header::write_grpc_timeout;
/// use std::time::Duration;
///
/// assert_eq!(write_grpc_timeout(Duration::from_millis(250)), "250000u");
/// ```
pub fn write_grpc_timeout(left: Duration) -> HeaderValue {
    let units = [
        (1, 'n'),
        (1_000, 'u'),
        (1_000_000, 'm'),
        (1_000_000_000, 'S'),
        (60_000_000_000, 'M'),
        (3_600_000_000_000, 'H'),
    ];
    let nanoseconds = left.as_nanos();
    let (number, unit) = units
        .map(|(length, unit)| (nanoseconds / length, unit))
        .into_iter()
        .find(|(number, _)| *number <= GRPC_LARGEST)
        .unwrap_or((GRPC_LARGEST, 'H'));
    // Digits and a letter are always a header's value.
    HeaderValue::try_from(format!("{number}{unit}"))
        .unwrap_or_else(|_| HeaderValue::from_static("0n"))
}

/// Reads a whole number of milliseconds of at most ten digits, which is about four months.
///
/// # Errors
///
/// The value is anything else.
pub fn parse_milliseconds(value: &[u8]) -> Result<Duration, MalformedDeadline> {
    parse_digits(value, MILLISECOND_DIGITS).map(Duration::from_millis)
}

/// Writes a whole number of milliseconds, of at most ten digits.
pub fn write_milliseconds(left: Duration) -> HeaderValue {
    let milliseconds = left.as_millis().min(MILLISECONDS_LARGEST);
    // At most ten digits.
    HeaderValue::from(milliseconds as u64)
}

/// A deadline that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedDeadline;

impl fmt::Display for MalformedDeadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a deadline: expected digits (for gRPC at most 8, and one of H M S m u n)")
    }
}

impl std::error::Error for MalformedDeadline {}

const GRPC_DIGITS: usize = 8;
const GRPC_LARGEST: u128 = 99_999_999;
const MILLISECOND_DIGITS: usize = 10;
const MILLISECONDS_LARGEST: u128 = 9_999_999_999;

fn parse_digits(digits: &[u8], most: usize) -> Result<u64, MalformedDeadline> {
    if digits.is_empty() || digits.len() > most || !digits.iter().all(u8::is_ascii_digit) {
        return Err(MalformedDeadline);
    }
    let digit = |number: u64, digit: &u8| number * 10 + u64::from(digit - b'0');
    Ok(digits.iter().fold(0, digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_grammar_is_kept_to_the_letter() {
        for (value, expected) in [
            ("1H", Some(Duration::from_secs(3_600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("6n", Some(Duration::from_nanos(6))),
            ("0S", Some(Duration::ZERO)),
            ("00000007S", Some(Duration::from_secs(7))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3_600))),
            ("100000000n", None),
            ("", None),
            ("S", None),
            ("1", None),
            ("1s", None),
            ("1h", None),
            ("+1S", None),
            ("-1S", None),
            ("1 S", None),
            (" 1S", None),
            ("1S ", None),
            ("1.5S", None),
            ("1SS", None),
            ("1e3m", None),
            ("٣S", None),
        ] {
            assert_eq!(
                parse_grpc_timeout(value.as_bytes()).ok(),
                expected,
                "{value:?}"
            );
        }
    }

    #[test]
    fn milliseconds_are_digits_and_nothing_else() {
        let read = |text: &str| parse_milliseconds(text.as_bytes()).ok();
        assert_eq!(read("1500"), Some(Duration::from_millis(1_500)));
        assert_eq!(
            read("9999999999"),
            Some(Duration::from_millis(9_999_999_999))
        );
        for bad in ["", "10000000000", "1.5", "-1", "+1", "1ms", " 1"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_and_never_grows(nanoseconds: u64, seconds: u32) {
            let left = Duration::from_nanos(nanoseconds) + Duration::from_secs(seconds.into());
            let read = parse_grpc_timeout(write_grpc_timeout(left).as_bytes()).unwrap();
            prop_assert!(read <= left);
            // Eight digits leave an error of less than one in ten million, or a nanosecond.
            prop_assert!(left.saturating_sub(read) <= left / 1_000_000 + Duration::from_nanos(1));
            let read = parse_milliseconds(write_milliseconds(left).as_bytes()).unwrap();
            prop_assert!(read <= left);
        }

        #[test]
        fn no_bytes_make_the_parsers_panic(value: Vec<u8>) {
            let _ = parse_grpc_timeout(&value);
            let _ = parse_milliseconds(&value);
        }

        #[test]
        fn what_looks_like_a_timeout_is_one_by_the_model(value in "[0-9]{0,10}[HMSmun0-9 ]?") {
            let (number, unit) = value.split_at(value.len().saturating_sub(1));
            let valid = (1..=8).contains(&number.len())
                && number.chars().all(|c| c.is_ascii_digit())
                && "HMSmun".contains(unit)
                && !unit.is_empty();
            prop_assert_eq!(parse_grpc_timeout(value.as_bytes()).is_ok(), valid);
        }
    }
}
