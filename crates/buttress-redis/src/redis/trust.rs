//! Whom a connection over TLS trusts, and how it shows who it is itself.

use buttress_core::SettingError;
use redis::{Client, RedisResult};

#[derive(Clone, Default)]
pub(super) struct Trust {
    /// Certificates in PEM.
    #[cfg(feature = "tls")]
    pub(super) authorities: Option<Vec<u8>>,
    /// A certificate and its key in PEM.
    #[cfg(feature = "tls")]
    pub(super) identity: Option<(Vec<u8>, Vec<u8>)>,
}

#[cfg(not(feature = "tls"))]
impl Trust {
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "with TLS it is not"
    )]
    pub(super) fn check(&self, _: &[String]) -> Result<(), SettingError> {
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "with TLS it is not")]
    pub(super) fn open(&self, address: &str) -> RedisResult<Client> {
        Client::open(address)
    }

    #[cfg(feature = "cluster")]
    #[expect(clippy::unused_self, reason = "with TLS it is not")]
    pub(super) fn on_cluster(
        &self,
        builder: redis::cluster::ClusterClientBuilder,
    ) -> redis::cluster::ClusterClientBuilder {
        builder
    }
}

#[cfg(feature = "tls")]
impl Trust {
    /// Values are not shown: addresses hold passwords, and keys are secret.
    pub(super) fn check(&self, addresses: &[String]) -> Result<(), SettingError> {
        // The one provider that is sure to be there. If the app has chosen one, it stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificates = [
            ("certificate_authorities", self.authorities.as_ref()),
            (
                "client_certificate",
                self.identity.as_ref().map(|(pem, _)| pem),
            ),
        ];
        for (field, pem) in certificates {
            let Some(pem) = pem else { continue };
            if !pem.windows(CERTIFICATE.len()).any(|at| at == CERTIFICATE) {
                let value = format_args!("{} bytes", pem.len());
                return Err(SettingError::new(field, value, "certificates in PEM"));
            }
            if !addresses
                .iter()
                .all(|address| address.starts_with("rediss:"))
            {
                let allowed = "left out unless the address begins with `rediss:`";
                return Err(SettingError::new(field, "given", allowed));
            }
        }
        Ok(())
    }

    pub(super) fn open(&self, address: &str) -> RedisResult<Client> {
        match self.certificates() {
            Some(certificates) => Client::build_with_tls(address, certificates),
            None => Client::open(address),
        }
    }

    #[cfg(feature = "cluster")]
    pub(super) fn on_cluster(
        &self,
        builder: redis::cluster::ClusterClientBuilder,
    ) -> redis::cluster::ClusterClientBuilder {
        match self.certificates() {
            Some(certificates) => builder.certs(certificates),
            None => builder,
        }
    }

    fn certificates(&self) -> Option<redis::TlsCertificates> {
        if self.authorities.is_none() && self.identity.is_none() {
            return None;
        }
        let client_tls = self
            .identity
            .as_ref()
            .map(|(pem, key)| redis::ClientTlsConfig {
                client_cert: pem.clone(),
                client_key: key.clone(),
            });
        Some(redis::TlsCertificates {
            client_tls,
            root_cert: self.authorities.clone(),
        })
    }
}

#[cfg(feature = "tls")]
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";
