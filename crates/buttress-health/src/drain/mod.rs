//! Going down without losing a call.
//!
//! A process that just ends takes the calls in flight with it. One that stops listening first
//! still loses those that are sent to it before the load balancer knows. So there is an order to
//! it, which [`Drain`] keeps.

mod background;
mod future;
mod gate;
mod layer;
mod report;
mod service;
mod signal;

pub use background::Work;
pub use future::FarewellFuture;
pub use gate::{Gate, InFlight};
pub use report::DrainReport;
pub use service::Farewell;

use crate::health::{Health, within_a_runtime};
use crate::phase::Phase;
use crate::shared::Shared;
use background::Background;
use buttress::SettingError;
use buttress_core::setting::{LONGEST, check_duration};
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

/// Takes a process down in order, when it is asked to by a signal or [by hand](Self::begin).
///
/// 1. `/readyz` turns bad, and every call is still taken, for the *notice*: 5 s by default, in
///    which whoever sends calls finds out. HTTP/1 connections are closed after their next answer.
/// 2. Listeners stop taking connections ([`closing`](Self::closing)), and calls in flight go on,
///    for the *grace*: 30 s at most by default. HTTP/2 connections are told by GOAWAY, which
///    axum's and tonic's servers send.
/// 3. Background work is told to end ([`finishing`](Self::finishing)), and has 10 s by default.
/// 4. [`run`](Self::run) returns, and says what was cut off.
///
/// It is a layer, which counts the calls in flight to the end of their bodies; put it outermost. It
/// is a handle: clones share.
///
/// ```no_run
/// use buttress_health::{Drain, Health};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let health = Health::builder().build()?;
/// let drain = Drain::builder(&health).build()?;
/// drain.at_signals()?;
///
/// let app = axum::Router::new()
///     .route("/", axum::routing::get(|| async { "hello" }))
///     .layer(drain.clone());
/// # let app: axum::Router = app;
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
/// let server = axum::serve(listener, app).with_graceful_shutdown(drain.closing());
/// let report = drain.run(server.into_future()).await;
/// # let _ = report;
/// # Ok(())
/// # }
/// ```
///
/// For tonic, the server is `Server::builder().layer(drain.clone())…
/// .serve_with_shutdown(address, drain.closing())`.
///
/// # How it fails when misused
///
/// A notice that is shorter than it takes the load balancer to notice (its probes' interval times
/// its threshold, and some time to tell all of its parts) loses calls. A supervisor that kills
/// before notice, grace and background work are over cuts off what was still to finish: Kubernetes'
/// `terminationGracePeriodSeconds` is 30 by default and must be more than the sum, and so must
/// systemd's `TimeoutStopSec`. Endpoints that the draining server itself serves go away with its
/// listener; that is right, since a refused connection is a failed probe, too.
#[derive(Clone, Debug)]
pub struct Drain {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    health: Health,
    grace: Duration,
    background_grace: Duration,
    /// Each call in flight holds a clone.
    calls: Arc<()>,
    background: Arc<Background>,
    /// The task that ends the notice.
    notice: AbortHandle,
}

impl Drain {
    /// Takes down the process whose health this is.
    pub fn builder(health: &Health) -> DrainBuilder {
        DrainBuilder {
            health: health.clone(),
            notice: Duration::from_secs(5),
            grace: Duration::from_secs(30),
            background_grace: Duration::from_secs(10),
        }
    }

    /// Begins when the process gets SIGTERM or SIGINT; on Windows, Ctrl-C.
    ///
    /// A second signal ends the process at once, with [`exit_code::HURRIED`]. On Unix that needs
    /// no runtime, so that it works with one that is stuck. The signals stay with this for the
    /// rest of the process's life, even if the handle is dropped.
    ///
    /// # Errors
    ///
    /// The signals cannot be listened to, or this is not within a tokio runtime.
    ///
    /// [`exit_code::HURRIED`]: crate::exit_code::HURRIED
    pub fn at_signals(&self) -> io::Result<()> {
        let runtime = within_a_runtime().map_err(io::Error::other)?;
        let _within = runtime.enter();
        let signal = signal::listen()?;
        let shared = Arc::clone(self.inner.health.shared());
        // It holds what is shared only, and waits for as long as the runtime runs.
        runtime.spawn(async move {
            signal.await;
            shared.go_on_to(Phase::Noticing);
        });
        Ok(())
    }

    /// Begins now. Does nothing if it has begun already.
    pub fn begin(&self) {
        self.inner.health.shared().go_on_to(Phase::Noticing);
    }

    /// How far it is.
    pub fn phase(&self) -> Phase {
        self.inner.health.phase()
    }

    /// How many calls are in flight, of those that go through this layer.
    pub fn in_flight(&self) -> usize {
        // One is our own.
        Arc::strong_count(&self.inner.calls).saturating_sub(1)
    }

    /// Resolves when listeners should stop taking connections: the argument for axum's
    /// `with_graceful_shutdown` and tonic's `serve_with_shutdown`.
    pub fn closing(&self) -> impl Future<Output = ()> + Send + use<> {
        self.reaches(Phase::Closing)
    }

