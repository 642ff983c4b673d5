use std::io;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// Tells everyone that the process was asked to end, by Ctrl-C or by its supervisor.
#[derive(Clone, Debug)]
pub struct Stop {
    asked: watch::Receiver<bool>,
}

impl Stop {
    /// Listens from now on. Make it before anybody is told that the service is up.
    ///
    /// # Errors
    ///
    /// The signals cannot be listened to.
    pub fn at_signal() -> io::Result<Self> {
        let signal = signal()?;
        let (tell, asked) = watch::channel(false);
        tokio::spawn(async move {
            signal.await;
            let _ = tell.send(true);
        });
        Ok(Self { asked })
    }

    /// Resolves when the process was asked to end: time to take no new calls, and to let those
    /// that are under way end.
    pub async fn asked(mut self) {
        let _ = self.asked.wait_for(|asked| *asked).await;
    }

    /// Resolves when they have had enough time to. A client that never sends the rest of its
    /// request, or never reads the rest of a stream, must not keep the process alive.
    pub async fn overdue(self) {
        self.asked().await;
        sleep(GRACE).await;
    }
}

#[cfg(unix)]
fn signal() -> io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}

#[cfg(windows)]
fn signal() -> io::Result<impl Future<Output = ()> + Send> {
    let mut interrupted = tokio::signal::windows::ctrl_c()?;
    Ok(async move { _ = interrupted.recv().await })
}

/// Longer than any call may take.
const GRACE: Duration = Duration::from_secs(2);
