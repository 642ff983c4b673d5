use super::error::ConnectError;
use super::lines::{Lines, Peers};
use super::trust::Trust;
use redis::aio::ConnectionManagerConfig;
use redis::{AsyncConnectionConfig, Client, RedisError};
use std::time::Duration;

/// Where to connect to, and how.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) connections: u32,
    /// How long a cluster's connection waits for an answer, its own questions included.
    #[cfg_attr(not(feature = "cluster"), expect(dead_code, reason = "a cluster's"))]
    pub(super) patience: Duration,
    pub(super) clients: Clients,
}

#[derive(Clone)]
pub(super) enum Clients {
    One(Box<Client>),
    #[cfg(feature = "cluster")]
    Cluster(Box<redis::cluster::ClusterClient>),
}

impl Clients {
    pub(super) fn to(
        addresses: &[String],
        cluster: bool,
        trust: &Trust,
    ) -> Result<Self, ConnectError> {
        trust.check(addresses)?;
        #[cfg(feature = "cluster")]
        if cluster {
            let builder = redis::cluster::ClusterClient::builder(addresses.to_vec())
                .connection_timeout(CONNECTING)
                .retries(1);
            let client = trust.on_cluster(builder).build();
            let client = client.map_err(ConnectError::address)?;
            return Ok(Self::Cluster(Box::new(client)));
        }
        let _ = cluster;
        let address = addresses.first().map_or("", String::as_str);
        let client = trust.open(address).map_err(ConnectError::address)?;
        Ok(Self::One(Box::new(client)))
    }
}

impl Target {
    /// Connects and leaves again.
    pub(super) async fn try_once(&self) -> Result<(), RedisError> {
        match &self.clients {
            Clients::One(client) => {
                let settings =
                    AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECTING));
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
                    // Whoever asks has a deadline; a second timer would be for nothing.
                    .set_response_timeout(None)
                    .set_pipeline_buffer_size(WRITTEN_TOGETHER)
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
                    .set_response_timeout(self.patience);
                let lines = (0..self.connections)
                    .map(|_| client.get_pending_async_connection_with_config(settings.clone()))
                    .collect();
                Peers::Cluster(lines)
            }
        };
        Ok(Lines::new(peers))
    }
}

/// How long one attempt to connect may take.
const CONNECTING: Duration = Duration::from_millis(500);
const RECONNECTS: usize = 10;
const RECONNECT_FIRST: Duration = Duration::from_millis(50);
const RECONNECT_AT_MOST: Duration = Duration::from_millis(200);
/// So many asks may be on their way to a connection before the next one waits to be sent.
const WRITTEN_TOGETHER: usize = 256;
