//! The entries of `X-Forwarded-For` and `Forwarded` (RFC 7239), from the right.
//!
//! Each proxy appends what it knows, so trust grows to the right, and what a client made up stands
//! to the left of what the first trusted proxy wrote. Reading from the right never depends on it:
//! an unbalanced quote in the client's part cannot swallow a proxy's.

use http::{HeaderMap, HeaderName};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses in a header, the last one first; `None` for an entry that is no address. All of
/// the header's lines count as one list.
pub(super) fn from_the_right<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    parse: fn(&[u8]) -> Option<IpAddr>,
) -> impl Iterator<Item = Option<IpAddr>> + 'a {
    headers
        .get_all(name)
        .iter()
        .rev()
        .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','))
        .map(move |entry| parse(entry.trim_ascii()))
        .take(MOST_ENTRIES)
}

/// An entry of `X-Forwarded-For`: an address, with or without a port.
pub(super) fn x_forwarded_for(entry: &[u8]) -> Option<IpAddr> {
    node(entry)
}

/// An element of `Forwarded`: the `for` of its pairs.
pub(super) fn forwarded(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    for pair in element.split(|byte| *byte == b';') {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"for") {
            // Each parameter may occur once; which of two would count is anybody's guess.
            if found.is_some() {
                return None;
            }
            found = Some(node(unquoted(value)?)?);
        }
    }
    found
}

/// More proxies than this stand in front of nobody's service.
const MOST_ENTRIES: usize = 32;

/// The longest node there is: `[` 45 characters `]:65535`.
const LONGEST_NODE: usize = 53;

/// An address, with or without a port. `unknown` and obfuscated identifiers are none.
fn node(text: &[u8]) -> Option<IpAddr> {
    if text.len() > LONGEST_NODE {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let port_is_fine = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return port_is_fine
            .then(|| address.parse::<Ipv6Addr>().ok())?
            .map(IpAddr::V6);
    }
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (address, port) = text.split_once(':')?;
    is_port(port)
        .then(|| address.parse::<Ipv4Addr>().ok())?
        .map(IpAddr::V4)
}

/// A port, or an obfuscated one.
fn is_port(port: &str) -> bool {
    let digits = !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
    digits || port.starts_with('_')
}

/// A token or a quoted string. Addresses need no escapes, so whoever uses them means no address.
fn unquoted(value: &[u8]) -> Option<&[u8]> {
    match value.strip_prefix(b"\"") {
        None => Some(value),
        Some(rest) => rest
            .strip_suffix(b"\"")
            .filter(|inner| !inner.contains(&b'\\') && !inner.contains(&b'"')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> Option<IpAddr> {
        text.parse().ok()
    }

    #[test]
    fn nodes_are_addresses_with_or_without_ports() {
        for (text, expected) in [
            ("192.0.2.43", ip("192.0.2.43")),
            ("192.0.2.43:47011", ip("192.0.2.43")),
            ("192.0.2.43:_secret", ip("192.0.2.43")),
            ("2001:db8::1", ip("2001:db8::1")),
            ("[2001:db8::1]", ip("2001:db8::1")),
            ("[2001:db8::1]:4711", ip("2001:db8::1")),
            ("[192.0.2.43]", None),
            ("[2001:db8::1", None),
            ("[2001:db8::1]x", None),
            ("192.0.2.43:", None),
            ("192.0.2.43:123456", None),
            ("192.0.2", None),
            ("192.0.2.043", None),
            ("unknown", None),
            ("_hidden", None),
            ("", None),
        ] {
            assert_eq!(x_forwarded_for(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn elements_of_forwarded_are_read_by_their_for() {
        for (text, expected) in [
            ("for=192.0.2.43", ip("192.0.2.43")),
            ("For=\"[2001:db8:cafe::17]:4711\"", ip("2001:db8:cafe::17")),
            (
                "for=192.0.2.60;proto=http;by=203.0.113.43",
                ip("192.0.2.60"),
            ),
            ("proto=https; for=\"192.0.2.60:80\"", ip("192.0.2.60")),
            ("for=192.0.2.60;for=192.0.2.61", None),
            ("for=\"192.0.2.60", None),
            ("for=\"192.0.2.\\60\"", None),
            ("for=unknown", None),
            ("for=_gazonk", None),
            ("proto=http", None),
            ("192.0.2.60", None),
            ("", None),
        ] {
            assert_eq!(forwarded(text.as_bytes()), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parsers_panic(bytes: Vec<u8>, text in "[for=:;,\\[\\]\"0-9a-f.]{0,80}") {
            for entry in [&bytes[..], text.as_bytes()] {
                let _ = x_forwarded_for(entry);
                let _ = forwarded(entry);
            }
        }

        #[test]
        fn every_address_is_read_back(address: IpAddr, port: u16) {
            let bare = address.to_string();
            prop_assert_eq!(x_forwarded_for(bare.as_bytes()), Some(address));
            let with_port = std::net::SocketAddr::new(address, port).to_string();
            prop_assert_eq!(x_forwarded_for(with_port.as_bytes()), Some(address));
            let element = format!("by=_x;for=\"{with_port}\";proto=https");
            prop_assert_eq!(forwarded(element.as_bytes()), Some(address));
        }
    }
}
