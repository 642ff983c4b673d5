use redis::aio::ConnectionManager;
use redis::{Cmd, RedisResult, Value};
use std::sync::atomic::{AtomicU32, Ordering};

/// The connections to the server. Calls share them: a connection carries many at a time.
///
/// They are not used in turn. What is sent together on one connection is written and read
/// together, which costs both sides a fraction of so many single messages; so a connection is
/// filled up before the next one is touched.
pub(super) struct Lines {
    to: Peers,
    /// How many calls are on each.
    busy: Box<[AtomicU32]>,
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
        let count = match &to {
            Peers::One(lines) => lines.len(),
            #[cfg(feature = "cluster")]
            Peers::Cluster(lines) => lines.len(),
        };
        Self {
            to,
            busy: (0..count).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    pub(super) async fn send(&self, call: &Cmd) -> RedisResult<Value> {
        let line = self.pick();
        // An error of the server's is among the answers; here it is an error.
        match &self.to {
            Peers::One(lines) => {
                let answer = line.of(lines)?.send_packed_command(call).await;
                answer.and_then(Value::extract_error)
            }
            #[cfg(feature = "cluster")]
            Peers::Cluster(lines) => call.query_async(&mut line.of(lines)?).await,
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

    /// The first that is not full, or else the one with the fewest calls.
    fn pick(&self) -> Line<'_> {
        let (mut best, mut fewest) = (0, u32::MAX);
        for (number, busy) in self.busy.iter().enumerate() {
            let busy = busy.load(Ordering::Relaxed);
            if busy < fewest {
                (best, fewest) = (number, busy);
            }
            if busy < FULL {
                best = number;
                break;
            }
        }
        let busy = self.busy.get(best);
        if let Some(busy) = busy {
            busy.fetch_add(1, Ordering::Relaxed);
        }
        Line { number: best, busy }
    }
}

/// A call's place on a connection, until it is over or given up.
struct Line<'a> {
    number: usize,
    busy: Option<&'a AtomicU32>,
}

impl Line<'_> {
    fn of<T: Clone>(&self, lines: &[T]) -> RedisResult<T> {
        let line = lines.get(self.number).cloned();
        // There is at least one; were there none, asking would fail, and not panic.
        line.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotConnected).into())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if let Some(busy) = self.busy {
            busy.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// So many calls at a time make a connection worth more than its messages.
const FULL: u32 = 64;
