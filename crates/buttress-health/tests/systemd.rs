//! Messages to systemd, over a real datagram socket: one with a path, and an abstract one.
#![cfg(all(target_os = "linux", feature = "systemd"))]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress_health::{Check, Drain, Endpoint, Fault, Health, Status, systemd};
use common::{PATIENCE, is_a_process_of_its_own, this_test};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net as std_net;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixDatagram;
use tokio::process::Child;
use tokio::time::timeout;

/// What systemd would be.
struct Manager {
    socket: UnixDatagram,
    /// The same socket, which says at once what there is.
    at_once: std_net::UnixDatagram,
    address: String,
    path: Option<std::path::PathBuf>,
}

impl Manager {
    fn with_a_path() -> Self {
        let path = std::env::temp_dir().join(unique());
        let socket = std_net::UnixDatagram::bind(&path).unwrap();
        let address = path.to_str().unwrap().to_owned();
        Self::new(socket, address, Some(path))
    }

    fn with_an_abstract_name() -> Self {
        let name = unique();
        let address = std_net::SocketAddr::from_abstract_name(&name).unwrap();
        let socket = std_net::UnixDatagram::bind_addr(&address).unwrap();
        Self::new(socket, format!("@{name}"), None)
    }

    fn new(
        at_once: std_net::UnixDatagram,
        address: String,
        path: Option<std::path::PathBuf>,
    ) -> Self {
        at_once.set_nonblocking(true).unwrap();
        let socket = UnixDatagram::from_std(at_once.try_clone().unwrap()).unwrap();
        Self {
            socket,
            at_once,
            address,
            path,
        }
    }

    /// Whether there is a message, which is taken.
    fn has_one(&self) -> bool {
        match self.at_once.recv(&mut [0; 256]) {
            Ok(_) => true,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => false,
            Err(error) => panic!("{error}"),
        }
    }

    fn start(&self, test: &str, environment: &[(&str, &str)]) -> Child {
        this_test(test)
            .env("NOTIFY_SOCKET", &self.address)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    async fn next(&self) -> String {
        let mut message = [0; 256];
        let length = timeout(PATIENCE, self.socket.recv(&mut message))
            .await
            .unwrap()
            .unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }
}

fn unique() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("buttress-{}-{number}", std::process::id())
}

impl Drop for Manager {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[tokio::test]
async fn ready_comes_with_the_start_and_stopping_with_the_drain() {
    for manager in [Manager::with_a_path(), Manager::with_an_abstract_name()] {
        let mut child = manager.start("a_service", &[]);
        let mut orders = child.stdin.take().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        while !said
            .next_line()
            .await
            .unwrap()
            .unwrap()
            .contains("starting")
        {}
        // It has not started, and so has not said that it is ready.
        assert!(!manager.has_one());
        orders.write_all(b"start\n").await.unwrap();
        assert_eq!(manager.next().await, "READY=1");
        orders.write_all(b"stop\n").await.unwrap();
        assert_eq!(manager.next().await, "STOPPING=1");
        drop(orders);
        assert!(child.wait().await.unwrap().success());
    }
}

#[tokio::test]
async fn the_watchdog_is_fed_while_the_process_is_healthy() {
    let manager = Manager::with_an_abstract_name();
    let mut child = manager.start("a_service", &[("WATCHDOG_USEC", "40000")]);
    let mut orders = child.stdin.take().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    orders.write_all(b"start\n").await.unwrap();
    let mut messages = Vec::new();
    while messages
        .iter()
        .filter(|message| *message == "WATCHDOG=1")
        .count()
        < 5
    {
        messages.push(manager.next().await);
    }
    assert_eq!(
        messages
            .iter()
            .filter(|message| *message == "READY=1")
            .count(),
        1
    );
    orders.write_all(b"sicken\n").await.unwrap();
    while !said.next_line().await.unwrap().unwrap().contains("sick") {}
    // What was sent before is read away. From here on it is silent, for as long as many intervals
    // of a check that goes on take.
    while manager.has_one() {}
    orders.write_all(b"wait\n").await.unwrap();
    while !said.next_line().await.unwrap().unwrap().contains("waited") {}
    assert!(!manager.has_one());
    orders.write_all(b"recover\n").await.unwrap();
    assert_eq!(manager.next().await, "WATCHDOG=1");
    drop(orders);
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test]
async fn a_watchdog_that_is_meant_for_another_process_is_not_fed() {
    let manager = Manager::with_an_abstract_name();
    let environment = [("WATCHDOG_USEC", "20000"), ("WATCHDOG_PID", "1")];
    let mut child = manager.start("a_service", &environment);
    let mut orders = child.stdin.take().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    orders.write_all(b"start\n").await.unwrap();
    assert_eq!(manager.next().await, "READY=1");
    orders.write_all(b"wait\n").await.unwrap();
    while !said.next_line().await.unwrap().unwrap().contains("waited") {}
    assert!(!manager.has_one());
}

#[tokio::test]
async fn where_systemd_did_not_ask_it_is_told_nothing() {
    assert!(std::env::var_os("NOTIFY_SOCKET").is_none());
    let health = Health::builder().build().unwrap();
    assert!(systemd::notify(&health).unwrap().is_none());
}

/// Does what it is told to on its standard input.
#[tokio::test]
#[ignore = "run by another test, as a process of its own"]
async fn a_service() {
    if !is_a_process_of_its_own() {
        return;
    }
    let started = Arc::new(AtomicBool::new(false));
    let sick = Arc::new(AtomicBool::new(false));
    let asks = Arc::new(AtomicU32::new(0));
    let (is_started, is_sick, count) = (started.clone(), sick.clone(), asks.clone());
    let short = Duration::from_millis(10);
    let health = Health::builder()
        .check(
            Check::startup("start", move || {
                let started = is_started.load(Ordering::Relaxed);
                async move { started.then_some(()).ok_or_else(|| Fault::new("not yet")) }
            })
            .every(short),
        )
        .check(
            Check::liveness("own", move || {
                count.fetch_add(1, Ordering::Relaxed);
                let sick = is_sick.load(Ordering::Relaxed);
                async move { (!sick).then_some(()).ok_or_else(|| Fault::new("sick")) }
            })
            .every(short),
        )
        .build()
        .unwrap();
    let drain = Drain::builder(&health).build().unwrap();
    let _notifier = systemd::notify(&health).unwrap().unwrap();
    let passed = async |count: u32| {
        let until = asks.load(Ordering::Relaxed) + count;
        while asks.load(Ordering::Relaxed) < until {
            tokio::time::sleep(short).await;
        }
    };
    passed(3).await;
    println!("starting");
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while let Some(order) = orders.next_line().await.unwrap() {
        match &*order {
            "start" => started.store(true, Ordering::Relaxed),
            "sicken" => {
                sick.store(true, Ordering::Relaxed);
                health.until(Endpoint::Live, Status::Fail).await;
                println!("sick");
            }
            "wait" => {
                passed(30).await;
                println!("waited");
            }
            "recover" => sick.store(false, Ordering::Relaxed),
            "stop" => drain.begin(),
            other => panic!("{other}"),
        }
    }
}
