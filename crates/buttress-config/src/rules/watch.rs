use super::current::{Current, Shared};
use super::{Reload, Rules, one_problem, read};
use crate::problem::Problems;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Tells of changes for as long as it lives.
pub(super) type Watcher = RecommendedWatcher;

/// Changes that follow one another so soon are one.
const QUIET: Duration = Duration::from_millis(50);

/// But nobody can put a change off for ever by writing all the time: so many are one at most.
const MOST_AT_ONCE: usize = 1_000;

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
    let (sender, changes) = channel();
    let tell = move |_: notify::Result<notify::Event>| {
        // Nobody listens any more if the rules are gone.
        let _ = sender.send(());
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
            Ok(()) => {
                let mut count = 0;
                while count < MOST_AT_ONCE && changes.recv_timeout(QUIET).is_ok() {
                    count += 1;
                }
            }
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

/// Looks whether the file says something else than the last time, whether or not that was any good.
fn look(rules: &Rules) {
    let Some(path) = rules.path() else { return };
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
