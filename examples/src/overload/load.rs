//! Open-loop load: calls come when they come, whatever becomes of the ones before.

use super::{PATIENCE, Server};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::pin::pin;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};
use tower::BoxError;

/// What came of the calls that were counted.
#[derive(Clone, Copy, Debug)]
pub struct Went {
    /// The calls that were made.
    pub offered: usize,
    /// Those that were answered while their callers waited.
    pub answered: usize,
    /// Those that were refused, or failed otherwise.
    pub refused: usize,
    /// For how long calls were counted.
    pub time: Duration,
    /// How long half of the answered ones took at most, if there are any.
    pub p50: Option<Duration>,
    /// The same of 99 in 100.
    pub p99: Option<Duration>,
}

impl Went {
    /// Answers a second that somebody waited for.
    pub fn goodput(&self) -> f64 {
        self.answered as f64 / self.time.as_secs_f64()
    }

    fn count(answers: &[Answer], time: Duration) -> Self {
        let took = answers.iter().filter_map(|answer| match answer {
            Answer::Success(took) => Some(*took),
            Answer::Refused | Answer::TooLate => None,
        });
        let mut took: Vec<Duration> = took.collect();
        took.sort_unstable();
        let refused = answers.iter().filter(|a| matches!(a, Answer::Refused));
        Self {
            offered: answers.len(),
            answered: took.len(),
            refused: refused.count(),
            time,
            p50: took.get(took.len() / 2).copied(),
            p99: took.get(took.len() * 99 / 100).copied(),
        }
    }
}

/// What a caller got.
enum Answer {
    Success(Duration),
    Refused,
    TooLate,
}

/// Makes `rate` calls a second at random times for `time`, and counts those that are made after
/// `uncounted`.
///
/// # Errors
///
/// There is no connection.
pub async fn offer(
    server: &Server,
    rate: f64,
    time: Duration,
    uncounted: Duration,
) -> Result<Went, BoxError> {
    // All that is still under way ends with it.
    let mut tasks = JoinSet::new();
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let socket = TcpStream::connect(server.address()).await?;
        socket.set_nodelay(true)?;
        let (calls, connection) = handshake(TokioExecutor::new(), TokioIo::new(socket)).await?;
        tasks.spawn(async move {
            let _ = connection.await;
        });
        connections.push(calls);
    }
    let (tell, mut answers) = mpsc::unbounded_channel();
    let mut random = Random(1);
    let (begin, mut at) = (Instant::now(), Duration::ZERO);
    for connection in connections.iter().cycle() {
        at += Duration::from_secs_f64(-(1.0 - random.next()).ln() / rate);
        if at >= time {
            break;
        }
        sleep_until(begin + at).await;
        let tell = (at >= uncounted).then(|| tell.clone());
        tasks.spawn(call(connection.clone(), begin + at, tell));
    }
    drop(tell);
    let mut went = Vec::new();
    // Until the last caller has an answer or has given up.
    while let Some(answer) = answers.recv().await {
        went.push(answer);
    }
    Ok(Went::count(&went, time.saturating_sub(uncounted)))
}

/// A call that was due at `due`: if it is made late, because the machine is busy, that counts.
async fn call(
    mut connection: SendRequest<Empty<Bytes>>,
    due: Instant,
    tell: Option<mpsc::UnboundedSender<Answer>>,
) {
    let tell = move |answer| {
        if let Some(tell) = tell {
            // Who counts may have gone.
            let _ = tell.send(answer);
        }
    };
    let mut exchange = pin!(async {
        let patience = PATIENCE.as_millis().to_string();
        let request = Request::get("http://localhost/").header("x-request-timeout-ms", patience);
        let response = connection
            .send_request(request.body(Empty::new()).ok()?)
            .await;
        let (head, body) = response.ok()?.into_parts();
        body.collect().await.ok()?;
        head.status.is_success().then_some(())
    });
    match timeout_at(due + PATIENCE, &mut exchange).await {
        Ok(Some(())) => tell(Answer::Success(due.elapsed())),
        Ok(None) => tell(Answer::Refused),
        Err(_) => {
            tell(Answer::TooLate);
            // The caller has gone. The service does not know.
            exchange.await;
        }
    }
}

/// A random sequence that is always the same (Knuth's MMIX).
struct Random(u64);

impl Random {
    /// From 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

const CONNECTIONS: usize = 8;
