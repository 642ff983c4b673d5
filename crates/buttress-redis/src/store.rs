use crate::ask::{Answer, Ask};
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// Where a fleet counts: an engine that does one small step without anything coming between.
///
/// What the step is, [`Count`](crate::Count) says; an engine that can read, change and write a
/// value in a transaction needs no arithmetic of its own. Its own are only the clock (one for the
/// whole fleet, if it can be had), and forgetting what is [over](crate::Count::forget_at).
///
/// The fleet around it sets the deadlines, opens the breaker and falls back, so an engine neither
/// tries again nor waits for long: it answers or fails. Dropping a future gives up on the answer;
/// whether the step was done is then unknown, as with any network.
///
/// # A second engine
///
/// ```
/// use buttress_redis::{Answer, Answering, Ask, Count, Fleet, Store, StoreError};
/// use std::collections::HashMap;
/// use std::sync::Mutex;
/// use std::time::{SystemTime, UNIX_EPOCH};
///
/// /// Anything that updates a row in a transaction would look like this.
/// #[derive(Default)]
/// struct Rows(Mutex<HashMap<String, Count>>);
///
/// impl Store for Rows {
///     fn ask(&self, ask: Ask) -> Answering<'_, Answer> {
///         Box::pin(async move {
///             let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(StoreError::new)?;
///             let mut rows = self.0.lock().map_err(|_| StoreError::new("poisoned"))?;
///             let row = rows.entry(ask.key).or_default();
///             Ok(row.apply(&ask.rule, ask.action, now.as_micros() as u64))
///         })
///     }
///
///     fn present<'a>(&'a self, _fleet: &'a str, _instance: u64) -> Answering<'a, u32> {
///         Box::pin(async { Ok(1) })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), buttress::SettingError> {
/// let fleet = Fleet::on(Rows::default()).start()?;
/// # let _ = fleet;
/// # Ok(())
/// # }
/// ```
pub trait Store: Send + Sync + 'static {
    /// Does what is asked, on one key.
    ///
    /// # Errors
    ///
    /// The engine cannot be reached, or cannot do it.
    fn ask(&self, ask: Ask) -> Answering<'_, Answer>;

    /// Notes that the instance with this number of the fleet of that name is alive, and counts
    /// those that were so within the last ten seconds. It is asked once a second, and more often to find out whether the
    /// engine is back: an engine with several connections tries them all here.
    ///
    /// # Errors
    ///
    /// The engine cannot be reached, or cannot do it.
    fn present<'a>(&'a self, fleet: &'a str, instance: u64) -> Answering<'a, u32>;
}

/// The future of an engine's answer.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Why an engine has no answer.
#[derive(Debug)]
pub struct StoreError(Box<dyn Error + Send + Sync>);

impl StoreError {
    /// An error of the engine's own.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Several fleets in one process on one engine, as tests have it.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn ask(&self, ask: Ask) -> Answering<'_, Answer> {
        (**self).ask(ask)
    }

    fn present<'a>(&'a self, fleet: &'a str, instance: u64) -> Answering<'a, u32> {
        (**self).present(fleet, instance)
    }
}
