//! For which hosts requests are answered.

use buttress::SettingError;
use http::uri::Authority;
use http::{Request, header};
use std::net::IpAddr;

/// The name of a host as names are compared.
pub(super) fn checked(name: &str) -> Result<String, SettingError> {
    let authority: Option<Authority> = name.parse().ok();
    match authority {
        Some(authority) if authority.as_str() == authority.host() => Ok(compared(name)),
        _ => Err(SettingError::new(
            "hosts",
            format_args!("{name:?}"),
            "names of hosts without a port, such as `admin.example.com`",
        )),
    }
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
            let address = name.trim_start_matches('[').trim_end_matches(']');
            name == "localhost" || address.parse::<IpAddr>().is_ok() || hosts.contains(&name)
        })
    })
}

fn compared(name: &str) -> String {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.to_ascii_lowercase()
}

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
    fn what_is_no_name_is_refused() {
        for name in [
            "",
            "admin.internal:9090",
            "who@admin",
            "http://admin",
            "a b",
        ] {
            let error = checked(name).unwrap_err();
            assert_eq!(error.field(), "hosts", "{name:?}");
        }
    }
}
