use parking_lot::Mutex;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// What the log says of a fleet's store: each change once, and of a store that comes and goes only
/// now and then.
#[derive(Debug, Default)]
pub(crate) struct Words {
    lost: AtomicBool,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    /// When it was last said that the store is lost, and that it has too much to do.
    lost: Option<Instant>,
    full: Option<Instant>,
    /// Whether its return is news.
    return_is_news: bool,
}

impl Words {
    /// The store is lost. Returns whether it was there until now.
    pub(crate) fn lost(&self, fleet: &str, why: &dyn fmt::Display) -> bool {
        let mut said = self.said.lock();
        if self.lost.swap(true, Ordering::Relaxed) {
            return false;
        }
        if is_due(&mut said.lost) {
            said.return_is_news = true;
            drop(said);
            tracing::warn!(
                fleet,
                "the store of rate limits is lost, and they are decided here: {why}"
            );
        }
        true
    }

    /// The store answers. While all is well, this is one look at one flag.
    #[inline]
    pub(crate) fn found(&self, fleet: &str) {
        if self.lost.load(Ordering::Relaxed) {
            self.found_again(fleet);
        }
    }

    #[cold]
    fn found_again(&self, fleet: &str) {
        let mut said = self.said.lock();
        let was_lost = self.lost.swap(false, Ordering::Relaxed);
        // Only if its loss was told.
        if was_lost && std::mem::take(&mut said.return_is_news) {
            drop(said);
            tracing::info!(fleet, "the store of rate limits answers again");
        }
    }

    /// As many asks are under way as may be.
    #[cold]
    pub(crate) fn full(&self, fleet: &str, most: u32) {
        let due = is_due(&mut self.said.lock().full);
        if due {
            tracing::warn!(
                fleet,
                "{most} calls wait for the store of rate limits, and more are decided here"
            );
        }
    }
}

fn is_due(last: &mut Option<Instant>) -> bool {
    let now = Instant::now();
    let due = last.is_none_or(|last| now - last >= QUIET);
    if due {
        *last = Some(now);
    }
    due
}

const QUIET: Duration = Duration::from_secs(10);