    /// Resolves when background work should end: after the last call, which may have given it
    /// something to do.
    pub fn finishing(&self) -> impl Future<Output = ()> + Send + use<> {
        self.reaches(Phase::Finishing)
    }

    /// Holds the process back, once it drains, until this is dropped, or the time for background
    /// work is up. The name appears in the report if it comes to that.
    pub fn hold(&self, name: &'static str) -> Work {
        self.inner.background.hold(name)
    }

    /// Spawns background work, and holds the process back until it ends. It should end some time
    /// after [`finishing`](Self::finishing) resolves.
    ///
    /// # Errors
    ///
    /// This is not within a tokio runtime.
    pub fn spawn<F>(&self, name: &'static str, work: F) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let held = self.hold(name);
        let runtime = within_a_runtime().map_err(io::Error::other)?;
        runtime.spawn(async move {
            work.await;
            drop(held);
        });
        Ok(())
    }

    /// Runs the server, and takes it down in order. Returns when all has ended or was cut off; the
    /// process should end then.
    ///
    /// If the server ends by itself, the rest is taken down, too. Calls that it leaves behind, in
    /// tasks of their own, have what is left of the grace.
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops the server.
    pub async fn run<F: Future>(&self, server: F) -> DrainReport<F::Output> {
        let shared = self.inner.health.shared();
        let (output, calls) = {
            let server = pin!(server);
            let mut grace_is_over = pin!(self.grace_is_over());
            let output = tokio::select! {
                biased;
                output = server => Some(output),
                () = &mut grace_is_over => None,
            };
            if output.is_some() {
                shared.go_on_to(Phase::Closing);
                tokio::select! {
                    biased;
                    () = self.calls_end() => {}
                    () = grace_is_over => {}
                }
            }
            // Before the server is dropped, and those with it that it serves itself.
            (output, self.in_flight())
        };
        shared.go_on_to(Phase::Finishing);
        let ended = self.inner.background.ended();
        let in_time = timeout(self.inner.background_grace, ended).await;
        let background = match in_time {
            Ok(()) => Vec::new(),
            Err(_) => self.inner.background.names(),
        };
        shared.go_on_to(Phase::Over);
        let report = DrainReport {
            output,
            calls,
            background,
        };
        report.log();
        report
    }

    /// Counting is all that calls pay for, so nobody is told when the last one ends.
    async fn calls_end(&self) {
        while self.in_flight() > 0 {
            sleep(LOOK_AGAIN).await;
        }
    }

    async fn grace_is_over(&self) {
        self.closing().await;
        sleep(self.inner.grace).await;
    }

    fn reaches(&self, phase: Phase) -> impl Future<Output = ()> + Send + use<> {
        // The handle goes with it: without one, nobody would end the notice.
        let drain = self.clone();
        async move {
            let mut news = drain.inner.health.shared().news();
            // The sender is in there, too, so it does not go away.
            let _ = news.wait_for(|news| news.phase >= phase).await;
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.notice.abort();
    }
}

/// The settings of a [`Drain`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct DrainBuilder {
    health: Health,
    notice: Duration,
    grace: Duration,
    background_grace: Duration,
}

impl DrainBuilder {
    /// How long every call is still taken while `/readyz` is bad: 0 s to a year, 5 s by default.
    /// With 0, listeners close at once.
    pub fn notice(mut self, notice: Duration) -> Self {
        self.notice = notice;
        self
    }

    /// How long calls in flight may go on when listeners have closed: more than 0 s, at most a
    /// year, 30 s by default.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How long background work may take to end: more than 0 s, at most a year, 10 s by default.
    pub fn background_grace(mut self, grace: Duration) -> Self {
        self.background_grace = grace;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed. It is also an
    /// error if this is not called within a tokio runtime.
    pub fn build(self) -> Result<Drain, SettingError> {
        if self.notice > LONGEST {
            return Err(SettingError::new(
                "notice",
                format_args!("{:?}", self.notice),
                "at most 365 days",
            ));
        }
        let grace = check_duration("grace", self.grace)?;
        let background_grace = check_duration("background_grace", self.background_grace)?;
        let runtime = within_a_runtime()?;
        let shared = Arc::clone(self.health.shared());
        let notice = runtime.spawn(end_the_notice(shared, self.notice));
        Ok(Drain {
            inner: Arc::new(Inner {
                health: self.health,
                grace,
                background_grace,
                calls: Arc::new(()),
                background: Arc::default(),
                notice: notice.abort_handle(),
            }),
        })
    }
}

/// How often a drain looks whether the calls that a server left behind have ended.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// It holds no handle, which would keep itself alive.
async fn end_the_notice(shared: Arc<Shared>, notice: Duration) {
    let mut news = shared.news();
    let _ = news.wait_for(|news| news.phase >= Phase::Noticing).await;
    tracing::info!(
        ?notice,
        "draining: not ready any more, and still taking calls"
    );
    sleep(notice).await;
    if shared.go_on_to(Phase::Closing) {
        tracing::info!("draining: taking no new connections, and finishing the calls in flight");
    }
}
