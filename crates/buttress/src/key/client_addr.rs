use super::address::Ipv6Prefix;
use super::forwarded::{forwarded, from_the_right, x_forwarded_for};
use super::peer::peer_address;
use buttress_core::setting::check_range;
use buttress_core::{Key, MissingKey, SettingError};
use http::{HeaderName, Request, header};
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;

/// Tells calls apart by the client's address, also behind proxies.
///
/// Behind a proxy every connection comes from the proxy, which says in a header whom it speaks
/// for. Anybody else can say that, too. So a header is believed only as far as it was written by
/// proxies that you name, either by [how many](ClientAddr::trusted_hops) there are or by
/// [where](ClientAddr::trusted_proxies) they are. If you name none, no header is read, and this is
/// the same as [`peer`](super::peer).
///
/// # How it fails when misused
///
/// With too few hops, all clients are told apart by a proxy's address and share one limit. With
/// too many, clients choose their own key, and have none. Hops count on it that nobody reaches the
/// service past the proxies; if somebody may, name the proxies' networks instead.
///
/// ```
/// use buttress::key::{ForwardedHeader, client_addr};
///
/// // A load balancer in front, which sets `X-Forwarded-For`.
/// let by_hops = client_addr().trusted_hops(1)?;
///
/// // Proxies somewhere in these networks, which set `Forwarded`.
/// let by_networks = client_addr()
///     .trusted_proxies(["10.0.0.0/8", "fd00::/8"])?
///     .header(ForwardedHeader::Forwarded);
/// # let _ = (by_hops, by_networks);
/// # Ok::<(), buttress::SettingError>(())
/// ```
pub fn client_addr() -> ClientAddr {
    ClientAddr {
        trust: Trust::Nobody,
        header: ForwardedHeader::XForwardedFor,
        prefix: Ipv6Prefix::default(),
    }
}

/// The key that [`client_addr`] makes.
#[derive(Clone, Debug)]
pub struct ClientAddr {
    trust: Trust,
    header: ForwardedHeader,
    prefix: Ipv6Prefix,
}

/// The header in which proxies say whom they speak for. Only one is read: a proxy that sets one
/// passes the other on as the client sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`: what nearly every proxy sets, and the default.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl ClientAddr {
    /// So many proxies stand in front of the service, each of which appends to the header whom it
    /// was called by: from 1 to 32. The client is then that many entries from the right. If there
    /// are fewer, or that one is no address, the call did not come through them all, and the
    /// peer's address counts.
    ///
    /// # Errors
    ///
    /// `hops` is out of range, or networks were named already.
    pub fn trusted_hops(self, hops: u8) -> Result<Self, SettingError> {
        if let Trust::Networks(_) = self.trust {
            return Err(either_or("trusted_hops", hops));
        }
        let hops = check_range("trusted_hops", hops, 1..=32)?;
        let trust = Trust::Hops(hops.into());
        Ok(Self { trust, ..self })
    }

    /// The networks in which the proxies are, as `address/bits` or a single address. If the peer
    /// is in one, the header is read from the right, and the first address outside of them is the
    /// client. An entry that is no address ends the search at the proxy that wrote it.
    ///
    /// # Errors
    ///
    /// There are no networks, one cannot be read, or hops were named already.
    pub fn trusted_proxies<'a>(
        self,
        networks: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, SettingError> {
        if let Trust::Hops(hops) = self.trust {
            return Err(either_or("trusted_proxies", hops));
        }
        let networks = networks.into_iter();
        let networks = networks.map(|text| network("trusted_proxies", text));
        let networks: Arc<[IpNet]> = networks.collect::<Result<_, _>>()?;
        if networks.is_empty() {
            return Err(SettingError::new(
                "trusted_proxies",
                "empty",
                "at least one network",
            ));
        }
        let trust = Trust::Networks(networks);
        Ok(Self { trust, ..self })
    }

    /// The header that the proxies set: `X-Forwarded-For` by default.
    pub fn header(self, header: ForwardedHeader) -> Self {
        Self { header, ..self }
    }

    /// How many leading bits tell IPv6 clients apart: 1 to 128; 64 by default.
    ///
    /// # Errors
    ///
    /// `bits` is out of range.
    pub fn ipv6_prefix(self, bits: u8) -> Result<Self, SettingError> {
        let prefix = Ipv6Prefix::new(bits)?;
        Ok(Self { prefix, ..self })
    }

    fn address<B>(&self, call: &Request<B>) -> Result<IpAddr, MissingKey> {
        let peer = || peer_address(call.extensions());
        let (name, parse): (_, fn(&[u8]) -> _) = match self.header {
            ForwardedHeader::XForwardedFor => (&X_FORWARDED_FOR, x_forwarded_for),
            ForwardedHeader::Forwarded => (&header::FORWARDED, forwarded),
        };
        let mut said = from_the_right(call.headers(), name, parse);
        match &self.trust {
            Trust::Nobody => peer(),
            Trust::Hops(hops) => match said.nth(hops - 1) {
                Some(Some(address)) => Ok(address),
                _ => peer(),
            },
            Trust::Networks(networks) => {
                let is_proxy = |address: IpAddr| {
                    let address = address.to_canonical();
                    networks.iter().any(|network| network.contains(&address))
                };
                let mut client = peer()?;
                while is_proxy(client) {
                    match said.next() {
                        Some(Some(address)) => client = address,
                        _ => break,
                    }
                }
                Ok(client)
            }
        }
    }
}

impl<B> Key<Request<B>> for ClientAddr {
    type Key<'a>
        = IpAddr
    where
        B: 'a;

