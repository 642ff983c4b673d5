use crate::exit_code;
use std::future::Future;
use std::io;

/// Resolves at the first signal that asks the process to end. The second one ends it.
pub(super) fn listen() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    listen_and(|| {})
}

/// Calls `between` at the moment at which a signal is heard, but would not yet end the process if
/// it came a second time.
#[cfg(unix)]
fn listen_and(between: impl FnOnce()) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::signal::unix::{SignalKind, signal};

    // Before all else: a signal that only raised the flag would be lost.
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    between();
    let asked = Arc::new(AtomicBool::new(false));
    for number in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag down, and raises it.
        flag::register_conditional_shutdown(number, exit_code::HURRIED, Arc::clone(&asked))?;
        flag::register(number, Arc::clone(&asked))?;
    }
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        // It may have come before the flag was there.
        asked.store(true, Ordering::SeqCst);
    })
}

/// Calls `between` before anything is heard.
#[cfg(windows)]
fn listen_and(between: impl FnOnce()) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    between();
    let mut pressed = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        let _ = pressed.recv().await;
        tokio::spawn(async move {
            let _ = pressed.recv().await;
            std::process::exit(exit_code::HURRIED);
        });
    })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use signal_hook::consts::SIGTERM;
    use signal_hook::low_level::raise;
    use std::process::{Command, Stdio};

    const CHILD: &str = "BUTTRESS_HEALTH_TEST_CHILD";

    /// Signals are for a whole process, so this is one of its own.
    #[test]
    fn a_signal_that_comes_early_is_the_first_one() {
        let test = "drain::signal::tests::a_process_that_is_asked_early";
        let child = Command::new(std::env::current_exe().unwrap())
            .env(CHILD, "1")
            .args(["--exact", test, "--ignored"])
            .stdout(Stdio::null())
            .status();
        assert_eq!(child.unwrap().code(), Some(exit_code::HURRIED));
    }

    #[tokio::test]
    #[ignore = "run by another test, as a process of its own"]
    async fn a_process_that_is_asked_early() {
        if std::env::var_os(CHILD).is_none() {
            return;
        }
        let asked = listen_and(|| raise(SIGTERM).unwrap()).unwrap();
        tokio::time::timeout(std::time::Duration::from_secs(60), asked)
            .await
            .unwrap();
        // The second one.
        raise(SIGTERM).unwrap();
    }
}
