use super::RedisStore;
use super::lines::{Lines, Peers};
use super::script::Scripts;
use crate::fleet::{Fleet, FleetBuilder};
use crate::store::StoreError;
use arc_swap::ArcSwap;
use buttress_core::SettingError;
use buttress_core::setting::check_range;
use redis::aio::ConnectionManagerConfig;
use redis::{AsyncConnectionConfig, Client, RedisError};
use std::fmt;
use std::sync::atomic::AtomicU32;
use std::time::Duration;
use tokio::time::timeout;

/// The settings of a [`RedisStore`], and then of the fleet on it.
#[derive(Clone)]
#[must_use = "call `connect` or `connect_or_degrade`"]
pub struct RedisBuilder {
    addresses: Vec<String>,
    cluster: bool,
    connections: u32,
    fleet: FleetBuilder<()>,
}

impl RedisBuilder {
    pub(crate) fn new(address: String) -> Self {
        Self {
            addresses: vec![address],
            cluster: false,
            connections: 1,
            fleet: FleetBuilder::new(()),
        }
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn cluster(addresses: Vec<String>) -> Self {
        Self {
            addresses,
            cluster: true,
            connections: 1,
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
            clients: clients(&self.addresses, self.cluster)?,
        };
        let store = RedisStore {
            lines: ArcSwap::from_pointee(target.lines().map_err(ConnectError::address)?),
            target: target.clone(),
            scripts: Scripts::new(),
            unanswered: AtomicU32::new(0),
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

/// Where to connect to, and how.
#[derive(Clone)]
pub(super) struct Target {
    connections: u32,
    clients: Clients,
}

#[derive(Clone)]
enum Clients {
    One(Box<Client>),
    #[cfg(feature = "cluster")]
    Cluster(Box<redis::cluster::ClusterClient>),
}

fn clients(addresses: &[String], cluster: bool) -> Result<Clients, ConnectError> {
    #[cfg(feature = "tls")]
    // The one provider that is sure to be there. If the app has chosen one, it stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    #[cfg(feature = "cluster")]
    if cluster {
        let client = redis::cluster::ClusterClient::builder(addresses.to_vec())
            .connection_timeout(CONNECTING)
            .response_timeout(ANSWERING)
            .retries(1)
            .build();
        let client = client.map_err(ConnectError::address)?;
        return Ok(Clients::Cluster(Box::new(client)));
    }
    let _ = cluster;
    let address = addresses.first().map_or("", String::as_str);
    let client = Client::open(address).map_err(ConnectError::address)?;
    Ok(Clients::One(Box::new(client)))
}

impl Target {
    /// Connects and leaves again.
    async fn try_once(&self) -> Result<(), RedisError> {
        match &self.clients {
            Clients::One(client) => {
                let settings = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECTING))
                    .set_response_timeout(Some(ANSWERING));
                let connected = client.get_multiplexed_async_connection_with_config(&settings);
                connected.await.map(drop)
            }
            #[cfg(feature = "cluster")]
            Clients::Cluster(client) => client.get_async_connection().await.map(drop),
        }
    }

    /// Connections that are made when first used, and made again when they are lost.
    pub(super) fn lines(&self) -> Result<Lines, RedisError> {
        let peers = match &self.clients {
            Clients::One(client) => {
                let settings = ConnectionManagerConfig::new()
                    .set_connection_timeout(Some(CONNECTING))
                    .set_response_timeout(Some(ANSWERING))
                    .set_min_delay(RECONNECT_FIRST)
                    .set_max_delay(RECONNECT_AT_MOST)
                    // Then it fails, and whoever asks next makes it start again.
                    .set_number_of_retries(RECONNECTS);
                let lines = (0..self.connections)
                    .map(|_| client.get_connection_manager_lazy(settings.clone()))
                    .collect::<Result<_, _>>()?;
                Peers::One(lines)
            }
            #[cfg(feature = "cluster")]
            Clients::Cluster(client) => {
                let settings = redis::cluster::ClusterConfig::new()
                    .set_connection_timeout(CONNECTING)
                    .set_response_timeout(ANSWERING);
                let lines = (0..self.connections)
                    .map(|_| client.get_pending_async_connection_with_config(settings.clone()))
                    .collect();
                Peers::Cluster(lines)
            }
        };
        Ok(Lines::new(peers))
    }
}

/// Why there is no fleet.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// A setting makes no sense.
    Setting(SettingError),
    /// The address is none, or of a kind that this build does not speak.
    Address(RedisError),
    /// The server does not answer, or does not let this client in.
    Unreachable(StoreError),
}

impl ConnectError {
    fn address(error: RedisError) -> Self {
        Self::Address(error)
    }
}

impl From<SettingError> for ConnectError {
    fn from(error: SettingError) -> Self {
        Self::Setting(error)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(error) => error.fmt(f),
            Self::Address(error) => write!(f, "the address of Redis cannot be used: {error}"),
            Self::Unreachable(error) => write!(f, "Redis cannot be reached: {error}"),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Setting(error) => Some(error),
            Self::Address(error) => Some(error),
            Self::Unreachable(error) => Some(error),
        }
    }
}

/// How long the first answer may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long one attempt to connect may take.
const CONNECTING: Duration = Duration::from_millis(500);
/// How long the connection waits for an answer; those who ask give up earlier.
const ANSWERING: Duration = Duration::from_secs(1);
const RECONNECTS: usize = 10;
const RECONNECT_FIRST: Duration = Duration::from_millis(50);
const RECONNECT_AT_MOST: Duration = Duration::from_millis(200);
