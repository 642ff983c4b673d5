//! What is known of the process, and what the endpoints make of it. No tasks and no clock.

use crate::check::{CheckState, Fault, Kind, Standing};
use crate::page::{Line, Mark, Page};
use crate::phase::Phase;
use std::sync::Arc;

/// Which of the three questions a probe asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/livez`: should the process be restarted?
    Live,
    /// `/readyz`: should it be sent calls?
    Ready,
    /// `/startupz`: has it started?
    Started,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Live, Self::Ready, Self::Started];

    /// Its name: `livez`, `readyz`, `startupz`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "livez",
            Self::Ready => "readyz",
            Self::Started => "startupz",
        }
    }
}

/// What an endpoint says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// All is well.
    Pass,
    /// A soft check is bad. The endpoint answers 200.
    Warn,
    /// The endpoint answers 503.
    Fail,
}

impl Status {
    /// Whether probes are answered with 200.
    pub const fn is_ok(self) -> bool {
        !matches!(self, Self::Fail)
    }
}

/// All that is known.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) checks: Vec<CheckState>,
    pub(crate) phase: Phase,
    /// What a watchdog says, if there is one.
    pub(crate) watchdog: Option<Verdict>,
    /// Whether the startup checks have passed. Once they have, they have.
    started: bool,
}

/// What a watchdog says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// What it has noticed.
    pub(crate) fault: Option<Fault>,
    /// Whether that has gone on so long that the process no longer counts as alive.
    pub(crate) dead: bool,
}

/// What a check's answer came to.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// Whether a page looks different now.
    pub(crate) is_seen: bool,
    pub(crate) standing: Standing,
    /// To be told when nothing is locked.
    pub(crate) turn: Option<Turn>,
}

/// A check turned bad or good.
#[derive(Debug)]
pub(crate) struct Turn {
    check: Arc<str>,
    is_hard: bool,
    /// Why it is bad.
    fault: Option<Fault>,
}

impl Turn {
    /// At most once each time a check runs.
    pub(crate) fn report(&self) {
        let Self {
            check,
            is_hard: hard,
            fault,
        } = self;
        if let Some(fault) = fault {
            tracing::warn!(%check, hard, %fault, "a health check turned bad");
        } else {
            tracing::info!(%check, "a health check turned good");
        }
    }
}

/// A page for each endpoint.
#[derive(Debug)]
pub(crate) struct Board {
    pages: [Page; 3],
}

impl Board {
    pub(crate) fn page(&self, endpoint: Endpoint) -> &Page {
        let [live, ready, started] = &self.pages;
        match endpoint {
            Endpoint::Live => live,
            Endpoint::Ready => ready,
            Endpoint::Started => started,
        }
    }
}

impl Model {
    pub(crate) fn new(checks: Vec<CheckState>) -> Self {
        let mut model = Self {
            checks,
            phase: Phase::Running,
            watchdog: None,
            started: false,
        };
        model.started = model.has_started();
        model
    }

    /// Takes a check's answer in.
    pub(crate) fn observe(&mut self, index: usize, answer: Result<(), Fault>) -> Observed {
        let Some(check) = self.checks.get_mut(index) else {
            return Observed::default();
        };
        let turned = check.hysteresis.observe(answer.is_ok());
        let standing = check.hysteresis.standing();
        let fault = answer.err();
        let shown = standing != Standing::Good && check.fault != fault;
        let turn = turned.then(|| Turn {
            check: Arc::clone(&check.name),
            is_hard: check.is_hard,
            fault: fault.clone(),
        });
        check.fault = fault;
        self.started = self.started || self.has_started();
        Observed {
            is_seen: turned || shown,
            standing,
            turn,
        }
    }

    pub(crate) fn board(&self) -> Board {
        Board {
            pages: Endpoint::ALL.map(|endpoint| Page::new(endpoint, self.lines(endpoint))),
        }
    }

    fn has_started(&self) -> bool {
        let startup = |check: &&CheckState| check.kind == Kind::Startup;
        let mut checks = self.checks.iter().filter(startup);
        checks.all(|check| !check.is_hard || check.hysteresis.standing() == Standing::Good)
    }

    fn lines(&self, endpoint: Endpoint) -> Vec<Line> {
        let mut lines = vec![Line::new("ping", Mark::Ok)];
        let kind = match endpoint {
            Endpoint::Live => Kind::Liveness,
            Endpoint::Ready => Kind::Readiness,
            Endpoint::Started => Kind::Startup,
        };
        let of_the_kind = self.checks.iter().filter(|check| check.kind == kind);
        lines.extend(of_the_kind.map(line));
        if endpoint == Endpoint::Ready {
            lines.push(startup_line(self.started));
            lines.push(shutdown_line(self.phase));
        }
        if endpoint != Endpoint::Started {
            lines.extend(self.watchdog.as_ref().map(watchdog_line));
        }
        lines
    }
}

fn line(check: &CheckState) -> Line {
    let standing = check.hysteresis.standing();
    let doubt = check.is_hard && check.kind != Kind::Liveness;
    let (mark, fault) = match standing {
        Standing::Good => (Mark::Ok, None),
        // A process is alive until proven dead, and not ready until proven ready.
        Standing::Unknown if !doubt => (Mark::Ok, None),
        Standing::Unknown => {
            let fault = check.fault.clone();
            (
                Mark::Failed,
                fault.or_else(|| Some(Fault::new("not known yet"))),
            )
        }
        Standing::Bad if check.is_hard => (Mark::Failed, check.fault.clone()),
        Standing::Bad => (Mark::Degraded, check.fault.clone()),
    };
    // It has passed, but not often enough to be believed.
    let fault = fault.or_else(|| (mark != Mark::Ok).then(|| Fault::new("recovering")));
    Line {
        name: Arc::clone(&check.name),
        mark,
        fault,
    }
}

fn startup_line(started: bool) -> Line {
    if started {
        Line::new("startup", Mark::Ok)
    } else {
        Line::failed("startup", Fault::new("has not started yet"))
    }
}

fn shutdown_line(phase: Phase) -> Line {
    match phase {
        Phase::Running => Line::new("shutdown", Mark::Ok),
        _ => Line::failed("shutdown", Fault::new("the process is shutting down")),
    }
}

fn watchdog_line(verdict: &Verdict) -> Line {
    Line {
        name: "watchdog".into(),
        mark: match verdict {
            Verdict { fault: None, .. } => Mark::Ok,
            Verdict { dead: false, .. } => Mark::Degraded,
            Verdict { dead: true, .. } => Mark::Failed,
        },
        fault: verdict.fault.clone(),
    }
}

#[cfg(test)]
mod tests;
