//! What is logged of changes by hand. `tracing` remembers for the process whether anybody listens to
//! an event, so nothing else may be logged beside it.
#![cfg(feature = "admin")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use axum::body::Body;
use buttress_config::{Admin, Rules};
use http::{Request, header};
use serde_json::json;
use tower::ServiceExt;

const FILE: &str = r#"
[[server.route]]
match = { method = "GET", path = "/search" }
bulkhead = 7
"#;

/// What is logged while `work` runs, on this thread.
mod log {
    use parking_lot::Mutex;
    use std::fmt::Write as _;
    use std::sync::Arc;
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    #[derive(Clone, Default)]
    pub(super) struct Log(pub(super) Arc<Mutex<String>>);

    struct Fields<'a>(&'a mut String);

    impl Visit for Fields<'_> {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            let _ = write!(self.0, "{field}={value:?} ");
        }
    }

    impl Subscriber for Log {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            event.record(&mut Fields(&mut self.0.lock()));
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }
}

#[tokio::test]
async fn each_change_is_logged_with_who_what_before_and_after() {
    let log = log::Log::default();
    let _logged = tracing::subscriber::set_default(log.clone());
    let admin = Admin::new(Rules::from_toml(FILE).unwrap());
    let router = admin.token("oncall", "secret").unwrap().router();
    let body = json!({ "policy": "route GET /search/bulkhead", "shadow": true });
    let request = Request::post("/shadow")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, "Bearer secret")
        .body(Body::from(body.to_string()))
        .unwrap();
    assert_eq!(router.oneshot(request).await.unwrap().status(), 200);
    let text = log.0.lock().clone();
    for part in [
        "who=oncall",
        "what=\"shadow\"",
        "before=enforced",
        "after=shadow",
        "search/bulkhead",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("secret"), "{text}");
}
