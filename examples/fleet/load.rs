//! The instances as processes, and the load.

use crate::instance::{MODE, URL};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tower::BoxError;

/// How many connections to each instance.
const CONNECTIONS: usize = 8;

/// An instance that runs as long as this is held.
pub(crate) struct Instance {
    _child: Child,
    connections: Vec<Connection>,
    state: Connection,
}

/// What came of a load.
pub(crate) struct Seen {
    pub offered_per_second: f64,
    pub admitted_per_second: f64,
    pub added_p99_us: u32,
    pub seconds: f64,
    /// Whether an instance decided on its own at any time.
    pub degraded: bool,
}

impl Instance {
    pub(crate) async fn start(mode: &str, url: &str) -> Result<Self, BoxError> {
        let mut child = Command::new(std::env::current_exe()?)
            .envs([(MODE, mode), (URL, url)])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().ok_or("it has no output")?;
        let first = BufReader::new(stdout).lines().next_line().await?;
        let address = first.ok_or("an instance ended before it was up")?;
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Connection::to(&address).await?);
        }
        Ok(Self {
            _child: child,
            connections,
            state: Connection::to(&address).await?,
        })
    }

    /// Calls it until it says of itself what is expected: a limit that nobody asks notices an
    /// outage only with its next heartbeat.
    pub(crate) async fn until(&mut self, line: &str) -> Result<(), BoxError> {
        for _ in 0..1_000 {
            let (_, state) = self.state.get("/state").await?;
            if state.lines().any(|known| known == line) {
                return Ok(());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Err(format!("an instance never said `{line}`").into())
    }

    /// The p99 since it was last asked, and whether it decided on its own since then.
    async fn since(&mut self) -> Result<(u32, bool), BoxError> {
        let (_, state) = self.state.get("/state").await?;
        let find = |name| state.lines().find_map(|line| line.strip_prefix(name));
        let p99 = find("p99 ").ok_or("an instance has no p99")?.parse()?;
        let alone = find("alone ").ok_or("an instance does not say")?.parse()?;
        Ok((p99, alone))
    }
}

/// So many calls a second over all instances alike.
pub(crate) async fn offer(
    instances: &mut [Instance],
    per_second: u32,
    time: Duration,
) -> Result<Seen, BoxError> {
    for instance in &mut *instances {
        // What was before is not of this load.
        instance.since().await?;
    }
    let each = f64::from(per_second) / (instances.len() * CONNECTIONS) as f64;
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for (of, instance) in instances.iter_mut().enumerate() {
        for connection in instance.connections.drain(..) {
            tasks.spawn(async move { (of, connection.call(each, start, time).await) });
        }
    }
    let (mut offered, mut admitted) = (0, 0);
    while let Some(done) = tasks.join_next().await {
        let (of, called) = done?;
        let (connection, calls, passed) = called?;
        instances[of].connections.push(connection);
        offered += calls;
        admitted += passed;
    }
    let took = start.elapsed().as_secs_f64();
    let (mut added, mut degraded) = (0, false);
    for instance in instances {
        let (p99, alone) = instance.since().await?;
        (added, degraded) = (added.max(p99), degraded | alone);
    }
    Ok(Seen {
        offered_per_second: f64::from(offered) / took,
        admitted_per_second: f64::from(admitted) / took,
        added_p99_us: added,
        seconds: took,
        degraded,
    })
}

/// A connection that speaks as much HTTP as it takes.
struct Connection(TcpStream);

impl Connection {
    async fn to(address: &str) -> Result<Self, BoxError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Calls at an even rate, and counts what was called and what was admitted.
    async fn call(
        mut self,
        per_second: f64,
        start: Instant,
        time: Duration,
    ) -> Result<(Self, u32, u32), BoxError> {
        let (mut calls, mut admitted) = (0, 0);
        loop {
            let due = start + Duration::from_secs_f64(f64::from(calls) / per_second);
            if due - start >= time {
                return Ok((self, calls, admitted));
            }
            sleep_until(due).await;
            let (status, _) = self.get("/").await?;
            calls += 1;
            admitted += u32::from(status == 200);
        }
    }

    async fn get(&mut self, path: &str) -> Result<(u16, String), BoxError> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: fleet\r\n\r\n");
        self.0.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        loop {
            let mut buffer = [0; 2048];
            match self.0.read(&mut buffer).await? {
                0 => return Err("an instance hung up".into()),
                read => answer.extend_from_slice(&buffer[..read]),
            }
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.ok_or("an answer without its length")?.parse()?;
            if body.len() >= length {
                let status = head.split(' ').nth(1).ok_or("an answer without a status")?;
                return Ok((status.parse()?, body.to_owned()));
            }
        }
    }
}
