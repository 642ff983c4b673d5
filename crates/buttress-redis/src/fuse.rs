use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// The breaker between a fleet and its store.
///
/// It opens with the first failure: what waits for a store that is gone are the service's own
/// calls, and a limit that is decided locally for a moment costs nobody anything. Calls never
/// probe; the fleet does so in the background, so that finding out costs no call its deadline.
/// A store that answers the probes and then fails again is left alone for longer each time.
#[derive(Debug, Default)]
pub(crate) struct Fuse {
    blown: AtomicBool,
    /// How often it blew again soon after it was mended.
    relapses: AtomicU32,
}

impl Fuse {
    #[inline]
    pub(crate) fn is_blown(&self) -> bool {
        self.blown.load(Ordering::Relaxed)
    }

    /// The store failed. Whether that was news.
    pub(crate) fn blow(&self) -> bool {
        let news = !self.blown.swap(true, Ordering::Relaxed);
        if news {
            let more = |relapses: u32| Some(relapses.saturating_add(1));
            // The closure never declines, so neither does the update.
            let _ = self
                .relapses
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        }
        news
    }

    /// The store answered a probe. Whether that was news.
    pub(crate) fn mend(&self) -> bool {
        self.blown.swap(false, Ordering::Relaxed)
    }

    /// It has been whole for a while.
    pub(crate) fn forgive(&self) {
        self.relapses.store(0, Ordering::Relaxed);
    }

    /// How long to leave the store alone before the next probe.
    pub(crate) fn hold(&self) -> Duration {
        let relapses = self.relapses.load(Ordering::Relaxed).saturating_sub(1);
        (SHORTEST_HOLD * (1 << relapses.min(8))).min(LONGEST_HOLD)
    }
}

const SHORTEST_HOLD: Duration = Duration::from_millis(50);

/// So that limits hold again within a second of the store's return, reconnecting included.
const LONGEST_HOLD: Duration = Duration::from_millis(400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_news_once_and_relapses_are_left_alone_for_longer() {
        let fuse = Fuse::default();
        assert!(!fuse.is_blown());
        assert!(fuse.blow() && !fuse.blow() && fuse.is_blown());
        assert_eq!(fuse.hold(), SHORTEST_HOLD);
        assert!(fuse.mend() && !fuse.mend() && !fuse.is_blown());
        for _ in 0..20 {
            fuse.blow();
            fuse.mend();
        }
        assert_eq!(fuse.hold(), LONGEST_HOLD);
        fuse.forgive();
        fuse.blow();
        assert_eq!(fuse.hold(), SHORTEST_HOLD);
    }
}
