//! Whether a request can be for a host, and whether one is likely to be.
//!
//! Routes compare text, and servers take nearly any: what is like no name can still be sent.

use std::net::Ipv6Addr;

/// Why it is none that a request can be for: a header that says something else is not looked at.
pub(super) fn can_be_sent(host: &str) -> Result<(), &'static str> {
    if host.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) {
        Ok(())
    } else {
        Err(
            "a request's host has no letters beyond ASCII (\"xn--…\" stands for them) and no control characters",
        )
    }
}

/// Why it is none that clients send.
pub(super) fn is_usual(host: &str) -> Result<(), &'static str> {
    let (name, port) = split(host);
    if port.is_some_and(|port| port.parse::<u16>().is_err() || port.starts_with('+')) {
        return Err("what follows the colon is a port, from 0 to 65535");
    }
    if let Some(address) = name.strip_prefix('[') {
        let address = address.strip_suffix(']');
        let known = address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
        return if known {
            Ok(())
        } else {
            Err("what stands in brackets is an IPv6 address, as in \"[::1]\"")
        };
    }
    let name = name.strip_prefix("*.").unwrap_or(name);
    let name = name.strip_suffix('.').unwrap_or(name);
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name
        .split('.')
        .all(|label| !label.is_empty() && label.len() <= LONGEST_LABEL && label.chars().all(fits))
    {
        Ok(())
    } else {
        Err("a host is a name such as \"api.example.com\", or \"*.example.com\"")
    }
}

/// Of a name in the system of names (RFC 1035, section 2.3.4).
const LONGEST_LABEL: usize = 63;

/// The name, and the port if there is one.
fn split(host: &str) -> (&str, Option<&str>) {
    let brackets = host.rfind(']').map_or(0, |end| end + 1);
    match host.get(brackets..).and_then(|rest| rest.rfind(':')) {
        Some(colon) => {
            let (name, port) = host.split_at(brackets + colon);
            (name, port.get(1..))
        }
        None => (host, None),
    }
}
