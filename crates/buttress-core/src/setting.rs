//! Settings that make no sense, and the checks that find them.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// A setting that makes no sense, found when a policy is built.
///
/// ```
/// use buttress_core::Slots;
///
/// let error = Slots::new(0).unwrap_err();
/// assert_eq!(error.field(), "limit");
/// assert_eq!(
///     error.to_string(),
///     "`limit` is 0, but must be from 1 to 4294967295"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    field: &'static str,
    value: String,
    allowed: Cow<'static, str>,
}

impl SettingError {
    /// An error about `field`, which holds `value`, where only `allowed` makes sense. `allowed`
    /// completes the sentence "must be …".
    pub fn new(
        field: &'static str,
        value: impl fmt::Display,
        allowed: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            field,
            value: value.to_string(),
            allowed: allowed.into(),
        }
    }

    /// The setting's name, as its builder method spells it.
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// The value that was given.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What would have been accepted.
    pub fn allowed(&self) -> &str {
        &self.allowed
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            value,
            allowed,
        } = self;
        write!(f, "`{field}` is {value}, but must be {allowed}")
    }
}

impl std::error::Error for SettingError {}

/// The longest time that any setting may hold: a year. Longer ones are mistakes of unit, and
/// sums of them would overflow the platform's clock.
pub const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Checks a length of time: more than zero, at most [`LONGEST`].
///
/// # Errors
///
/// Names `field` and the allowed range.
pub fn check_duration(field: &'static str, value: Duration) -> Result<Duration, SettingError> {
    if value.is_zero() || value > LONGEST {
        return Err(SettingError::new(
            field,
            format_args!("{value:?}"),
            "more than 0 s and at most 365 days",
        ));
    }
    Ok(value)
}

/// Checks a policy's name: 1 to 64 printable ASCII characters, since header fields carry it.
///
/// # Errors
///
/// Names `field` and what a name may hold.
pub fn check_name(field: &'static str, value: &'static str) -> Result<&'static str, SettingError> {
    let printable = value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if value.is_empty() || value.len() > 64 || !printable {
        return Err(SettingError::new(
            field,
            format_args!("{value:?}"),
            "1 to 64 printable ASCII characters",
        ));
    }
    Ok(value)
}

/// Checks a number against the range in which it makes sense.
///
/// # Errors
///
/// Names `field` and the range.
pub fn check_range<T>(
    field: &'static str,
    value: T,
    range: std::ops::RangeInclusive<T>,
) -> Result<T, SettingError>
where
    T: PartialOrd + fmt::Display,
{
    if range.contains(&value) {
        return Ok(value);
    }
    let allowed = format!("from {} to {}", range.start(), range.end());
    Err(SettingError::new(field, value, allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_more_than_zero_and_at_most_a_year() {
        assert!(check_duration("wait", Duration::ZERO).is_err());
        assert!(check_duration("wait", LONGEST + Duration::from_nanos(1)).is_err());
        assert!(check_duration("wait", Duration::from_nanos(1)).is_ok());
        assert!(check_duration("wait", LONGEST).is_ok());
    }

    #[test]
    fn names_are_short_and_printable() {
        for bad in ["", "line\nbreak", "häuser", &"x".repeat(65).leak()[..]] {
            assert!(check_name("name", bad).is_err(), "{bad:?}");
        }
        assert!(check_name("name", "per-tenant \"gold\"").is_ok());
    }

    #[test]
    fn numbers_that_are_not_numbers_are_outside_every_range() {
        assert!(check_range("factor", f64::NAN, 0.0..=1.0).is_err());
    }
}
