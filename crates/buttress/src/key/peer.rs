use super::address::Ipv6Prefix;
use buttress_core::{Key, MissingKey, SettingError};
use http::{Extensions, Request};
use std::net::IpAddr;

/// Tells calls apart by the address that the connection comes from.
///
/// It is the one address that nobody can forge, and the wrong one behind a proxy, where all calls
/// come from the proxy: see [`client_addr`](super::client_addr). IPv6 clients are told apart by
/// their /64.
///
/// The address is a [`PeerAddress`] in the request's extensions, or with the feature `axum` a
/// `ConnectInfo<SocketAddr>`, which is there if the service is made with
/// `into_make_service_with_connect_info::<SocketAddr>()`. Where neither is, calls are refused with
/// [`Reason::KeyUnavailable`](crate::Reason::KeyUnavailable), and the log says once what to do.
///
/// Under tonic, put a layer that maps the request outside of this one: it takes the address from
/// tonic's `TcpConnectInfo`, and inserts a [`PeerAddress`].
///
/// ```
/// use buttress::{RateLimit, key::peer};
///
/// let limit = RateLimit::per_second(10).by(peer()).build()?;
/// # let _ = limit;
/// # Ok::<(), buttress::SettingError>(())
/// ```
pub fn peer() -> Peer {
    Peer::default()
}

/// The key that [`peer`] makes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peer {
    prefix: Ipv6Prefix,
}

impl Peer {
    /// How many leading bits tell IPv6 clients apart: 1 to 128; 64 by default.
    ///
    /// # Errors
    ///
    /// `bits` is out of range.
    pub fn ipv6_prefix(self, bits: u8) -> Result<Self, SettingError> {
        let prefix = Ipv6Prefix::new(bits)?;
        Ok(Self { prefix })
    }
}

impl<B> Key<Request<B>> for Peer {
    type Key<'a>
        = IpAddr
    where
        B: 'a;

    fn key(&self, call: &Request<B>) -> Result<IpAddr, MissingKey> {
        let address = peer_address(call.extensions())?;
        Ok(self.prefix.of(address))
    }
}

/// The address that a connection comes from, for services without axum's `ConnectInfo`: put it
/// into the extensions of the connection's requests.
///
/// ```
/// use buttress::key::PeerAddress;
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(PeerAddress([192, 0, 2, 7].into()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(
    /// The address.
    pub IpAddr,
);

pub(crate) fn peer_address(extensions: &Extensions) -> Result<IpAddr, MissingKey> {
    if let Some(PeerAddress(address)) = extensions.get() {
        return Ok(*address);
    }
    #[cfg(feature = "axum")]
    if let Some(info) = extensions.get::<axum::extract::ConnectInfo<std::net::SocketAddr>>() {
        return Ok(info.0.ip());
    }
    Err(MissingKey::NotSetUp(REMEDY))
}

#[cfg(feature = "axum")]
const REMEDY: &str = "the request's extensions hold no peer address; serve the router with \
    `into_make_service_with_connect_info::<SocketAddr>()`, or insert a `PeerAddress`";
#[cfg(not(feature = "axum"))]
const REMEDY: &str = "the request's extensions hold no peer address; insert a `PeerAddress` for \
    each connection, or with axum enable the feature `axum`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_where_it_was_put() {
        let mut request = Request::new(());
        assert!(matches!(peer().key(&request), Err(MissingKey::NotSetUp(_))));
        let address: IpAddr = [192, 0, 2, 7].into();
        request.extensions_mut().insert(PeerAddress(address));
        assert_eq!(peer().key(&request), Ok(address));
    }
}
