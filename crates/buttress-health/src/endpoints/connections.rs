use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::task::{AbortHandle, JoinSet};
use tower_service::Service;

/// The connections of a listener: so many at once, and for one more, the one ends that has had no
/// answer for longest.
///
/// Waiting for room instead would let whoever fills it keep everybody else out.
#[derive(Debug)]
pub(super) struct Connections {
    tasks: JoinSet<()>,
    open: Vec<(Connection, AbortHandle)>,
    /// Connections and answers so far.
    turns: Arc<AtomicU64>,
}

/// One of them, and when it was of use last, in turns.
#[derive(Debug)]
pub(super) struct Connection {
    last: Arc<AtomicU64>,
    turns: Arc<AtomicU64>,
}

impl Connections {
    pub(super) fn new() -> Self {
        Self {
            tasks: JoinSet::new(),
            open: Vec::new(),
            turns: Arc::default(),
        }
    }

    /// One that was just taken.
    pub(super) fn next(&self) -> Connection {
        let turns = Arc::clone(&self.turns);
        let last = turns.fetch_add(1, Ordering::Relaxed);
        Connection {
            last: Arc::new(last.into()),
            turns,
        }
    }

    /// Serves it in a task, which ends when this is dropped, if not before.
    pub(super) fn serve<F>(&mut self, connection: Connection, serving: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        while self.tasks.try_join_next().is_some() {}
        if self.open.len() >= MOST_CONNECTIONS {
            self.make_room();
        }
        let task = self.tasks.spawn(serving);
        self.open.push((connection, task));
    }

    fn make_room(&mut self) {
        self.open.retain(|(_, task)| !task.is_finished());
        if self.open.len() < MOST_CONNECTIONS {
            return;
        }
        let open = self.open.iter().enumerate();
        let last = |(_, (connection, _)): &(_, &(Connection, _))| connection.last();
        let longest_idle = open.min_by_key(last).map(|(index, _)| index);
        if let Some(index) = longest_idle {
            let (_, task) = self.open.swap_remove(index);
            task.abort();
        }
    }
}

impl Connection {
    fn last(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }

    /// A service of which each call is of use.
    pub(super) fn watch<S>(&self, inner: S) -> Watched<S> {
        Watched {
            inner,
            last: Arc::clone(&self.last),
            turns: Arc::clone(&self.turns),
        }
    }
}

/// The service of one connection.
#[derive(Clone, Debug)]
pub(super) struct Watched<S> {
    inner: S,
    last: Arc<AtomicU64>,
    turns: Arc<AtomicU64>,
}

impl<S: Service<R>, R> Service<R> for Watched<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> S::Future {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        self.last.store(turn, Ordering::Relaxed);
        self.inner.call(request)
    }
}

/// Probes come from a few places.
const MOST_CONNECTIONS: usize = 256;
