use http::{HeaderMap, HeaderValue, header};

/// The `Cache-Control` directives that matter here (RFC 9111, section 5.2, and RFC 5861).
///
/// What is said twice counts as the stricter of the two. A number that cannot be read counts as 0,
/// since what has an unreadable lifetime is best taken to have none (RFC 9111, section 4.2.1).
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a directive, and any may be there with any other"
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheControl {
    pub(crate) no_store: bool,
    pub(crate) no_cache: bool,
    pub(crate) private: bool,
    /// `must-revalidate` or `proxy-revalidate`.
    pub(crate) must_revalidate: bool,
    /// Seconds, as all of the following.
    pub(crate) max_age: Option<u32>,
    pub(crate) s_maxage: Option<u32>,
    pub(crate) stale_if_error: Option<u32>,
}

impl CacheControl {
    /// Reads all `Cache-Control` fields.
    #[inline]
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::CACHE_CONTROL);
        Self::parse(values.iter().map(HeaderValue::as_bytes))
    }

    pub(crate) fn parse<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut control = Self::default();
        for value in values {
            let mut rest = value;
            while !rest.is_empty() {
                let (directive, after) = split_at_comma(rest);
                control.read(directive.trim_ascii());
                rest = after;
            }
        }
        control
    }

    fn read(&mut self, directive: &[u8]) {
        let (name, value) = match directive.iter().position(|byte| *byte == b'=') {
            Some(equals) => (&directive[..equals], Some(&directive[equals + 1..])),
            None => (directive, None),
        };
        let is = |known: &str| name.trim_ascii().eq_ignore_ascii_case(known.as_bytes());
        if is("no-store") {
            self.no_store = true;
        } else if is("no-cache") {
            self.no_cache = true;
        } else if is("private") {
            self.private = true;
        } else if is("must-revalidate") || is("proxy-revalidate") {
            self.must_revalidate = true;
        } else if is("max-age") {
            lower(&mut self.max_age, value);
        } else if is("s-maxage") {
            lower(&mut self.s_maxage, value);
        } else if is("stale-if-error") {
            lower(&mut self.stale_if_error, value);
        }
    }
}

/// The first directive, and what comes after its comma. A comma in quotes is none.
fn split_at_comma(value: &[u8]) -> (&[u8], &[u8]) {
    let (mut quoted, mut escaped) = (false, false);
    for (index, byte) in value.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return (&value[..index], &value[index + 1..]),
            _ => {}
        }
    }
    if quoted {
        // The quotes never end: what stands in them may be directives, too.
        let comma = value.iter().position(|byte| *byte == b',');
        return comma.map_or((value, &[]), |comma| (&value[..comma], &value[comma + 1..]));
    }
    (value, &[])
}

fn lower(known: &mut Option<u32>, value: Option<&[u8]>) {
    let seconds = seconds(value.unwrap_or_default());
    *known = Some(known.map_or(seconds, |known| known.min(seconds)));
}

/// A number of seconds, in quotes or not. Too large a one is 2³¹ (RFC 9111, section 1.2.2).
pub(crate) fn seconds(value: &[u8]) -> u32 {
    let value = value.trim_ascii();
    let value = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""))
        .unwrap_or(value);
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    value.iter().fold(0_u32, |seconds, digit| {
        let next = seconds.saturating_mul(10);
        next.saturating_add(u32::from(digit - b'0')).min(1 << 31)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(value: &str) -> CacheControl {
        CacheControl::parse([value.as_bytes()])
    }

    #[test]
    fn directives_are_read_in_any_case_and_quotes() {
        let control = parse("Max-Age=600, stale-if-error=\"1200\" ,, no-cache=\"a, no-store\"");
        assert_eq!(
            control,
            CacheControl {
                no_cache: true,
                max_age: Some(600),
                stale_if_error: Some(1200),
                ..CacheControl::default()
            }
        );
        assert!(parse("private=\"x-field\"").private);
        assert!(parse("proxy-revalidate").must_revalidate);
        assert!(parse("private=\"never ends, no-store").no_store);
    }

    #[test]
    fn what_is_said_twice_is_the_stricter_and_what_is_no_number_is_zero() {
        assert_eq!(parse("max-age=5, max-age=3").max_age, Some(3));
        for nonsense in ["", "=", "=-1", "=1.5", "=x", "=\"", "=\"\""] {
            let control = parse(&format!("max-age{nonsense}"));
            assert_eq!(control.max_age, Some(0), "{nonsense}");
        }
        let huge = parse("max-age=99999999999999999999");
        assert_eq!(huge.max_age, Some(1 << 31));
        assert_eq!(parse("s-maxage=4294967295").s_maxage, Some(1 << 31));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(values: Vec<Vec<u8>>, text in "[-a-z0-9=\", \\\\]{0,40}") {
            let _ = CacheControl::parse(values.iter().map(Vec::as_slice));
            let _ = parse(&text);
        }

        #[test]
        fn a_directive_among_others_is_found(
            before in "([a-z]{1,9}(=[0-9]{1,5})?,){0,3}",
            seconds in 0_u32..1_000_000,
        ) {
            prop_assume!(!before.contains("max"));
            let control = parse(&format!("{before} stale-if-error={seconds}"));
            prop_assert_eq!(control.stale_if_error, Some(seconds));
        }
    }
}
