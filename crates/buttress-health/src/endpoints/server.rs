use super::Endpoints;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};

impl Endpoints {
    /// Serves the endpoints on a listener of their own, until the returned future is dropped. With
    /// it, they answer to the end while the process shuts down.
    ///
    /// At most 256 connections are served at once, and each has 30 s to send the head of its next request.
    pub async fn serve(self, listener: TcpListener) {
        let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        // They end together with this.
        let mut connections = tokio::task::JoinSet::new();
        loop {
            // The others wait in the kernel's queue, which is bounded.
            let Ok(place) = Arc::clone(&room).acquire_owned().await else {
                return;
            };
            while connections.try_join_next().is_some() {}
            let Ok((stream, _)) = listener.accept().await else {
                // Too many open files, most likely. It passes, and asking at once does not help.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            let service = TowerToHyperService::new(self.clone());
            connections.spawn(async move {
                // What goes wrong on a connection is its client's business.
                let _ = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(LONGEST_HEAD)
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
                drop(place);
            });
        }
    }

    /// Serves the endpoints at an address of their own, by a thread with a runtime of its own: a
    /// probe is answered even when the process's runtime is stuck, and can say so.
    ///
    /// # Errors
    ///
    /// The address is taken or is none, or no thread can be started.
    pub fn serve_on_a_thread(self, address: impl ToSocketAddrs) -> io::Result<EndpointServer> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = async move {
            let Ok(listener) = TcpListener::from_std(listener) else {
                return;
            };
            tokio::select! {
                () = self.serve(listener) => {}
                _ = stopped => {}
            }
        };
        thread::Builder::new()
            .name("health-endpoints".to_owned())
            .spawn(move || runtime.block_on(serve))?;
        Ok(EndpointServer {
            address,
            _running: stop,
        })
    }
}

/// Endpoints that are served by a thread of their own, until this is dropped.
#[derive(Debug)]
#[must_use = "it stops when dropped"]
pub struct EndpointServer {
    address: SocketAddr,
    _running: oneshot::Sender<()>,
}

impl EndpointServer {
    /// Where it listens: the port that was chosen, if 0 was asked for.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

/// Probes come from a few places.
const MOST_CONNECTIONS: usize = 256;

const LONGEST_HEAD: Duration = Duration::from_secs(30);
