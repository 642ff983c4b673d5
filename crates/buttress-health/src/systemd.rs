//! Telling systemd how the process is, for units of `Type=notify`.
//!
//! A unit that is `active` as soon as its process runs tells nobody whether it works, and one that
//! hangs stays `active` for ever. [`notify`] sends `READY=1` when the process has started,
//! `STOPPING=1` when it drains, and, if the unit has `WatchdogSec=`, `WATCHDOG=1` at half of that
//! while `/livez` is good. A process that is stuck or not alive is silent, and systemd restarts it.
//!
//! The messages are sent by a task of the runtime: if that is stuck, so are they.

use crate::health::{Health, within_a_runtime};
use crate::model::Endpoint;
use crate::phase::Phase;
use crate::shared::Shared;
use sd_notify::NotifyState;
use std::env;
use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixDatagram;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Sends messages until it is dropped.
#[derive(Debug)]
#[must_use = "it stops when dropped"]
pub struct Notifier {
    task: AbortHandle,
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Begins to tell systemd how the process is. `None` where systemd did not ask for it: the
/// environment has no `NOTIFY_SOCKET`.
///
/// `READY=1` is sent once `/startupz` is good, which is at once if there are no startup checks.
///
/// # Errors
///
/// The socket cannot be connected to, or this is not within a tokio runtime.
pub fn notify(health: &Health) -> io::Result<Option<Notifier>> {
    let Some(address) = env::var_os("NOTIFY_SOCKET") else {
        return Ok(None);
    };
    let runtime = within_a_runtime().map_err(io::Error::other)?;
    let _within = runtime.enter();
    let socket = connect(&address)?;
    // It also looks whether `WATCHDOG_PID` means this process.
    let watchdog = sd_notify::watchdog_enabled().filter(|time| !time.is_zero());
    let shared = Arc::clone(health.shared());
    let task = runtime.spawn(tell(socket, shared, watchdog));
    Ok(Some(Notifier {
        task: task.abort_handle(),
    }))
}

/// Connects to a path, or to an abstract address, which is written with `@` in front.
fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let socket = std::os::unix::net::UnixDatagram::unbound()?;
    match abstract_name(address) {
        Some(name) => connect_abstract(&socket, name)?,
        None => socket.connect(address)?,
    }
    socket.set_nonblocking(true)?;
    UnixDatagram::from_std(socket)
}

fn abstract_name(address: &OsStr) -> Option<&[u8]> {
    use std::os::unix::ffi::OsStrExt;
    address.as_bytes().strip_prefix(b"@")
}

#[cfg(target_os = "linux")]
fn connect_abstract(socket: &std::os::unix::net::UnixDatagram, name: &[u8]) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    socket.connect_addr(&address)
}

#[cfg(not(target_os = "linux"))]
fn connect_abstract(_: &std::os::unix::net::UnixDatagram, _: &[u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

async fn tell(socket: UnixDatagram, shared: Arc<Shared>, watchdog: Option<Duration>) {
    let mut news = shared.news();
    let (mut ready, mut stopping) = (false, false);
    // Half of what systemd waits for, and never 0. Without a watchdog, only what did not go is sent
    // again.
    let period = watchdog.map_or(AGAIN, |time| (time / 2).max(Duration::from_millis(1)));
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let now = *news.borrow_and_update();
        if !ready && now.status(Endpoint::Started).is_ok() {
            ready = send(&socket, &NotifyState::Ready).await;
        }
        if !stopping && now.phase > Phase::Running {
            stopping = send(&socket, &NotifyState::Stopping).await;
        }
        tokio::select! {
            changed = news.changed() => if changed.is_err() { return },
            _ = ticks.tick() => {
                let alive = news.borrow().status(Endpoint::Live).is_ok();
                if watchdog.is_some() && alive {
                    send(&socket, &NotifyState::Watchdog).await;
                }
            }
        }
    }
}

/// Sends a message, and says whether it went. Those that did not are sent again at the next
/// tick.
async fn send(socket: &UnixDatagram, state: &NotifyState<'_>) -> bool {
    let message = state.to_string();
    match timeout(LONGEST_SEND, socket.send(message.as_bytes())).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => {
            tracing::warn!(message, %error, "systemd could not be told");
            false
        }
        Err(_) => {
            tracing::warn!(message, "systemd could not be told: its queue is full");
            false
        }
    }
}

/// systemd reads its queue within this, or has other troubles.
const LONGEST_SEND: Duration = Duration::from_secs(1);

const AGAIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Fault;
    use crate::model::Verdict;
    use tokio::time::sleep;

    const SECOND: Duration = Duration::from_secs(1);

    /// On virtual time, over a real socket.
    #[tokio::test(start_paused = true)]
    async fn the_watchdog_is_fed_at_half_of_its_time_and_only_while_alive() {
        let health = Health::builder().build().unwrap();
        let (ours, manager) = std::os::unix::net::UnixDatagram::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        manager.set_nonblocking(true).unwrap();
        let ours = UnixDatagram::from_std(ours).unwrap();
        let shared = Arc::clone(health.shared());
        tokio::spawn(tell(ours, Arc::clone(&shared), Some(20 * SECOND)));
        let told = || {
            let mut messages = Vec::new();
            let mut message = [0; 64];
            while let Ok(length) = manager.recv(&mut message) {
                messages.push(String::from_utf8(message[..length].to_vec()).unwrap());
            }
            messages
        };
        let dead = |dead: bool| Verdict {
            fault: dead.then(|| Fault::new("stuck")),
            dead,
        };
        sleep(SECOND).await;
        assert_eq!(told(), ["READY=1", "WATCHDOG=1"]);
        sleep(8 * SECOND).await;
        assert!(told().is_empty());
        // At 10 s, 20 s, 30 s.
        for _ in 0..3 {
            sleep(10 * SECOND).await;
            assert_eq!(told(), ["WATCHDOG=1"]);
        }
        shared.judge(dead(true));
        sleep(100 * SECOND).await;
        assert!(told().is_empty());
        shared.judge(dead(false));
        sleep(10 * SECOND).await;
        assert_eq!(told(), ["WATCHDOG=1"]);
        // A process that drains is alive.
        shared.go_on_to(Phase::Noticing);
        sleep(10 * SECOND).await;
        assert_eq!(told(), ["STOPPING=1", "WATCHDOG=1"]);
    }
}
