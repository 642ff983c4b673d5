use crate::exit_code;
use std::future::Future;
use std::io;

/// Resolves at the first signal that asks the process to end. The second one ends it.
pub(super) fn listen() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    listen_and(|| {})
}

/// Calls `between` when half of it is there.
#[cfg(unix)]
fn listen_and(between: impl FnOnce()) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::signal::unix::{SignalKind, signal};

    let asked = Arc::new(AtomicBool::new(false));
    for number in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag down, and raises it.
        flag::register_conditional_shutdown(number, exit_code::HURRIED, Arc::clone(&asked))?;
        flag::register(number, Arc::clone(&asked))?;
    }
    between();
    // After the flag, which is so raised before anybody hears of the signal. The other way round what
    // follows could be over while the signal is still handled, and be taken for the first of two.
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    Ok(async move {
        // One that came before this was listened to has raised the flag.
        if asked.load(Ordering::SeqCst) {
            return;
        }
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
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
    use signal_hook::low_level::{pipe, raise};
    use std::os::unix::net::UnixStream;
    use std::process::{Command, Stdio};

    const CHILD: &str = "BUTTRESS_HEALTH_TEST_CHILD";

    /// Signals are for a whole process, so those who get some are processes of their own.
    fn exit_code_of(process: &str) -> io::Result<Option<i32>> {
        let child = Command::new(std::env::current_exe()?)
            .env(CHILD, "1")
            .args(["--exact", &format!("drain::signal::tests::{process}")])
            .arg("--ignored")
            .stdout(Stdio::null())
            .status();
        child.map(|status| status.code())
    }

    fn is_a_process_of_its_own() -> bool {
        std::env::var_os(CHILD).is_some()
    }

    #[test]
    fn a_signal_that_comes_early_is_the_first_one() {
        let code = exit_code_of("a_process_that_is_asked_early").unwrap();
        assert_eq!(code, Some(exit_code::HURRIED));
    }

    #[test]
    fn a_signal_is_not_taken_for_the_second_one_while_it_is_handled() {
        let code = exit_code_of("a_process_that_is_asked_once").unwrap();
        assert_eq!(code, Some(0));
    }

    /// The signal is handled by this thread, and takes a while; meanwhile another one hears of it.
    #[test]
    #[ignore = "run by another test, as a process of its own"]
    fn a_process_that_is_asked_once() {
        if !is_a_process_of_its_own() {
            return;
        }
        let slowly = || {
            let (write, _read) = UnixStream::pair().unwrap();
            for _ in 0..100 {
                pipe::register(SIGTERM, write.try_clone().unwrap()).unwrap();
            }
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let inside = runtime.enter();
        let asked = listen_and(slowly).unwrap();
        drop(inside);
        let hears = runtime.spawn(asked);
        raise(SIGTERM).unwrap();
        runtime.block_on(hears).unwrap();
    }

    #[tokio::test]
    #[ignore = "run by another test, as a process of its own"]
    async fn a_process_that_is_asked_early() {
        if !is_a_process_of_its_own() {
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
