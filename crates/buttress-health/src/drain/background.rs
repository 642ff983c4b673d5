use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Notify;

/// What the process waits for before it ends.
#[derive(Debug, Default)]
pub(super) struct Background {
    works: Mutex<Works>,
    ended: Notify,
}

#[derive(Debug, Default)]
struct Works {
    next: u64,
    names: BTreeMap<u64, &'static str>,
}

impl Background {
    pub(super) fn hold(self: &Arc<Self>, name: &'static str) -> Work {
        let mut works = self.works.lock();
        let number = works.next;
        works.next += 1;
        works.names.insert(number, name);
        Work {
            number,
            background: Arc::clone(self),
        }
    }

    /// Resolves when nothing is held.
    pub(super) async fn ended(&self) {
        loop {
            let ended = self.ended.notified();
            let mut ended = std::pin::pin!(ended);
            // Before looking, so that no end is missed.
            ended.as_mut().enable();
            if self.works.lock().names.is_empty() {
                return;
            }
            ended.await;
        }
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        self.works.lock().names.values().copied().collect()
    }
}

/// Holds the process back while it lives. See [`Drain::hold`](crate::Drain::hold).
#[derive(Debug)]
#[must_use = "it holds nothing back when dropped"]
pub struct Work {
    number: u64,
    background: Arc<Background>,
}

impl Drop for Work {
    fn drop(&mut self) {
        let mut works = self.background.works.lock();
        works.names.remove(&self.number);
        if works.names.is_empty() {
            self.background.ended.notify_waiters();
        }
    }
}
