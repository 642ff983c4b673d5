//! A wire between a client and a server that can be cut in the middle of an answer, or freeze.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    /// How many bytes of answers still pass before the connection is cut; negative for all.
    answer: AtomicI64,
    /// Connections with a number below this one are frozen.
    frozen: AtomicU32,
    connections: AtomicU32,
}

impl Proxy {
    pub(crate) async fn to(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            answer: AtomicI64::new(-1),
            frozen: AtomicU32::new(0),
            connections: AtomicU32::new(0),
        });
        let all = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = all.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(pass(client, server, number, Arc::clone(&all)));
            }
        });
        Self { port, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Cuts the connection after so many more bytes of answers; once.
    pub(crate) fn cut_after(&self, bytes: i64) {
        self.shared.answer.store(bytes, Ordering::SeqCst);
    }

    /// From now on the connections that are there take everything and answer nothing.
    pub(crate) fn freeze(&self) {
        let there = self.connections();
        self.shared.frozen.store(there, Ordering::SeqCst);
    }

    pub(crate) fn connections(&self) -> u32 {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

async fn pass(mut client: TcpStream, server: u16, number: u32, shared: Arc<Shared>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await else {
        return;
    };
    let (mut asks, mut answers) = ([0; 4096], [0; 4096]);
    loop {
        let frozen = || number < shared.frozen.load(Ordering::SeqCst);
        tokio::select! {
            read = client.read(&mut asks) => match read {
                Ok(1..) if frozen() => {}
                Ok(read @ 1..) => {
                    if server.write_all(&asks[..read]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
            read = server.read(&mut answers) => match read {
                Ok(1..) if frozen() => {}
                Ok(mut read @ 1..) => {
                    let left = shared.answer.load(Ordering::SeqCst);
                    let cut = usize::try_from(left).is_ok_and(|left| left <= read);
                    if cut {
                        read = left as usize;
                        shared.answer.store(-1, Ordering::SeqCst);
                    } else if left > 0 {
                        shared.answer.fetch_sub(i64::try_from(read).unwrap(), Ordering::SeqCst);
                    }
                    if client.write_all(&answers[..read]).await.is_err() || cut {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}
