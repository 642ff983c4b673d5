use buttress_core::breaker::Transition;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// How many changes are kept for a listener that is busy. A breaker opens once in some seconds.
const KEPT: usize = 32;

/// Tells all who listen.
#[derive(Clone, Debug)]
pub(super) struct Sender(broadcast::Sender<Transition>);

impl Sender {
    pub(super) fn new() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }

    pub(super) fn send(&self, transition: Transition) {
        // It fails if nobody listens.
        let _ = self.0.send(transition);
    }

    pub(super) fn subscribe(&self) -> Transitions {
        Transitions(self.0.subscribe())
    }
}

/// The changes of a breaker's state, as they happen.
///
/// A listener that falls more than 32 changes behind loses the oldest, and is told how many. It
/// never holds up a call.
#[derive(Debug)]
pub struct Transitions(broadcast::Receiver<Transition>);

/// What a listener hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The state changed.
    Transition(Transition),
    /// So many changes were lost, because the listener was too slow.
    Missed(u64),
}

impl Transitions {
    /// Waits for the next change. `None` when the breaker is gone: all its handles, layers and
    /// calls.
    ///
    /// # Cancellation
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<News> {
        match self.0.recv().await {
            Ok(transition) => Some(News::Transition(transition)),
            Err(RecvError::Lagged(missed)) => Some(News::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}
