use crate::key::{network, peer_address};
use buttress_core::{MissingKey, SettingError};
use http::Request;
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    reported: Arc<AtomicBool>,
}

/// Believes callers whose connection comes from these networks, given as `address/bits` or as single
/// addresses. The address is the one that [`peer`](crate::key::peer) tells calls apart by; a caller
/// without one is a stranger, and the log says once what to do about it.
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
    Ok(PeersIn {
        networks,
        reported: Arc::default(),
    })
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
        match peer_address(call.extensions()) {
            Ok(address) => self.has(address.to_canonical()),
            Err(missing) => {
                self.report(missing);
                false
            }
        }
    }
}

impl PeersIn {
    fn has(&self, address: IpAddr) -> bool {
        let mut networks = self.networks.iter();
        networks.any(|network| network.contains(&address))
    }

    /// A service that knows no addresses trusts nobody, which would go unnoticed.
    fn report(&self, missing: MissingKey) {
        if let MissingKey::NotSetUp(remedy) = missing
            && !self.reported.swap(true, Ordering::Relaxed)
        {
            tracing::warn!("no caller's criticality is believed: {remedy}");
        }
    }
}

impl<C: ?Sized, F: Fn(&C) -> bool> Trust<C> for F {
    fn trusts(&self, call: &C) -> bool {
        self(call)
    }
}
