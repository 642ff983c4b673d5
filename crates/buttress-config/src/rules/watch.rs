use super::current::{Current, Shared};
use super::reload::{one_problem, read};
use super::{Reload, Rules};
use crate::problem::Problems;
use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Tells of changes for as long as it lives.
pub(super) type Watcher = RecommendedWatcher;

/// Changes that follow one another so soon are one.
const QUIET: Duration = Duration::from_millis(50);

/// But nobody can put a look off for ever by writing beside the file all the time: it is waited for
/// quiet so often, which is a second.
const MOST_WAITS: u32 = 20;

/// How long the file is believed to be the same when nobody tells of a change.
const AT_LATEST: Duration = Duration::from_secs(10);

/// Follows the file of `rules`.
pub(super) fn watch(rules: &Rules) -> Result<(), Problems> {
    let Some(path) = rules.path() else {
        return Ok(());
    };
    let failed = |error: &dyn std::fmt::Display| {
        let what = format!("cannot be watched: {error}");
        one_problem(&path.to_string_lossy(), "", what)
    };
    // One that waits is as good as many: all that it says is that somebody should look.
    let (sender, changes) = sync_channel(1);
    let tell = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !may_be_a_change(event.kind)) {
            return;
        }
        // It is full, or nobody listens any more because the rules are gone.
        let _ = sender.try_send(());
    };
    let mut watcher = notify::recommended_watcher(tell).map_err(|error| failed(&error))?;
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    watcher
        .watch(directory, RecursiveMode::NonRecursive)
        .map_err(|error| failed(&error))?;
    let shared = Arc::downgrade(&rules.current.shared);
    let thread = std::thread::Builder::new().name("buttress-config".to_owned());
    // It ends when the watcher does, which the rules own.
    drop(
        thread
            .spawn(move || follow(&shared, &changes))
            .map_err(|error| failed(&error))?,
    );
    let _ = rules.current.shared.watcher.set(watcher);
    Ok(())
}

fn follow(shared: &Weak<Shared>, changes: &Receiver<()>) {
    loop {
        match changes.recv_timeout(AT_LATEST) {
            Ok(()) => settle(changes, rest),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let current = Current { shared };
        look(&Rules { current });
    }
}

/// Whether a file may be another one after it. Looking at a file opens it, which is told too: who
/// looked again for that would never stop.
const fn may_be_a_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => {
            matches!(access, AccessKind::Close(AccessMode::Write))
        }
        _ => true,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the thread is the watcher's own, and files know no other time"
)]
fn rest() {
    std::thread::sleep(QUIET);
}

/// Waits until nothing changes any more, but not for ever.
fn settle(changes: &Receiver<()>, mut wait: impl FnMut()) {
    for _ in 0..MOST_WAITS {
        wait();
        match changes.try_recv() {
            Ok(()) => {}
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
        }
    }
}

/// Looks whether the file says something else than the last time, whether or not that was any good.
fn look(rules: &Rules) {
    let Some(path) = rules.path() else { return };
    let _one_at_a_time = rules.current.shared.reload.lock();
    let text = match read(&path) {
        Ok(text) => text,
        Err(problems) => {
            // While it is exchanged it may not be there for a moment. What stays away is told once.
            let told = rules.current.shared.state.lock().text.take().is_none();
            if !told {
                tracing::warn!(file = %path.display(), "the rules stay as they are: {problems}");
            }
            return;
        }
    };
    {
        let mut state = rules.current.shared.state.lock();
        if state.text.as_ref() == Some(&text) {
            return;
        }
        state.text = Some(text.clone());
    }
    match rules.reload_from(&path, text) {
        Ok(Reload::Changed) => {
            tracing::info!(file = %path.display(), "new rules are in force");
        }
        Ok(Reload::Unchanged) => {}
        Err(problems) => {
            tracing::error!(file = %path.display(), "the rules stay as they are: {problems}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, ModifyKind};

    #[test]
    fn reading_a_file_is_no_change_of_it() {
        for access in [
            AccessKind::Any,
            AccessKind::Read,
            AccessKind::Open(AccessMode::Any),
            AccessKind::Open(AccessMode::Write),
            AccessKind::Close(AccessMode::Read),
        ] {
            assert!(!may_be_a_change(EventKind::Access(access)), "{access:?}");
        }
        for kind in [
            EventKind::Any,
            EventKind::Access(AccessKind::Close(AccessMode::Write)),
            EventKind::Create(CreateKind::File),
            EventKind::Modify(ModifyKind::Any),
        ] {
            assert!(may_be_a_change(kind), "{kind:?}");
        }
    }

    #[test]
    fn a_neighbour_that_never_rests_puts_a_look_off_for_a_second_at_most() {
        let (sender, changes) = sync_channel(1);
        let mut waited = Duration::ZERO;
        settle(&changes, || {
            waited += QUIET;
            let _ = sender.try_send(());
        });
        assert_eq!(waited, Duration::from_secs(1));
    }

    #[test]
    fn what_is_quiet_is_looked_at_at_once() {
        let (sender, changes) = sync_channel(1);
        let mut waits = 0;
        settle(&changes, || {
            waits += 1;
            if waits < 3 {
                let _ = sender.try_send(());
            }
        });
        assert_eq!(waits, 3);
    }
}
