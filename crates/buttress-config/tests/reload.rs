//! Reloads by call, while a server runs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use axum::Router;
use axum::routing::get;
use buttress_config::{Document, Format, Reload, Rules};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A directory of its own for a test, gone with it.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("buttress-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn rules_of(number: u64) -> String {
    format!(
        "[server.defaults]\npressure = false\n\
         [[server.route]]\nmatch = {{ path = \"/{{name}}\" }}\n\
         bulkhead = {}\nrate_limit = \"{}/s\"\ntimeout = \"{}s\"\n",
        100 + number % 7,
        1_000_000 + number,
        5 + number % 3,
    )
}

async fn serve(rules: &Rules) -> SocketAddr {
    let app = Router::new()
        .route("/{name}", get(|| async { "well" }))
        .layer(rules.server());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// One request on a connection that is kept. Returns whether it was answered well.
async fn request(connection: &mut BufReader<TcpStream>) -> bool {
    let text = b"GET /name HTTP/1.1\r\nhost: localhost\r\n\r\n";
    connection.write_all(text).await.unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while !answer.ends_with(b"well") {
        let read = connection.read(&mut buffer).await.unwrap();
        if read == 0 {
            return false;
        }
        answer.extend_from_slice(&buffer[..read]);
        let well = &b"HTTP/1.1 200"[..answer.len().min(12)];
        assert!(
            answer.starts_with(well),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_reloads_under_load_lose_no_request() {
    let directory = Directory::new("thousand");
    let path = directory.file("rules.toml");
    std::fs::write(&path, rules_of(0)).unwrap();
    let rules = Rules::load(&path).unwrap();
    let address = serve(&rules).await;
    let done = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicU64::new(0));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (done, answered) = (Arc::clone(&done), Arc::clone(&answered));
            tokio::spawn(async move {
                let mut connection = BufReader::new(TcpStream::connect(address).await.unwrap());
                while !done.load(Ordering::Relaxed) {
                    assert!(request(&mut connection).await, "a connection was lost");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut during = 0;
    for number in 1..=1_000 {
        std::fs::write(&path, rules_of(number)).unwrap();
        let before = answered.load(Ordering::Relaxed);
        assert_eq!(rules.reload(), Ok(Reload::Changed));
        // Somebody gets through between any two of them now and then.
        if number % 10 == 0 {
            while answered.load(Ordering::Relaxed) == before {
                tokio::task::yield_now().await;
            }
            during += 1;
        }
    }
    done.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!((rules.generation(), during), (1_001, 100));
}

/// A file that became empty may be half written. What says nothing on purpose says so.
#[test]
fn a_file_that_became_empty_changes_nothing() {
    let directory = Directory::new("empty");
    let path = directory.file("rules.toml");
    std::fs::write(&path, "").unwrap();
    let rules = Rules::load(&path).unwrap();
    assert_eq!(rules.reload(), Ok(Reload::Unchanged));
    std::fs::write(&path, rules_of(1)).unwrap();
    assert_eq!(rules.reload(), Ok(Reload::Changed));
    let before = rules.settings();
    for empty in ["", " \n\t\n"] {
        std::fs::write(&path, empty).unwrap();
        let problems = rules.reload().unwrap_err().to_string();
        assert!(problems.contains("is empty"), "{problems}");
    }
    assert_eq!((rules.generation(), rules.settings() == before), (2, true));
    std::fs::write(&path, "# nothing").unwrap();
    assert_eq!(rules.reload(), Ok(Reload::Changed));
}

#[test]
fn a_file_that_is_too_long_is_not_read_to_its_end() {
    let directory = Directory::new("long");
    let path = directory.file("rules.toml");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(1 << 40).unwrap();
    let problems = Rules::load(&path).unwrap_err().to_string();
    assert!(
        problems.contains("it has more than 4194304 bytes"),
        "{problems}"
    );
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_not_opened() {
    let directory = Directory::new("pipe");
    let path = directory.file("rules.toml");
    std::fs::write(&path, rules_of(1)).unwrap();
    let rules = Rules::load(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let problems = rules.reload().unwrap_err().to_string();
    assert!(problems.contains("is no regular file"), "{problems}");
    assert!(Rules::load(&directory.0).is_err());
}

/// Whoever writes last reloads after that, so the last text is in force in the end.
#[test]
fn reloads_at_the_same_time_end_with_what_the_file_says() {
    let directory = Directory::new("same-time");
    let path = directory.file("rules.toml");
    std::fs::write(&path, rules_of(0)).unwrap();
    let rules = Rules::load(&path).unwrap();
    for round in 0..100 {
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let next = directory.file(&format!("next{writer}"));
                let (rules, path) = (&rules, &path);
                scope.spawn(move || {
                    std::fs::write(&next, rules_of(1 + round * 4 + writer)).unwrap();
                    std::fs::rename(&next, path).unwrap();
                    rules.reload().unwrap();
                });
            }
        });
        assert_eq!(rules.reload(), Ok(Reload::Unchanged), "round {round}");
    }
}

#[test]
fn a_route_that_is_written_in_another_way_keeps_its_state() {
    let parse = |text: &str| Document::parse("test", text, Format::Toml).unwrap();
    let route = |matching: &str| {
        parse(&format!(
            "[[server.route]]\nmatch = {{ {matching} }}\nbulkhead = 1"
        ))
    };
    let rules = Rules::new(route(
        r#"path = "/a", host = "example.com", method = ["GET", "POST"]"#,
    ));
    let rules = rules.unwrap();
    let names = || -> Vec<String> {
        let policies = rules.policies().into_iter();
        policies.map(|one| one.policy).collect()
    };
    let before = names();
    let other = r#"path = "/a", host = "EXAMPLE.com.", method = ["POST", "GET"]"#;
    rules.replace(route(other)).unwrap();
    assert_eq!(names(), before);
}

#[test]
fn a_bad_file_changes_nothing() {
    let directory = Directory::new("bad");
    let path = directory.file("rules.toml");
    std::fs::write(&path, rules_of(1)).unwrap();
    let rules = Rules::load(&path).unwrap();
    let before = rules.settings();
    std::fs::write(&path, "[server.defaults]\nbulkhead = 0").unwrap();
    let problems = rules.reload().unwrap_err();
    assert!(
        problems.to_string().contains("server.defaults.bulkhead"),
        "{problems}"
    );
    std::fs::remove_file(&path).unwrap();
    assert!(
        rules
            .reload()
            .unwrap_err()
            .to_string()
            .contains("cannot be read")
    );
    assert_eq!((rules.generation(), rules.settings() == before), (1, true));
    assert!(Rules::from_toml("").unwrap().reload().is_err());
}
