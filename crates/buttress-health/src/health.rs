use crate::check::{Check, Supervisor};
use crate::endpoints::Endpoints;
use crate::model::{Endpoint, Model, Status};
use crate::phase::Phase;
use crate::shared::Shared;
use buttress::SettingError;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How a process is: its checks, and what the endpoints say.
///
/// It is a handle: clones share. The checks run while there is a clone, or a
/// [`Drain`](crate::Drain) made of one. Endpoints alone do not keep them running.
///
/// ```
/// use buttress_health::{Check, Endpoint, Health, Status, TcpConnect};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), buttress::SettingError> {
/// let health = Health::builder()
///     .check(Check::readiness("database", TcpConnect::to("127.0.0.1:5432")))
///     .check(Check::startup("cache", || async { Ok::<(), std::io::Error>(()) }))
///     .build()?;
///
/// health.until(Endpoint::Started, Status::Pass).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Health {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    /// They stop when dropped.
    _checks: Vec<Supervisor>,
}

impl Health {
    /// No checks yet.
    pub fn builder() -> HealthBuilder {
        HealthBuilder { checks: Vec::new() }
    }

    /// What an endpoint says now.
    pub fn status(&self, endpoint: Endpoint) -> Status {
        self.shared().board().page(endpoint).status()
    }

    /// Waits until an endpoint says `status`.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    pub async fn until(&self, endpoint: Endpoint, status: Status) {
        let mut news = self.shared().news();
        // The sender is in what this refers to, so it does not go away.
        let _ = news.wait_for(|news| news.status(endpoint) == status).await;
    }

    /// How far the process is on its way down. See [`Drain`](crate::Drain).
    pub fn phase(&self) -> Phase {
        self.shared().phase()
    }

    /// The three endpoints as a service, which withholds the reasons of failures.
    pub fn endpoints(&self) -> Endpoints {
        Endpoints::new(Arc::clone(self.shared()))
    }

    /// The three endpoints as a router to merge with yours.
    #[cfg(feature = "axum")]
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> axum::Router<S> {
        self.endpoints().router()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }
}

/// The checks of a [`Health`].
#[derive(Debug)]
#[must_use = "call `build`"]
pub struct HealthBuilder {
    checks: Vec<Check>,
}

impl HealthBuilder {
    /// Adds a check. Its name must be its own.
    pub fn check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    /// Checks the settings, and starts the checks, each at once.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed: a name that two
    /// checks have, that is none, or that the endpoints use themselves, an interval of 0, a timeout longer than the interval. It is
    /// also an error if there are checks and this is not called within a tokio runtime.
    pub fn build(self) -> Result<Health, SettingError> {
        let mut names = BTreeSet::new();
        let mut states = Vec::new();
        let mut schedules = Vec::new();
        for check in self.checks {
            let (state, schedule) = check.build()?;
            if !names.insert(Arc::clone(&state.name)) {
                return Err(SettingError::new(
                    "name",
                    format_args!("{:?}", state.name),
                    "a name that no other check has",
                ));
            }
            states.push(state);
            schedules.push(schedule);
        }
        if !schedules.is_empty() {
            within_a_runtime()?;
        }
        let shared = Arc::new(Shared::new(Model::new(states)));
        let start = |(index, schedule)| Supervisor::start(schedule, index, Arc::clone(&shared));
        let checks = schedules.into_iter().enumerate().map(start).collect();
        let inner = Arc::new(Inner {
            shared,
            _checks: checks,
        });
        Ok(Health { inner })
    }
}

/// Whether tasks can be started here.
pub(crate) fn within_a_runtime() -> Result<tokio::runtime::Handle, SettingError> {
    tokio::runtime::Handle::try_current()
        .map_err(|_| SettingError::new("build", "called outside", "called within a tokio runtime"))
}
