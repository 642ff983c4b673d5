use crate::check::{Fault, Standing};
use crate::model::{Board, Endpoint, Model, Status, Verdict};
use crate::phase::Phase;
use arc_swap::ArcSwap;
use buttress::{Reason, Rejection};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::watch;

/// What the handle, the checks' tasks, the endpoints, the drain and the watchdog share.
///
/// Whoever learns something changes the model under its lock, and puts a new board up. Whoever is
/// asked reads the board, and takes no lock.
#[derive(Debug)]
pub(crate) struct Shared {
    model: Mutex<Model>,
    board: ArcSwap<Board>,
    /// Wakes those who wait for a change.
    news: watch::Sender<News>,
    /// What each call must know, in one number.
    flags: AtomicU8,
}

/// The process is on its way down.
const DRAINING: u8 = 1;
/// No call is taken any more, because the process is about to end.
const CLOSED: u8 = 2;
/// No call is taken for now, because a watchdog says so.
const REFUSING: u8 = 4;

/// The short version of a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct News {
    statuses: [Status; 3],
    pub(crate) phase: Phase,
}

impl News {
    pub(crate) fn status(self, endpoint: Endpoint) -> Status {
        let [live, ready, started] = self.statuses;
        match endpoint {
            Endpoint::Live => live,
            Endpoint::Ready => ready,
            Endpoint::Started => started,
        }
    }

    fn of(board: &Board, phase: Phase) -> Self {
        Self {
            statuses: Endpoint::ALL.map(|endpoint| board.page(endpoint).status()),
            phase,
        }
    }
}

impl Shared {
    pub(crate) fn new(model: Model) -> Self {
        let board = model.board();
        let news = News::of(&board, model.phase);
        Self {
            model: Mutex::new(model),
            board: ArcSwap::from_pointee(board),
            news: watch::Sender::new(news),
            flags: AtomicU8::new(0),
        }
    }

    /// What probes see.
    pub(crate) fn board(&self) -> arc_swap::Guard<Arc<Board>> {
        self.board.load()
    }

    pub(crate) fn news(&self) -> watch::Receiver<News> {
        self.news.subscribe()
    }

    /// A check has answered.
    pub(crate) fn observe(&self, index: usize, answer: Result<(), Fault>) -> Standing {
        let observed = self.change(|model| {
            let observed = model.observe(index, answer);
            (observed.is_seen, observed)
        });
        // Only now: a log that is stuck would hold the lock, and with it the watchdog.
        if let Some(turn) = observed.turn {
            turn.report();
        }
        observed.standing
    }

    pub(crate) fn phase(&self) -> Phase {
        self.news.borrow().phase
    }

    /// Goes on to a later phase. Says whether it was an earlier one.
    pub(crate) fn go_on_to(&self, phase: Phase) -> bool {
        let flags = match phase {
            Phase::Running => 0,
            Phase::Noticing | Phase::Closing => DRAINING,
            Phase::Finishing | Phase::Over => DRAINING | CLOSED,
        };
        self.flags.fetch_or(flags, Ordering::Relaxed);
        self.change(|model| {
            let earlier = model.phase < phase;
            model.phase = model.phase.max(phase);
            (earlier, earlier)
        })
    }

    /// What a watchdog says from now on.
    pub(crate) fn judge(&self, verdict: Verdict) {
        self.change(|model| {
            let verdict = Some(verdict);
            let changed = model.watchdog != verdict;
            model.watchdog = verdict;
            (changed, ())
        });
    }

    /// There is no watchdog any more.
    pub(crate) fn without_watchdog(&self) {
        self.change(|model| (model.watchdog.take().is_some(), ()));
    }

    /// Claims the one place for a watchdog.
    pub(crate) fn claim_watchdog(&self) -> bool {
        self.change(|model| {
            let free = model.watchdog.is_none();
            if free {
                model.watchdog = Some(Verdict::default());
            }
            (free, free)
        })
    }

    /// Whether a watchdog wants new work to be refused.
    pub(crate) fn refuse(&self, refusing: bool) {
        if refusing {
            self.flags.fetch_or(REFUSING, Ordering::Relaxed);
        } else {
            self.flags.fetch_and(!REFUSING, Ordering::Relaxed);
        }
    }

    /// Whether connections should be taken leave of.
    #[inline]
    pub(crate) fn is_draining(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & DRAINING != 0
    }

    /// Why a new call is refused, if it is.
    #[inline]
    pub(crate) fn refusal(&self) -> Option<Rejection> {
        match self.flags.load(Ordering::Relaxed) {
            flags if flags & CLOSED != 0 => Some(Rejection::new(Reason::Draining, "drain")),
            flags if flags & REFUSING != 0 => Some(Rejection::new(Reason::Overloaded, "watchdog")),
            _ => None,
        }
    }

    /// Changes the model, and puts a new board up if the change can be seen. The watchdog's thread
    /// comes here, too, so nothing under the lock may take long, and nothing may log.
    fn change<T>(&self, change: impl FnOnce(&mut Model) -> (bool, T)) -> T {
        let mut model = self.model.lock();
        let (seen, result) = change(&mut model);
        if seen {
            let board = model.board();
            let news = News::of(&board, model.phase);
            self.board.store(Arc::new(board));
            // Under the lock still, so that boards and news come in the same order.
            self.news
                .send_if_modified(|old| std::mem::replace(old, news) != news);
        }
        result
    }
}
