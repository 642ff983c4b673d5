//! The same stack from a file, and in code.

use crate::inner;
use crate::measure::Runner;
use buttress::{
    Bulkhead, Carried, IncomingAttempt, IncomingDeadline, Pressure, Prioritized, RateLimit,
    Timeout, guard,
};
use buttress_config::Rules;
use std::fmt::Write as _;
use std::time::Duration;
use tower::Layer;

/// The standard, and a route with limits of its own among ten others.
const FILE: &str = r#"
[[server.route]]
match = { path = "/some/{thing}" }
rate_limit = "1000000000/s"
bulkhead = 64
timeout = "1s"
"#;

/// From a file.
pub fn ours() -> Runner {
    let mut file = FILE.to_owned();
    for number in 0..10 {
        let _ = writeln!(
            file,
            "[[server.route]]\nmatch = {{ path = \"/other/{number}\" }}"
        );
    }
    let rules = Rules::from_toml(&file).unwrap();
    Runner::new(rules.server().layer(inner::Http), inner::request)
}

/// In code.
pub fn in_code() -> Runner {
    let deadline = IncomingDeadline::at_most(Duration::from_secs(30)).unwrap();
    let rate = RateLimit::per_second(1_000_000_000).build().unwrap();
    let slots = Bulkhead::builder(64).looking(Carried).build().unwrap();
    let timeout = Timeout::new(Duration::from_secs(1)).unwrap();
    let pressure = Prioritized::new(Pressure::new().unwrap());
    let policies = guard((pressure, rate, slots));
    let layers = (deadline, IncomingAttempt::new(), policies, timeout);
    Runner::new(layers.layer(inner::Http), inner::request)
}
