use crate::check::{Fault, Inspect};
use std::fmt;
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

/// Asks with code that blocks, on a thread that is meant for it.
///
/// Such code cannot be stopped. While it hangs, the check has failed, and it is not started again:
/// a check holds one thread at most.
///
/// ```
/// use buttress_health::{Blocking, Check};
///
/// let spool = Blocking::new(|| std::fs::metadata("/var/spool/mail").map(drop));
/// let check = Check::readiness("spool", spool);
/// # let _ = check;
/// ```
pub struct Blocking<T = ()> {
    ask: Arc<dyn Fn() -> Result<T, Fault> + Send + Sync>,
    /// What was started and has not been answered.
    running: Mutex<Option<JoinHandle<Result<T, Fault>>>>,
}

impl<T: Send + 'static> Blocking<T> {
    /// Asks by calling `ask`, whose error's text is the reason.
    pub fn new<E: fmt::Display>(
        ask: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Blocking<T> {
        Self {
            ask: Arc::new(move || ask().map_err(Fault::new)),
            running: Mutex::new(None),
        }
    }

    /// The answer of a call that was started now.
    ///
    /// When this is dropped, the call goes on, and the next one waits for its end first.
    pub(super) async fn ask(&self) -> Result<T, Fault> {
        let mut running = self.running.lock().await;
        if let Some(earlier) = running.as_mut() {
            // Its answer is old.
            let _ = earlier.await;
        }
        let ask = Arc::clone(&self.ask);
        let call = running.insert(tokio::task::spawn_blocking(move || ask()));
        let answer = call.await;
        *running = None;
        answer.unwrap_or_else(|_| Err(Fault::new("panicked")))
    }
}

impl Inspect for Blocking {
    async fn inspect(&self) -> Result<(), Fault> {
        self.ask().await
    }
}

impl<T> fmt::Debug for Blocking<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocking").finish_non_exhaustive()
    }
}
