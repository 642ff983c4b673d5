//! What a file says arrives in the settings.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress_config::settings::{KeyBy, Settings};
use buttress_config::{Document, Format};
use std::time::Duration;

fn read(text: &str) -> Settings {
    match Document::parse("test.toml", text, Format::Toml) {
        Ok(document) => document.settings().clone(),
        Err(problems) => panic!("{problems}"),
    }
}

const SAMPLE: &str = r#"
[server.defaults]
deadline = "10s"
timeout = "2s"

[policy.search_pool]
bulkhead = { limit = 64, waiting_room = { places = 16, longest_wait = "50ms" } }

[[server.route]]
match = { method = "GET", path = "/search/{term}", header = { x-tier = "gold" } }
use = ["search_pool"]
rate_limit = { rate = "100/s", burst = 20, by = "header:x-tenant", max_keys = 1000 }
timeout = false

[[server.route]]
match = { grpc = "shop.Orders/Find" }
adaptive_limit = { algorithm = { vegas = { max = 500 } }, priority = true }
rate_limit = { rate = "5 per minute", by = { client_addr = { trusted_hops = 1 } } }

[upstream.payments]
timeout = "3s"
retry = { attempts = 3, backoff = { base = "50ms" }, budget = { share = "20%" } }
circuit_breaker = { failure_rate = 0.5, time_window = "1m30s", consecutive_failures = false }
attempt_timeout = "800ms"
deadline_header = "header:x-request-timeout-ms"
"#;

#[test]
fn a_file_is_read() {
    let settings = read(SAMPLE);
    let server = settings.server.as_ref().unwrap();
    let routes = server.route.as_ref().unwrap();
    let limit = routes[0]
        .policies
        .rate_limit
        .as_ref()
        .unwrap()
        .on()
        .unwrap();
    assert_eq!(limit.rate.calls, 100);
    assert!(
        matches!(limit.key.by.as_deref(), Some(KeyBy::Header(name)) if name.as_str() == "x-tenant")
    );
    assert!(routes[0].policies.timeout.as_ref().unwrap().on().is_none());
    let payments = settings.upstream.as_ref().unwrap().get("payments").unwrap();
    let timeout = payments.timeout.as_ref().unwrap().on().unwrap();
    assert_eq!(*timeout.headers, Duration::from_secs(3));
}
