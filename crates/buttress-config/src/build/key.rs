use crate::settings::{ClientAddrKey, ForwardedBy, HeaderName, MissingKey, PeerKey};
use buttress::key::{ClientAddr, ForwardedHeader, HeaderKey, Peer, client_addr, header, peer};
use buttress::{MissingKeyMeans, SettingError};

impl PeerKey {
    pub(crate) fn key(&self) -> Result<Peer, SettingError> {
        match &self.ipv6_prefix {
            Some(bits) => peer().ipv6_prefix(**bits),
            None => Ok(peer()),
        }
    }
}

impl ClientAddrKey {
    pub(crate) fn key(&self) -> Result<ClientAddr, SettingError> {
        let mut key = client_addr();
        if let Some(hops) = &self.trusted_hops {
            key = key.trusted_hops(**hops)?;
        }
        if let Some(networks) = &self.trusted_proxies {
            key = key.trusted_proxies(networks.iter().map(|network| network.as_str()))?;
        }
        if let Some(by) = &self.header {
            key = key.header(match **by {
                ForwardedBy::XForwardedFor => ForwardedHeader::XForwardedFor,
                ForwardedBy::Forwarded => ForwardedHeader::Forwarded,
            });
        }
        match &self.ipv6_prefix {
            Some(bits) => key.ipv6_prefix(**bits),
            None => Ok(key),
        }
    }
}

impl HeaderName {
    pub(crate) fn key(&self) -> Result<HeaderKey, SettingError> {
        header(self.as_str())
    }
}

impl MissingKey {
    pub(crate) const fn means(&self) -> MissingKeyMeans {
        match self {
            Self::Refused => MissingKeyMeans::Refused,
            Self::Shared => MissingKeyMeans::Shared,
            Self::Admitted => MissingKeyMeans::Admitted,
        }
    }
}