    fn key(&self, call: &Request<B>) -> Result<IpAddr, MissingKey> {
        Ok(self.prefix.of(self.address(call)?))
    }
}

#[derive(Clone, Debug)]
enum Trust {
    Nobody,
    Hops(usize),
    Networks(Arc<[IpNet]>),
}

fn either_or(field: &'static str, value: impl std::fmt::Display) -> SettingError {
    let allowed = "left out: trust either a number of hops or networks, not both";
    SettingError::new(field, value, allowed)
}

/// Reads a network, or an address as the network of that one, for the setting `field`.
pub(crate) fn network(field: &'static str, text: &str) -> Result<IpNet, SettingError> {
    let network = text
        .parse()
        .or_else(|_| text.parse().map(|ip: IpAddr| ip.into()));
    network.map_err(|_| {
        let shown: String = text.chars().take(80).collect();
        let allowed = "networks such as 10.0.0.0/8, or addresses";
        SettingError::new(field, format_args!("{shown:?}"), allowed)
    })
}

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::PeerAddress;
    use http::HeaderValue;
    use proptest::prelude::*;

    const PROXY: &str = "10.0.0.1";

    fn request(peer: &str, lines: &[&[u8]]) -> Request<()> {
        let mut request = Request::new(());
        let address = PeerAddress(peer.parse().unwrap());
        request.extensions_mut().insert(address);
        for line in lines {
            // What is no header's value does not come from the network either.
            if let Ok(value) = HeaderValue::from_bytes(line) {
                request.headers_mut().append(&X_FORWARDED_FOR, value);
            }
        }
        request
    }

    fn key(by: &ClientAddr, peer: &str, lines: &[&[u8]]) -> String {
        by.key(&request(peer, lines)).unwrap().to_string()
    }

    #[test]
    fn without_trust_no_header_is_believed() {
        let by = client_addr();
        assert_eq!(key(&by, "192.0.2.1", &[b"203.0.113.9"]), "192.0.2.1");
    }

    #[test]
    fn hops_are_counted_from_the_right() {
        let by = client_addr().trusted_hops(2).unwrap();
        let made_up_and_true: &[u8] = b"6.6.6.6, 203.0.113.9, 10.0.0.2";
        assert_eq!(key(&by, PROXY, &[made_up_and_true]), "203.0.113.9");
        // The lines of a header are one list.
        let lines: [&[u8]; 2] = [b"6.6.6.6, 203.0.113.9", b"10.0.0.2"];
        assert_eq!(key(&by, PROXY, &lines), "203.0.113.9");
        assert_eq!(key(&by, PROXY, &[b"203.0.113.9"]), PROXY);
        assert_eq!(key(&by, PROXY, &[b"unknown, 10.0.0.2"]), PROXY);
        assert_eq!(key(&by, PROXY, &[]), PROXY);
    }

    #[test]
    fn networks_are_walked_until_the_first_stranger() {
        let by = client_addr()
            .trusted_proxies(["10.0.0.0/8", "192.0.2.200"])
            .unwrap();
        let list: &[u8] = b"6.6.6.6, 203.0.113.9, 192.0.2.200, 10.9.9.9";
        assert_eq!(key(&by, PROXY, &[list]), "203.0.113.9");
        assert_eq!(key(&by, "::ffff:10.0.0.1", &[list]), "203.0.113.9");
        // A stranger's header is not read.
        assert_eq!(key(&by, "198.51.100.1", &[list]), "198.51.100.1");
        // What cannot be read ends the walk at the proxy that wrote it.
        assert_eq!(
            key(&by, PROXY, &[b"6.6.6.6, unknown, 10.9.9.9"]),
            "10.9.9.9"
        );
        assert_eq!(key(&by, PROXY, &[b"10.9.9.9"]), "10.9.9.9");
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let field = |result: Result<ClientAddr, SettingError>| result.unwrap_err().field();
        assert_eq!(field(client_addr().trusted_hops(0)), "trusted_hops");
        assert_eq!(field(client_addr().trusted_hops(33)), "trusted_hops");
        assert_eq!(field(client_addr().trusted_proxies([])), "trusted_proxies");
        assert_eq!(
            field(client_addr().trusted_proxies(["10.0.0.0/33"])),
            "trusted_proxies"
        );
        let hops = client_addr().trusted_hops(1).unwrap();
        assert_eq!(
            field(hops.trusted_proxies(["10.0.0.0/8"])),
            "trusted_proxies"
        );
        let networks = client_addr().trusted_proxies(["10.0.0.0/8"]).unwrap();
        assert_eq!(field(networks.trusted_hops(1)), "trusted_hops");
    }

    proptest! {
        #[test]
        fn what_a_client_makes_up_never_changes_its_key(made_up: Vec<Vec<u8>>, text in "[0-9a-f.:, \"]{0,60}") {
            let true_part: &[u8] = b"203.0.113.9, 10.0.0.2";
            let mut lines: Vec<&[u8]> = made_up.iter().map(Vec::as_slice).collect();
            let mut same_line = text.clone().into_bytes();
            same_line.extend_from_slice(b", ");
            same_line.extend_from_slice(true_part);
            lines.push(&same_line);

            prop_assert_eq!(key(&client_addr(), "192.0.2.1", &lines), "192.0.2.1");
            let hops = client_addr().trusted_hops(2).unwrap();
            prop_assert_eq!(key(&hops, PROXY, &lines), "203.0.113.9");
            let networks = client_addr().trusted_proxies(["10.0.0.0/8"]).unwrap();
            prop_assert_eq!(key(&networks, PROXY, &lines), "203.0.113.9");
            prop_assert_eq!(key(&networks, "192.0.2.1", &lines), "192.0.2.1");
        }
    }
}
