//! How many requests a second the example `gateway` passes on, against nginx as a reverse proxy for
//! the same upstream: `cargo run --release -p buttress-benches --bin gateway [-- --json]`.
//!
//! Each proxy has one core for itself, and the load and the upstream (nginx, which answers by
//! itself) have the other one. They take turns, and each round gives a ratio; the median counts. It
//! fails if that is below 0.5. Of less noise, where others use the machine as well, is the ratio of
//! what each passes on for the processor time that it got. It needs Debian's packages `nginx-light`,
//! `wrk` and `util-linux`.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it prints what it measures, and waits for processes"
)]

use buttress_benches::measure::median;
use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

type Failure = Box<dyn Error>;

const ROUNDS: usize = 7;
const SECONDS: u32 = 3;
const CONNECTIONS: u32 = 32;
const TARGET: f64 = 0.5;

/// The standard for both sides, and limits besides. By the standard a process that has no processor
/// time left refuses some of its calls, and here none is to be left.
const RULES: &str = r#"
[server.defaults]
pressure = false
bulkhead = 1000
rate_limit = { rate = "1000000/s", by = "peer" }
timeout = "5s"

[upstream.origin]
"#;

fn main() -> ExitCode {
    match compare() {
        Ok(ratio) if ratio >= TARGET => ExitCode::SUCCESS,
        Ok(ratio) => {
            eprintln!("{ratio:.3} is below {TARGET}");
            ExitCode::FAILURE
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn compare() -> Result<f64, Failure> {
    let json = match env::args().nth(1).as_deref() {
        None => false,
        Some("--json") => true,
        Some(other) => return Err(format!("unknown argument {other:?}: there is --json").into()),
    };
    let gateway = built_gateway()?;
    for (program, package) in [
        ("nginx", "nginx-light"),
        ("wrk", "wrk"),
        ("taskset", "util-linux"),
    ] {
        if Command::new(program).arg("-h").output().is_err() {
            let install = format!("apt-get install {package}");
            return Err(format!("there is no `{program}`: {install}").into());
        }
    }
    let directory = Directory::new()?;
    let [origin, of_nginx, of_ours] = free_ports()?;
    let answer = "location / { return 200 \"hello, world\"; }";
    let _origin = directory.nginx("origin", "1", origin, "", answer)?;
    let upstream = format!("upstream origin {{ server 127.0.0.1:{origin}; keepalive 64; }}");
    // What the gateway does as well.
    let pass = "location / { proxy_pass http://origin; proxy_http_version 1.1; \
        proxy_set_header Connection \"\"; proxy_set_header X-Forwarded-Host $host; \
        proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header Via \"1.1 nginx\"; \
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }";
    let nginx = directory.nginx("proxy", "0", of_nginx, &upstream, pass)?;
    let rules = format!("{RULES}x-address = \"127.0.0.1:{origin}\"\n");
    let rules = directory.write("rules.toml", &rules)?;
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(gateway).arg(rules);
    command.env("PORT", of_ours.to_string());
    let ours = Running::start(command, of_ours)?;

    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        // Whoever is first has not always the same neighbours.
        let (theirs, own) = if round % 2 == 0 {
            let theirs = load(&nginx)?;
            (theirs, load(&ours)?)
        } else {
            let own = load(&ours)?;
            (load(&nginx)?, own)
        };
        // The first round warms up.
        if round > 0 {
            rounds.push((own, theirs));
        }
    }
    let of = |each: fn(&(Load, Load)) -> f64| median(rounds.iter().map(each).collect());
    let ours = of(|(own, _)| own.per_second);
    let nginx = of(|(_, theirs)| theirs.per_second);
    let ratio = of(|(own, theirs)| own.per_second / theirs.per_second);
    let processor = of(|(own, theirs)| own.per_tick / theirs.per_tick);
    if json {
        println!(
            r#"{{"subject":"gateway","ours_per_s":{ours:.0},"peer":"nginx","peer_per_s":{nginx:.0},"ratio":{ratio:.3},"ratio_by_processor_time":{processor:.3},"rounds":{ROUNDS},"target":{TARGET}}}"#,
        );
    } else {
        println!("requests a second, one core each, median of {ROUNDS} rounds:");
        println!("  gateway {ours:>8.0}\n  nginx   {nginx:>8.0}");
        println!("  ratio   {ratio:>8.2}   at least {TARGET}");
        println!("  ratio   {processor:>8.2}   of requests for the same processor time");
    }
    Ok(ratio)
}

/// The example as it is now.
fn built_gateway() -> Result<PathBuf, Failure> {
    if cfg!(debug_assertions) {
        return Err("it must be run with --release".into());
    }
    if let Some(cargo) = env::var_os("CARGO") {
        let build = ["build", "--release", "--quiet", "-p", "buttress-examples"];
        let mut command = Command::new(cargo);
        command.args(build).args(["--example", "gateway"]);
        if !command.status()?.success() {
            return Err("the example does not build".into());
        }
    }
    let gateway = env::current_exe()?
        .with_file_name("examples")
        .join("gateway");
    if !gateway.exists() {
        return Err("first: cargo build --release --example gateway".into());
    }
    Ok(gateway)
}

/// What a proxy passed on.
struct Load {
    per_second: f64,
    /// For each of the system's ticks that the proxy was running.
    per_tick: f64,
}

fn load(proxy: &Running) -> Result<Load, Failure> {
    let before = proxy.ticks()?;
    let output = Command::new("taskset")
        .args(["-c", "1", "wrk", "-t1"])
        .arg(format!("-c{CONNECTIONS}"))
        .arg(format!("-d{SECONDS}s"))
        .arg(format!("http://127.0.0.1:{}/", proxy.port))
        .output()?;
    let ticks = proxy.ticks()? - before;
    let text = String::from_utf8(output.stdout)?;
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(format!("not all requests succeeded: {text}").into());
    }
    let mut lines = text.lines().map(str::trim);
    let requests = lines.find_map(|line| line.split_once(" requests in "));
    let (requests, _) = requests.ok_or("wrk says nothing")?;
    let rate = lines.find_map(|line| line.strip_prefix("Requests/sec:"));
    Ok(Load {
        per_second: rate.ok_or("wrk says nothing")?.trim().parse()?,
        per_tick: requests.parse::<f64>()? / ticks.max(1.0),
    })
}

/// Below those that the system gives to connections, so that nobody has one of them meanwhile.
fn free_ports() -> Result<[u16; 3], Failure> {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let ports: Vec<_> = (20_000..30_000).filter(free).take(3).collect();
    let ports = ports.try_into();
    ports.map_err(|_| "no three ports from 20000 to 29999 are free".into())
}

/// A process that ends with this.
struct Running {
    child: Child,
    port: u16,
}

impl Running {
    fn start(mut command: Command, port: u16) -> Result<Self, Failure> {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn()?;
        let running = Self { child, port };
        for _ in 0..500 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(running);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(format!("{command:?} does not listen").into())
    }

    /// The processor time that it has had.
    fn ticks(&self) -> Result<f64, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // After the name, which is in parentheses, come the 3rd field and those after it.
        let (_, fields) = stat.rsplit_once(')').ok_or("no name in /proc")?;
        let fields = fields.split_whitespace();
        let ticks = fields.skip(11).take(2).map(str::parse::<f64>);
        Ok(ticks.sum::<Result<_, _>>()?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
