//! A service with a true capacity, and more calls than it can serve, with the layers and without.
//!
//! Eight calls are worked on at once, for 20 ms each: 400 a second. Most of that time is a wait, as
//! for a database, and a part is computing; so two processors carry the service at its capacity and
//! ten times as many calls, and what limits it is the service, not the machine. All that comes on top
//! stands in a queue that nobody declared, as in any service.
//!
//! The calls come over sockets, at random times, whatever becomes of the ones before. A caller waits
//! for 200 ms. It then gives up, and the service does not know: what it has taken on it goes on with,
//! though nobody waits for it any more. That is how most services behave once a call has reached a
//! pool of threads or a database, and it is what ruins them: nearly everything that is worked on is
//! too late.

mod chart;
mod load;
mod service;

pub use chart::chart;
pub use load::{Went, offer};
pub use service::{Meter, Server, protected, unprotected};

use std::fmt::Write;
use std::time::Duration;
use tower::BoxError;

/// Calls that are worked on at once, and how long each takes.
pub const SLOTS: usize = 8;
/// How long a call takes.
pub const WORK: Duration = Duration::from_millis(20);
/// How long a caller waits.
pub const PATIENCE: Duration = Duration::from_millis(200);

/// What the service can do: calls a second.
pub const CAPACITY: f64 = SLOTS as f64 / 0.020;

/// Multiples of the capacity.
pub const LOADS: [f64; 5] = [0.5, 1.0, 2.0, 5.0, 10.0];

/// One run: a service that has just been started, and a load.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The load, as a multiple of the capacity.
    pub load: f64,
    /// With the layers, or without.
    pub protected: bool,
    /// What came of it.
    pub went: Went,
    /// How long the layers took for a refusal: the middle one, if there were any.
    pub refusal: Option<Duration>,
}

/// Starts a service, sends it `load` for `time`, and counts all but the first quarter of that: until
/// then a limit may still be finding itself, and a queue filling.
///
/// # Errors
///
/// There is no port to listen on, or a connection fails.
pub async fn run(load: f64, with_layers: bool, time: Duration) -> Result<Run, BoxError> {
    let meter = Meter::default();
    let app = if with_layers {
        protected(&meter)?
    } else {
        unprotected()
    };
    let server = Server::start(app).await?;
    let went = offer(&server, load * CAPACITY, time, time / 4).await?;
    Ok(Run {
        load,
        protected: with_layers,
        went,
        refusal: meter.median(),
    })
}

/// Everything, without the layers first. `tell` hears of each run as soon as it is over.
///
/// # Errors
///
/// There is no port to listen on, or a connection fails.
pub async fn run_all(time: Duration, mut tell: impl FnMut(&Run)) -> Result<Vec<Run>, BoxError> {
    let mut runs = Vec::new();
    for protected in [false, true] {
        for load in LOADS {
            let run = run(load, protected, time).await?;
            tell(&run);
            runs.push(run);
        }
    }
    Ok(runs)
}

/// The goodput of the best run: calls a second.
pub fn peak(runs: &[Run]) -> f64 {
    let goodputs = runs.iter().map(|run| run.went.goodput());
    goodputs.fold(0.0, f64::max)
}

/// What the slowest hundredth takes at least, at half of the capacity and without any layer.
pub fn unloaded(runs: &[Run]) -> Option<Duration> {
    let least = |run: &&Run| !run.protected && run.load < 1.0;
    runs.iter().find(least).and_then(|run| run.went.p99)
}

/// One line of JSON for each run. What there is no number for is `null`: nobody was answered in
/// time, or nobody was refused.
pub fn json(runs: &[Run]) -> String {
    let (peak, unloaded) = (peak(runs), unloaded(runs));
    let mut lines = String::new();
    for run in runs {
        let Run {
            load, protected, ..
        } = run;
        let goodput = number((peak > 0.0).then(|| run.went.goodput() / peak));
        let slowest = run.went.p99.zip(unloaded);
        let slowest = number(slowest.map(|(p99, unloaded)| p99.div_duration_f64(unloaded)));
        let refusal = number(run.refusal.map(|refusal| refusal.as_secs_f64() * 1e6));
        // To write to a string cannot fail.
        let _ = writeln!(
            lines,
            r#"{{"load":{load},"protected":{protected},"goodput_of_peak":{goodput},"p99_of_unloaded":{slowest},"refusal_us":{refusal}}}"#
        );
    }
    lines
}

fn number(number: Option<f64>) -> String {
    number.map_or_else(|| "null".to_owned(), |number| format!("{number:.2}"))
}
