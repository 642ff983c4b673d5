//! A real `redis-server` for a test, on a free port, that ends with the test.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test uses a part; one that cannot go on should say where"
)]

pub(crate) mod proxy;
pub(crate) mod wire;

use buttress::{Policy, Rejection, Run};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tower::BoxError;

/// A `redis-server`.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    directory: PathBuf,
    extra: Vec<String>,
}

impl Server {
    /// Starts one, or says that there is none to start.
    pub(crate) async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(extra: &[&str]) -> Option<Self> {
        if !is_installed() {
            eprintln!("SKIPPED: there is no `redis-server` (Debian's package has that name)");
            return None;
        }
        // The port is free when asked, and may be taken when the server asks for it.
        for _ in 0..10 {
            let port = free_port();
            let directory = directory();
            let extra: Vec<_> = extra.iter().map(ToString::to_string).collect();
            let child = spawn(port, &directory, &extra);
            let mut server = Self {
                child,
                port,
                directory,
                extra,
            };
            if server.answers().await {
                return Some(server);
            }
        }
        panic!("no redis-server came up");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The same port, and nothing of what there was.
    pub(crate) async fn start_again(&mut self) {
        self.kill();
        self.child = spawn(self.port, &self.directory, &self.extra);
        assert!(self.answers().await, "it does not come up again");
    }

    async fn answers(&mut self) -> bool {
        for _ in 0..500 {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if command(self.port, &["PING"])
                .await
                .is_ok_and(|answer| answer == "+PONG\r\n")
            {
                return true;
            }
            sleep(Duration::from_millis(10)).await;
        }
        false
    }

    /// Sends a command, and returns the answer as it comes.
    pub(crate) async fn command(&self, words: &[&str]) -> String {
        command(self.port, words).await.unwrap()
    }

    /// The keys there are.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let answer = self.command(&["KEYS", "*"]).await;
        let lines = answer.lines().filter(|line| !line.starts_with(['*', '$']));
        lines.map(str::to_owned).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

pub(crate) fn is_installed() -> bool {
    let asked = Command::new("redis-server")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    asked.is_ok_and(|status| status.success())
}

fn spawn(port: u16, directory: &PathBuf, extra: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no"])
        .args(["--enable-debug-command", "yes"])
        .arg("--dir")
        .arg(directory)
        .args(extra)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

pub(crate) fn free_port() -> u16 {
    // A cluster's node also takes the port that is 10 000 higher.
    loop {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        if port < 55_000 {
            return port;
        }
    }
}

fn directory() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("buttress-redis-{}-{number}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

async fn command(port: u16, words: &[&str]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        let length = word.len();
        text.extend(["$", &length.to_string(), "\r\n", word, "\r\n"]);
    }
    stream.write_all(text.as_bytes()).await?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    // Whoever sends no more within this time has said it all.
    let mut wait = Duration::from_secs(5);
    while let Ok(read) = timeout(wait, stream.read(&mut buffer)).await {
        match read? {
            0 => break,
            read => answer.extend_from_slice(&buffer[..read]),
        }
        wait = Duration::from_millis(20);
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Waits until it holds; fails if it does not within ten seconds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "never: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// One call through a limit.
pub(crate) async fn call<P: Policy<()>>(limit: &P) -> Result<(), Rejection> {
    let result: Result<(), BoxError> = limit.run(async { Ok(()) }).await;
    result.map_err(|error| *Rejection::find(&*error).unwrap())
}
