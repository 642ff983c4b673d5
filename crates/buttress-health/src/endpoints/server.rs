use super::Endpoints;
use super::connections::Connections;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::thread;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

impl Endpoints {
    /// Serves the endpoints on a listener of their own, until the returned future is dropped. With
    /// it, they answer to the end while the process shuts down.
    ///
    /// A connection is closed when the head of its next request is not there within 7 s, which is
    /// longer than most probes pause. At most 256 are served at once; for one more, the one is
    /// closed that has had no answer for longest. So whoever opens connections and says nothing
    /// keeps no probe waiting.
    pub async fn serve(self, listener: TcpListener) {
        self.serve_patiently(listener, LONGEST_HEAD).await;
    }

    async fn serve_patiently(self, listener: TcpListener, longest_head: Duration) {
        // They end together with this.
        let mut connections = Connections::new();
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                // It went away while it waited.
                Err(error) if is_of_one_connection(&error) => continue,
                Err(_) => {
                    // Too many open files, most likely. It passes, and asking at once does not
                    // help.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let _ = stream.set_nodelay(true);
            let connection = connections.next();
            let service = TowerToHyperService::new(connection.watch(self.clone()));
            connections.serve(connection, async move {
                // What goes wrong on a connection is its client's business.
                let _ = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(longest_head)
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
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

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

/// Not a multiple of any usual interval of probes, so that no connection is closed in the very
/// moment in which it is used again.
const LONGEST_HEAD: Duration = Duration::from_secs(7);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Health;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    /// Only a hang takes so long.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// Half a head is sent, and nobody's time is ever over: only by being closed for others do
    /// they leave room.
    #[tokio::test]
    async fn half_open_connections_keep_no_probe_waiting() {
        let health = Health::builder().build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let year = Duration::from_secs(365 * 24 * 60 * 60);
        tokio::spawn(health.endpoints().serve_patiently(listener, year));
        let mut probe = TcpStream::connect(address).await.unwrap();
        ask(&mut probe).await;
        let mut half_open = Vec::new();
        for number in 1..=600 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /livez HTTP/1.1\r\n").await.unwrap();
            half_open.push(stream);
            if number % 100 == 0 {
                // One that is in use is not the one that has waited longest.
                ask(&mut probe).await;
                ask(&mut TcpStream::connect(address).await.unwrap()).await;
            }
        }
        let mut first = half_open.swap_remove(0);
        let closed = timeout(PATIENCE, first.read(&mut [0])).await.unwrap();
        assert!(!matches!(closed, Ok(1..)));
        // The last one is still served.
        let mut last = half_open.pop().unwrap();
        last.write_all(b"host: a\r\n\r\n").await.unwrap();
        read_answer(&mut last).await;
    }

    async fn ask(stream: &mut TcpStream) {
        let request = b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n";
        stream.write_all(request).await.unwrap();
        read_answer(stream).await;
    }

    /// Up to its body, which is `ok`.
    async fn read_answer(stream: &mut TcpStream) {
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nok") {
            let byte = timeout(PATIENCE, stream.read_u8()).await.unwrap();
            answer.push(byte.unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}
