//! For which hosts requests are answered.

use buttress::SettingError;
use http::uri::Authority;
use http::{Request, header};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The name of a host as names are compared, if a request can be for it.
pub(super) fn checked(name: &str) -> Result<String, SettingError> {
    let host = compared(name);
    if is_address(&host) || is_name(&host) {
        return Ok(host);
    }
    let allowed = if name.matches(':').count() > 1 {
        "names of hosts: requests for IP addresses are answered in any case, and one of IPv6 is written \
         in brackets, such as `[::1]`"
    } else {
        "whole names of hosts in ASCII, without a port or a `*`, such as `admin.example.com`"
    };
    Err(SettingError::new(
        "hosts",
        format_args!("{name:?}"),
        allowed,
    ))
}

/// Whether a request is for an IP address, `localhost` or one of these. A page from elsewhere has a
/// name, and its browser says it. Who says nothing is no browser.
pub(super) fn is_ours<B>(request: &Request<B>, hosts: &[String]) -> bool {
    let named = request.uri().authority().cloned().map(Some);
    let fields = request.headers().get_all(header::HOST).into_iter();
    let fields = fields.map(|field| Authority::try_from(field.as_bytes()).ok());
    named.into_iter().chain(fields).all(|authority| {
        authority.is_some_and(|authority| {
            let name = compared(authority.host());
            name == "localhost" || is_address(&name) || hosts.contains(&name)
        })
    })
}

fn compared(name: &str) -> String {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.to_ascii_lowercase()
}

/// One of IPv6 stands in brackets.
fn is_address(host: &str) -> bool {
    let bracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match bracketed {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<Ipv4Addr>().is_ok(),
    }
}

/// Whether browsers take it for a name, and not for a way to write an address, such as `127.1` or `0x7f`,
/// of which they send the usual one.
fn is_name(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or(host);
    let hexadecimal = last.strip_prefix("0x");
    let is_number = last.chars().all(|c| c.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()));
    !is_number && host.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    (1..=LONGEST_LABEL).contains(&label.len()) && label.chars().all(fits)
}

/// Of a name in the system of names (RFC 1035, section 2.3.4).
const LONGEST_LABEL: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(host: &str, hosts: &[&str]) -> bool {
        let hosts: Vec<String> = hosts.iter().map(|host| checked(host).unwrap()).collect();
        let request = Request::get("/policies").header(header::HOST, host);
        let by_field = is_ours(&request.body(()).unwrap(), &hosts);
        if let Ok(request) = Request::get(format!("http://{host}/policies")).body(()) {
            assert_eq!(is_ours(&request, &hosts), by_field, "{host}");
        }
        by_field
    }

    #[test]
    fn addresses_and_localhost_are_ours_and_other_names_only_if_they_are_said() {
        for host in [
            "127.0.0.1:9090",
            "10.1.2.3",
            "[::1]:9090",
            "[fd00::1]",
            "localhost:9",
        ] {
            assert!(ours(host, &[]), "{host}");
        }
        for host in [
            "evil.test",
            "evil.test:9090",
            "localhost.evil.test",
            "127.0.0.1.evil.test",
        ] {
            assert!(!ours(host, &["admin.internal"]), "{host}");
        }
        for host in ["admin.internal", "ADMIN.internal.:9090"] {
            assert!(!ours(host, &[]), "{host}");
            assert!(ours(host, &["Admin.Internal"]), "{host}");
        }
        assert!(!ours("", &[]));
        let two = Request::get("/").header(header::HOST, "localhost");
        let two = two.header(header::HOST, "evil.test").body(()).unwrap();
        assert!(!is_ours(&two, &[]));
        assert!(is_ours(&Request::get("/").body(()).unwrap(), &[]));
    }

    #[test]
    fn what_no_request_can_be_for_is_refused() {
        for name in [
            "",
            ".",
            "..",
            "admin.internal..",
            ".internal",
            "admin.internal:9090",
            "127.0.0.1:9090",
            "who@admin",
            "http://admin",
            "a b",
            "*",
            "*.internal",
            "admin.*",
            "café.internal",
            "127.1",
            "2130706433",
            "admin.0x7F",
            "256.0.0.1",
            "[nonsense]",
        ] {
            let error = checked(name).unwrap_err();
            assert_eq!(error.field(), "hosts", "{name:?}");
            let error = error.to_string();
            assert!(error.contains("such as `admin.example.com`"), "{error}");
        }
        let label = "x".repeat(64);
        assert!(checked(&label).is_err());
        assert_eq!(checked(&label[1..]), Ok(label[1..].to_owned()));
    }

    #[test]
    fn who_names_an_address_of_ipv6_without_brackets_is_told_how_it_is_written() {
        for name in ["::1", "fd00::1", "::1:9090", "[::1]:9090", "[::1"] {
            let error = checked(name).unwrap_err().to_string();
            assert!(error.contains("in brackets, such as `[::1]`"), "{error}");
        }
    }

    #[test]
    fn what_may_be_said_is_answered() {
        for name in [
            "admin",
            "admin.internal",
            "xn--caf-dma.internal",
            "admin_1.internal.",
            "1.admin",
            "0xadmin",
            "127.0.0.1",
            "[::1]",
        ] {
            assert!(ours(name, &[name]), "{name}");
        }
    }
}
