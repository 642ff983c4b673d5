//! How many requests a second the example `gateway` passes on, against nginx as a reverse proxy for
//! the same upstream: `cargo build --release --example gateway && cargo run --release -p
//! buttress-benches --bin gateway`.
//!
//! Each proxy has one core for itself, and the load and the upstream (nginx, which answers by
//! itself) have the other one. They take turns. It needs Debian's packages `nginx-light` and `wrk`,
//! and `taskset`. One line of JSON; the ratio should be 0.5 at least.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it prints what it measures, and waits for processes"
)]

use buttress_benches::measure::median;
use std::error::Error;
use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

type Failure = Box<dyn Error>;

const ROUNDS: usize = 3;
const SECONDS: u32 = 4;
const CONNECTIONS: u32 = 32;

/// The standard for both sides, and limits besides.
const RULES: &str = r#"
[server.defaults]
bulkhead = 1000
rate_limit = { rate = "1000000/s", by = "peer" }
timeout = "5s"

[upstream.origin]
"#;

fn main() -> Result<(), Failure> {
    for program in ["nginx", "wrk", "taskset"] {
        if Command::new(program).arg("-h").output().is_err() {
            println!(
                "there is no `{program}`: it is in Debian's packages nginx-light, wrk, util-linux"
            );
            return Ok(());
        }
    }
    let gateway = std::env::current_exe()?
        .with_file_name("examples")
        .join("gateway");
    if !gateway.exists() {
        println!("first: cargo build --release --example gateway");
        return Ok(());
    }
    let directory = Directory::new()?;
    let (origin, nginx, ours) = (free_port()?, free_port()?, free_port()?);
    let answer = "location / { return 200 \"hello, world\"; }";
    let _origin = directory.nginx("origin", "1", origin, "", answer)?;
    let upstream = format!("upstream origin {{ server 127.0.0.1:{origin}; keepalive 64; }}");
    let pass = "location / { proxy_pass http://origin; proxy_http_version 1.1; \
        proxy_set_header Connection \"\"; proxy_set_header Host $host; \
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }";
    let _nginx = directory.nginx("proxy", "0", nginx, &upstream, pass)?;
    let rules = directory.write("rules.toml", RULES)?;
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(gateway).arg(rules);
    command.arg(format!("origin=127.0.0.1:{origin}"));
    command.env("PORT", ours.to_string());
    let _ours = Running::start(command, ours)?;

    let (mut by_nginx, mut by_ours) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        // The first round warms up.
        let (theirs, own) = (load(nginx)?, load(ours)?);
        if round > 0 {
            by_nginx.push(theirs);
            by_ours.push(own);
        }
    }
    let (nginx, ours) = (median(by_nginx), median(by_ours));
    println!(
        r#"{{"subject":"gateway","ours_per_s":{ours:.0},"peer":"nginx","peer_per_s":{nginx:.0},"ratio":{:.3},"target":0.5}}"#,
        ours / nginx
    );
    Ok(())
}

/// Requests a second.
fn load(port: u16) -> Result<f64, Failure> {
    let output = Command::new("taskset")
        .args(["-c", "1", "wrk", "-t1"])
        .arg(format!("-c{CONNECTIONS}"))
        .arg(format!("-d{SECONDS}s"))
        .arg(format!("http://127.0.0.1:{port}/"))
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(format!("not all requests succeeded: {text}").into());
    }
    let rate = text
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"));
    Ok(rate.ok_or("wrk says nothing")?.trim().parse()?)
}

fn free_port() -> Result<u16, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.port())
}

/// A process that ends with this.
struct Running(Child);

impl Running {
    fn start(mut command: Command, port: u16) -> Result<Self, Failure> {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let running = Self(command.spawn()?);
        for _ in 0..500 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(running);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err("it does not listen".into())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A directory that ends with this.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("buttress-gateway-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, Failure> {
        let path = self.0.join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    fn nginx(
        &self,
        name: &str,
        core: &str,
        port: u16,
        before: &str,
        location: &str,
    ) -> Result<Running, Failure> {
        let at = |file: &str| path_of(&self.0.join(format!("{name}-{file}")));
        let mut temporary = String::new();
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            writeln!(temporary, "{kind}_temp_path {};", at(kind))?;
        }
        let text = format!(
            "daemon off;\nmaster_process off;\npid {};\nerror_log {} crit;\n\
             events {{ worker_connections 1024; }}\n\
             http {{\naccess_log off;\nkeepalive_requests 1000000000;\n{temporary}{before}\n\
             server {{ listen 127.0.0.1:{port}; {location} }}\n}}\n",
            at("pid"),
            at("error.log"),
        );
        let file = self.write(&format!("{name}.conf"), &text)?;
        let mut command = Command::new("taskset");
        command.args(["-c", core, "nginx", "-c"]).arg(file);
        command.arg("-p").arg(&self.0);
        Running::start(command, port)
    }
}

fn path_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
