use super::Blocking;
use crate::check::{Fault, Inspect};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use tokio::net::TcpStream;

/// Whether somebody accepts connections at an address. It connects and hangs up.
#[derive(Debug)]
pub struct TcpConnect {
    target: Target,
}

impl TcpConnect {
    /// `address` is a host and a port, `"db.internal:5432"`. A name is looked up each time; the
    /// check passes if one of its addresses accepts.
    pub fn to(address: impl Into<String>) -> Self {
        Self {
            target: Target::new(address.into()),
        }
    }
}

impl Inspect for TcpConnect {
    const IS_DEPENDENCY: bool = true;

    async fn inspect(&self) -> Result<(), Fault> {
        self.target.connect().await.map(drop)
    }
}

/// Where to connect to.
#[derive(Debug)]
pub(super) enum Target {
    Known(SocketAddr),
    /// Looking a name up blocks, and may hang.
    Named(Blocking<Vec<SocketAddr>>),
}

impl Target {
    pub(super) fn new(address: String) -> Self {
        if let Ok(known) = address.parse() {
            return Self::Known(known);
        }
        let address: Arc<str> = address.into();
        Self::Named(Blocking::new(move || {
            Ok::<_, io::Error>(address.to_socket_addrs()?.collect())
        }))
    }

    pub(super) async fn connect(&self) -> Result<TcpStream, Fault> {
        let addresses = match self {
            Self::Known(address) => return connect(*address).await.map_err(Fault::new),
            Self::Named(lookup) => lookup.ask().await?,
        };
        let mut last = Fault::new("the name has no address");
        for address in addresses {
            match connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Fault::new(error),
            }
        }
        Err(last)
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    TcpStream::connect(address).await
}
