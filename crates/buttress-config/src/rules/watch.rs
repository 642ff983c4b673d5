use super::Rules;
use super::current::{Current, Shared};
use super::news::News;
use super::reload::{one_problem, read};
use super::turn::said;
use crate::problem::Problems;
use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
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
        round(&Rules { current });
    }
}

/// Looks at the file, and goes on whatever happens: a thread that ended would leave a service behind
/// that believes it is watching.
///
/// What a look changes it changes as a whole, and its locks open when it panics, so the next look finds
/// nothing half done. What panics may be somebody else's: events go to the application's subscriber.
fn round(rules: &Rules) {
    let Some(path) = rules.path() else { return };
    let looked = catch_unwind(AssertUnwindSafe(|| {
        look(rules, &path, |news| news.tell("file", path.display()));
    }));
    if let Err(panic) = looked {
        let what = said(&*panic);
        // If it is the subscriber that panics, it may do so again.
        _ = catch_unwind(|| {
            tracing::error!(
                file = %path.display(), "a look at the file panicked, and watching goes on: {what}"
            );
        });
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
/// While it is exchanged it may not be there for a moment. What stays away is told once.
fn look(rules: &Rules, path: &Path, heed: impl FnOnce(News)) {
    rules.in_turn(|turn| {
        let read = read(path);
        if turn.last_time(|found| found.is(&read)) {
            return;
        }
        let found = read.is_ok();
        if let Some(news) = News::of(turn.go_by(path, read, true), found, false) {
            heed(news);
        }
    });
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

    /// A file of its own with `text`, gone with it.
    struct File(std::path::PathBuf);

    impl File {
        fn new(name: &str, text: &str) -> Self {
            let name = format!("buttress-look-{name}-{}.toml", std::process::id());
            let file = Self(std::env::temp_dir().join(name));
            file.write(text);
            file
        }

        fn write(&self, text: &str) {
            std::fs::write(&self.0, text).unwrap();
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    /// What a look finds that somebody should hear of.
    fn look(rules: &Rules, path: &Path) -> Option<News> {
        let mut heard = None;
        super::look(rules, path, |news| heard = Some(news));
        heard
    }

    const ONE: &str = "[server.defaults]\nbulkhead = 1";
    const TWO: &str = "[server.defaults]\nbulkhead = 2";

    #[test]
    fn a_file_that_is_gone_for_a_while_is_told_once() {
        let file = File::new("gone", ONE);
        let rules = Rules::load(&file.0).unwrap();
        let look = || look(&rules, &file.0);
        assert!(look().is_none());
        for back in [ONE, TWO] {
            std::fs::remove_file(&file.0).unwrap();
            assert!(matches!(look(), Some(News::Gone(_))));
            for _ in 0..3 {
                assert!(look().is_none(), "it is told already");
            }
            file.write(back);
            match look() {
                Some(News::WellAgain) => assert_eq!(back, ONE),
                Some(News::InForce(reloaded)) => {
                    assert_eq!((back, reloaded.after), (TWO, 2));
                }
                news => panic!("{news:?}"),
            }
            assert!(look().is_none());
        }
    }

    #[test]
    fn a_bad_text_is_told_once_and_so_is_that_it_is_well_again() {
        let file = File::new("bad", ONE);
        let rules = Rules::load(&file.0).unwrap();
        let look = || look(&rules, &file.0);
        for bad in ["nonsense = 1", "", "nonsense = 2"] {
            file.write(bad);
            assert!(matches!(look(), Some(News::Bad(_))), "{bad:?}");
            assert!(look().is_none(), "{bad:?}");
        }
        file.write(ONE);
        assert!(matches!(look(), Some(News::WellAgain)));
        file.write(&format!("# a comment\n{ONE}"));
        assert!(look().is_none(), "it was well before");
    }

    #[test]
    fn another_trouble_of_a_file_that_is_in_trouble_is_told() {
        let file = File::new("troubles", ONE);
        let rules = Rules::load(&file.0).unwrap();
        let look = || look(&rules, &file.0);
        for _ in 0..2 {
            file.write("nonsense = 1");
            assert!(matches!(look(), Some(News::Bad(_))));
            std::fs::remove_file(&file.0).unwrap();
            assert!(matches!(look(), Some(News::Gone(_))));
            assert!(look().is_none());
            // Something is there again, but no file.
            std::fs::create_dir(&file.0).unwrap();
            let other = look();
            std::fs::remove_dir(&file.0).unwrap();
            assert!(matches!(other, Some(News::Gone(_))), "{other:?}");
            assert!(matches!(look(), Some(News::Gone(_))));
        }
        file.write(ONE);
        assert!(matches!(look(), Some(News::WellAgain)));
    }

    #[test]
    fn what_changed_is_told() {
        let file = File::new("told", ONE);
        let rules = Rules::load(&file.0).unwrap();
        file.write(TWO);
        let Some(News::InForce(reloaded)) = look(&rules, &file.0) else {
            panic!("nothing is in force");
        };
        assert_eq!((reloaded.before, reloaded.after), (1, 2));
        assert_eq!(
            reloaded.changes.to_string(),
            "changed server.defaults: bulkhead { limit = 1 } -> { limit = 2 }"
        );
    }

    /// One report is enough: the operator who reloads by hand is told what is wrong.
    #[cfg(feature = "admin")]
    #[test]
    fn what_a_reload_by_hand_found_is_not_told_again() {
        let file = File::new("by-hand", ONE);
        let rules = Rules::load(&file.0).unwrap();
        file.write("nonsense = 1");
        assert!(rules.reload_by_hand(|_| {}).is_err());
        assert!(look(&rules, &file.0).is_none());
        std::fs::remove_file(&file.0).unwrap();
        assert!(rules.reload_by_hand(|_| {}).is_err());
        assert!(look(&rules, &file.0).is_none());
        file.write(TWO);
        let reloaded = rules.reload_by_hand(|_| {}).unwrap();
        assert_eq!((reloaded.before, reloaded.after), (1, 2));
        assert!(look(&rules, &file.0).is_none());
    }
}
