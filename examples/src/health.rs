//! A service that tells how it is, goes down in order, and notices that it is stuck.

use axum::Router;
use axum::routing::get;
use buttress::SettingError;
use buttress_health::{Check, Drain, DrainReport, EndpointServer, Health, TcpConnect, Watchdog};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tower::BoxError;

/// What can be chosen.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long calls are still taken once readiness has turned bad.
    pub notice: Duration,
    /// The database's address. Nobody listens at the default one.
    pub database: String,
    /// Where the probes are answered.
    pub probes: SocketAddr,
    /// Where gRPC is served.
    pub grpc: SocketAddr,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            notice: Duration::from_secs(5),
            database: "127.0.0.1:1".to_owned(),
            probes: SocketAddr::from(([127, 0, 0, 1], 0)),
            grpc: SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }
}

/// A service that has started.
#[derive(Debug)]
pub struct Service {
    listener: TcpListener,
    grpc: TcpListener,
    grpc_address: SocketAddr,
    probes: EndpointServer,
    health: Health,
    drain: Drain,
    _watchdog: Watchdog,
    #[cfg(unix)]
    _systemd: Option<buttress_health::systemd::Notifier>,
}

impl Service {
    /// Starts the checks, the watchdog and the probes' thread.
    ///
    /// # Errors
    ///
    /// A setting makes no sense, an address is taken, or systemd's socket is not there.
    pub async fn start(listener: TcpListener, settings: &Settings) -> Result<Self, BoxError> {
        let health = checks(&settings.database)?;
        // Short times, so that there is something to see.
        let watchdog = Watchdog::builder(&health)
            .stuck_after(Duration::from_secs(2))
            .not_alive_after(Duration::from_secs(1))
            .refuse_after(Duration::from_secs(2))
            .end_process_after(Duration::from_secs(10))
            .build()?;
        let drain = Drain::builder(&health).notice(settings.notice).build()?;
        drain.at_signals()?;
        // Only our own people reach this port. By a thread of its own, so that it answers even
        // when everything else is stuck.
        let probes = health.endpoints().with_reasons();
        let probes = probes.serve_on_a_thread(settings.probes)?;
        let grpc = TcpListener::bind(settings.grpc).await?;
        Ok(Self {
            grpc_address: grpc.local_addr()?,
            grpc,
            listener,
            probes,
            #[cfg(unix)]
            _systemd: buttress_health::systemd::notify(&health)?,
            health,
            drain,
            _watchdog: watchdog,
        })
    }

    /// Where the probes are answered.
    pub fn probes(&self) -> SocketAddr {
        self.probes.local_addr()
    }

    /// Where gRPC is served.
    pub fn grpc(&self) -> SocketAddr {
        self.grpc_address
    }

    /// Serves until the process is asked to end, and then in order to the end.
    pub async fn run(self) -> DrainReport<Result<(), BoxError>> {
        let drain = &self.drain;
        // Outermost, so that it counts every call to its last byte.
        let app = Router::new()
            .route("/hello", get(hello))
            .route("/slow", get(slow))
            .route("/stuck", get(stuck))
            .layer(drain.clone());
        let http = axum::serve(self.listener, app).with_graceful_shutdown(drain.closing());
        let grpc = Server::builder()
            .layer(drain.clone())
            .add_service(self.health.grpc())
            .serve_with_incoming_shutdown(TcpListenerStream::new(self.grpc), drain.closing());
        let both = async {
            let http = async { http.await.map_err(BoxError::from) };
            let grpc = async { grpc.await.map_err(BoxError::from) };
            tokio::try_join!(http, grpc).map(drop)
        };
        // Boxed, since it holds two servers.
        drain.run(Box::pin(both)).await
    }
}

/// A database that may be down without taking every instance out at once, and a cache that must
/// be warm before there is an instance at all.
fn checks(database: &str) -> Result<Health, SettingError> {
    let often = Duration::from_secs(2);
    Health::builder()
        .check(Check::readiness("database", TcpConnect::to(database)).every(often))
        .check(Check::startup("cache", warm_up))
        .build()
}

async fn warm_up() -> Result<(), Infallible> {
    sleep(Duration::from_millis(200)).await;
    Ok(())
}

async fn hello() -> &'static str {
    "hello\n"
}

async fn slow() -> &'static str {
    sleep(Duration::from_secs(3)).await;
    "at last\n"
}

/// A mistake: it blocks its thread, and for good.
async fn stuck() -> &'static str {
    let (_sender, receiver) = std::sync::mpsc::channel::<()>();
    let _ = receiver.recv();
    "never\n"
}
