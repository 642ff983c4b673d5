//! Text or JSON?

use http::{HeaderMap, header};

/// The content type of the JSON that the client wants, if it prefers JSON to text.
///
/// Whoever does not say gets text, and so does whoever takes anything.
pub(super) fn json(headers: &HeaderMap) -> Option<&'static str> {
    let mut health = 0.0_f32;
    let mut general = 0.0_f32;
    let mut text = 0.0_f32;
    let values = headers.get_all(header::ACCEPT).into_iter();
    let ranges = values.filter_map(|value| value.to_str().ok());
    for range in ranges.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let quality = parts.find_map(quality).unwrap_or(1.0);
        let wish = if name.eq_ignore_ascii_case(HEALTH_JSON) {
            &mut health
        } else if name.eq_ignore_ascii_case(JSON) || name.eq_ignore_ascii_case("application/*") {
            &mut general
        } else if name.eq_ignore_ascii_case("text/plain") || name.eq_ignore_ascii_case("text/*") {
            &mut text
        } else {
            continue;
        };
        *wish = wish.max(quality);
    }
    if health.max(general) <= 0.0 || health.max(general) < text {
        return None;
    }
    Some(if health >= general { HEALTH_JSON } else { JSON })
}

fn quality(parameter: &str) -> Option<f32> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("q") {
        return None;
    }
    let quality: f32 = value.trim().parse().ok()?;
    Some(if quality.is_nan() {
        0.0
    } else {
        quality.clamp(0.0, 1.0)
    })
}

const HEALTH_JSON: &str = "application/health+json";

const JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(accept: &str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        json(&headers)
    }

    #[test]
    fn json_is_for_those_who_ask_for_it() {
        for (accept, expected) in [
            ("application/health+json", Some(HEALTH_JSON)),
            ("Application/Health+JSON; charset=utf-8", Some(HEALTH_JSON)),
            ("application/health+json, */*", Some(HEALTH_JSON)),
            ("application/json", Some(JSON)),
            (
                "application/json, application/health+json;q=0.9",
                Some(JSON),
            ),
            ("text/plain, application/health+json;q=0.5", None),
            (
                "text/plain;q=0.4, application/health+json;q=0.5",
                Some(HEALTH_JSON),
            ),
            ("application/health+json;q=0", None),
            ("application/health+json;q=NaN", None),
            ("*/*", None),
            ("text/html", None),
            ("", None),
            (",;,=;q", None),
        ] {
            assert_eq!(of(accept), expected, "{accept}");
        }
        assert_eq!(json(&HeaderMap::new()), None);
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut headers = HeaderMap::new();
            if let Ok(value) = http::HeaderValue::from_bytes(&bytes) {
                headers.insert(header::ACCEPT, value);
            }
            let _ = json(&headers);
        }
    }
}
