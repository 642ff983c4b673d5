use crate::key::{network, peer_address};
use buttress_core::SettingError;
use http::Request;
use ipnet::IpNet;
use std::sync::Arc;

/// Says whose word counts. A closure from the call to a `bool` does.
pub trait Trust<C: ?Sized> {
    /// Whether what the call says of itself is to be believed.
    fn trusts(&self, call: &C) -> bool;
}

/// Believes no caller: what is so until it is told otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

/// Believes every caller. For services that only your own services can reach.
#[derive(Clone, Copy, Debug, Default)]
pub struct Everybody;

/// Believes callers whose connection comes from some networks; [`peers_in`] makes it.
#[derive(Clone, Debug)]
pub struct PeersIn {
    networks: Arc<[IpNet]>,
}

/// Believes callers whose connection comes from these networks, given as `address/bits` or as single
/// addresses. The address is the one that [`peer`](crate::key::peer) tells calls apart by; a caller
/// without one is a stranger.
///
/// # How it fails when misused
///
/// A proxy that lets strangers' headers through speaks for strangers. If one is in these networks,
/// let it remove the header.
///
/// ```
/// use buttress::criticality::{IncomingCriticality, peers_in};
///
/// let ours = IncomingCriticality::new().trusting(peers_in(["10.0.0.0/8", "fd00::/8"])?);
/// # let _ = ours;
/// # Ok::<(), buttress::SettingError>(())
/// ```
///
/// # Errors
///
/// There are no networks, or one cannot be read.
pub fn peers_in<'a>(networks: impl IntoIterator<Item = &'a str>) -> Result<PeersIn, SettingError> {
    let networks = networks.into_iter().map(|text| network("peers_in", text));
    let networks: Arc<[IpNet]> = networks.collect::<Result<_, _>>()?;
    if networks.is_empty() {
        let allowed = "at least one network";
        return Err(SettingError::new("peers_in", "empty", allowed));
    }
    Ok(PeersIn { networks })
}

impl<C: ?Sized> Trust<C> for Nobody {
    fn trusts(&self, _: &C) -> bool {
        false
    }
}

impl<C: ?Sized> Trust<C> for Everybody {
    fn trusts(&self, _: &C) -> bool {
        true
    }
}

impl<B> Trust<Request<B>> for PeersIn {
    fn trusts(&self, call: &Request<B>) -> bool {
        peer_address(call.extensions()).is_ok_and(|address| {
            let address = address.to_canonical();
            self.networks
                .iter()
                .any(|network| network.contains(&address))
        })
    }
}

impl<C: ?Sized, F: Fn(&C) -> bool> Trust<C> for F {
    fn trusts(&self, call: &C) -> bool {
        self(call)
    }
}
