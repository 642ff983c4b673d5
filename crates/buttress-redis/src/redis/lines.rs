use redis::aio::ConnectionManager;
use redis::{Cmd, RedisResult, Value};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The connections to the server. Calls share them: a connection carries many at a time.
pub(super) struct Lines {
    to: Peers,
    next: AtomicUsize,
}

pub(super) enum Peers {
    /// To one server.
    One(Box<[ConnectionManager]>),
    /// To each master.
    #[cfg(feature = "cluster")]
    Cluster(Box<[redis::cluster_async::ClusterConnection]>),
}

impl Lines {
    pub(super) fn new(to: Peers) -> Self {
        Self {
            to,
            next: AtomicUsize::new(0),
        }
    }

    pub(super) async fn send(&self, call: &Cmd) -> RedisResult<Value> {
        // An error of the server's is among the answers; here it is an error.
        match &self.to {
            Peers::One(lines) => {
                let answer = self.pick(lines)?.send_packed_command(call).await;
                answer.and_then(Value::extract_error)
            }
            #[cfg(feature = "cluster")]
            Peers::Cluster(lines) => call.query_async(&mut self.pick(lines)?).await,
        }
    }

    /// Tries them all, so that none is found to be dead by a call.
    pub(super) async fn check(&self) -> RedisResult<()> {
        let ping = redis::cmd("PING");
        match &self.to {
            Peers::One(lines) => {
                let sent: Vec<_> = lines
                    .iter()
                    .map(|line| {
                        let (mut line, ping) = (line.clone(), ping.clone());
                        tokio::spawn(async move {
                            let answer = line.send_packed_command(&ping).await;
                            answer.and_then(Value::extract_error)
                        })
                    })
                    .collect();
                for answer in sent {
                    // A task that ends early was not answered.
                    answer.await.map_err(std::io::Error::other)??;
                }
                Ok(())
            }
            #[cfg(feature = "cluster")]
            Peers::Cluster(lines) => {
                use redis::cluster_routing::{
                    MultipleNodeRoutingInfo, ResponsePolicy, RoutingInfo,
                };
                for line in lines {
                    let masters = MultipleNodeRoutingInfo::AllMasters;
                    let all = Some(ResponsePolicy::AllSucceeded);
                    let route = RoutingInfo::MultiNode((masters, all));
                    line.clone().route_command(ping.clone(), route).await?;
                }
                Ok(())
            }
        }
    }

    fn pick<T: Clone>(&self, lines: &[T]) -> RedisResult<T> {
        let turn = match lines.len() {
            1 => 0,
            more => self.next.fetch_add(1, Ordering::Relaxed) % more.max(1),
        };
        let line = lines.get(turn).cloned();
        // There is at least one; were there none, asking would fail, and not panic.
        line.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotConnected).into())
    }
}
