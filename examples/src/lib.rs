//! Services that run, each with one command. The binaries are in `quickstart.rs` and `grpc.rs`;
//! what they serve is here, so that the tests serve the same.

pub mod grpc;
pub mod quickstart;

/// Resolves at Ctrl-C, or when the process is asked to end.
pub async fn stop_signal() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    // Without a handler there is no way to be asked, so it is better to end than to hang.
    let _ = interrupted.await;
}
