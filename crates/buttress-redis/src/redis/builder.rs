use super::RedisStore;
use super::error::ConnectError;
use super::script::Scripts;
use super::target::{Clients, Target};
use super::trust::Trust;
use crate::fleet::{Fleet, FleetBuilder};
use crate::store::StoreError;
use arc_swap::ArcSwap;
use buttress_core::setting::check_range;
use parking_lot::Mutex;
use std::fmt;
use std::time::Duration;
use tokio::time::timeout;

/// The settings of a [`RedisStore`], and then of the fleet on it.
#[derive(Clone)]
#[must_use = "call `connect` or `connect_or_degrade`"]
pub struct RedisBuilder {
    addresses: Vec<String>,
    cluster: bool,
    connections: u32,
    trust: Trust,
    fleet: FleetBuilder<()>,
}

impl RedisBuilder {
    pub(crate) fn new(address: String) -> Self {
        Self {
            addresses: vec![address],
            cluster: false,
            connections: 1,
            trust: Trust::default(),
            fleet: FleetBuilder::new(()),
        }
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn cluster(addresses: Vec<String>) -> Self {
        Self {
            addresses,
            cluster: true,
            connections: 1,
            trust: Trust::default(),
            fleet: FleetBuilder::new(()),
        }
    }

    /// How many connections to the server the calls share, from 1 to 64; 1 by default. One
    /// carries any number of calls at a time, and tens of thousands a second; more are used, and
    /// help, when there are more than 64 calls on it at a time.
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self
    }

    /// Trusts the certificates that these authorities signed, in PEM, and no others. Without it,
    /// those that the system trusts are.
    ///
    /// The address must be `rediss://`.
    #[cfg(feature = "tls")]
    pub fn certificate_authorities(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.trust.authorities = Some(pem.as_ref().to_vec());
        self
    }

    /// Shows the server this certificate, with its key, both in PEM: for servers that ask their
    /// clients for one.
    ///
    /// The address must be `rediss://`.
    #[cfg(feature = "tls")]
    pub fn client_certificate(mut self, pem: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.trust.identity = Some((pem.as_ref().to_vec(), key.as_ref().to_vec()));
        self
    }

    /// See [`FleetBuilder::namespace`].
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.fleet = self.fleet.namespace(namespace);
        self
    }

    /// See [`FleetBuilder::secret`].
    pub fn secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.fleet = self.fleet.secret(secret);
        self
    }

    /// See [`FleetBuilder::deadline`].
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.fleet = self.fleet.deadline(deadline);
        self
    }

    /// See [`FleetBuilder::instances`].
    pub fn instances(mut self, instances: u32) -> Self {
        self.fleet = self.fleet.instances(instances);
        self
    }

    /// See [`FleetBuilder::max_asks`].
    pub fn max_asks(mut self, max_asks: u32) -> Self {
        self.fleet = self.fleet.max_asks(max_asks);
        self
    }

    /// Connects, and fails if the server does not answer within three seconds.
    ///
    /// # Errors
    ///
    /// A setting makes no sense, the address is none, or the server does not answer or does not
    /// let this client in. Outside of a tokio runtime it is a setting error, too.
    pub async fn connect(self) -> Result<Fleet, ConnectError> {
        let (builder, target) = self.with_store()?;
        // Connections are made again and again until it works, which is not what is wanted yet.
        let tried = timeout(PATIENCE, target.try_once()).await;
        match tried {
            Ok(tried) => tried.map_err(|error| ConnectError::Unreachable(error.into()))?,
            Err(overdue) => return Err(ConnectError::Unreachable(StoreError::new(overdue))),
        }
        builder.start_answered(PATIENCE).await
    }

    /// Connects in the background. Until the server answers, limits are decided locally: for a
    /// service that must come up whether or not its Redis has.
    ///
    /// # Errors
    ///
    /// A setting makes no sense, or the address is none. Outside of a tokio runtime it is a
    /// setting error, too.
    pub fn connect_or_degrade(self) -> Result<Fleet, ConnectError> {
        let (builder, _) = self.with_store()?;
        Ok(builder.start_lost("not connected yet")?)
    }

    fn with_store(self) -> Result<(FleetBuilder<RedisStore>, Target), ConnectError> {
        // Before anything needs it.
        FleetBuilder::<()>::runtime()?;
        let target = Target {
            connections: check_range("connections", self.connections, 1..=64)?,
            patience: self
                .fleet
                .deadline
                .clamp(SHORTEST_PATIENCE, LONGEST_PATIENCE),
            clients: Clients::to(&self.addresses, self.cluster, &self.trust)?,
        };
        let store = RedisStore {
            lines: ArcSwap::from_pointee(target.lines().map_err(ConnectError::address)?),
            target: target.clone(),
            scripts: Scripts::new(),
            unanswered: Mutex::new(None),
        };
        Ok((self.fleet.on(store), target))
    }
}

/// Says all but the addresses, which may hold a password.
impl fmt::Debug for RedisBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBuilder")
            .field("cluster", &self.cluster)
            .field("connections", &self.connections)
            .field("fleet", &self.fleet)
            .finish_non_exhaustive()
    }
}

/// How long the first answer may take.
const PATIENCE: Duration = Duration::from_secs(3);
const SHORTEST_PATIENCE: Duration = Duration::from_secs(1);
const LONGEST_PATIENCE: Duration = Duration::from_secs(60);
