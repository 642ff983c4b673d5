use crate::exit_code;
use std::future::Future;
use std::io;

/// Resolves at the first signal that asks the process to end. The second one ends it.
#[cfg(unix)]
pub(super) fn listen() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use tokio::signal::unix::{SignalKind, signal};

    let asked = Arc::new(AtomicBool::new(false));
    for number in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag down, and raises it.
        flag::register_conditional_shutdown(number, exit_code::HURRIED, Arc::clone(&asked))?;
        flag::register(number, Arc::clone(&asked))?;
    }
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}

/// Resolves when the process is asked to end. Asked again, it ends.
#[cfg(windows)]
pub(super) fn listen() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut pressed = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        let _ = pressed.recv().await;
        tokio::spawn(async move {
            let _ = pressed.recv().await;
            std::process::exit(exit_code::HURRIED);
        });
    })
}
