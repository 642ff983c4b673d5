//! What users of limits per client ran into, each with our layers.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use axum::Router;
use axum::routing::get;
use buttress::RateLimit;
use buttress::key::{client_addr, header, peer};
use common::{serve, serve_with_peers, status};
use reqwest::{Client, StatusCode};
use std::fmt::{Debug, Write};
use std::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

async fn ok() -> &'static str {
    "ok"
}

/// benwis/tower-governor#1 and #28: a limit per client did not compile without
/// `HandleErrorLayer`.
#[tokio::test]
async fn a_limit_per_client_compiles_everywhere() {
    let limit = || RateLimit::per_hour(1).by(peer()).build().unwrap();
    for (place, app) in three_places!(ok, limit()) {
        let url = serve_with_peers(app).await;
        assert_eq!(status(&url).await, StatusCode::OK, "{place}");
        assert_eq!(status(&url).await, StatusCode::TOO_MANY_REQUESTS, "{place}");
    }
}

/// benwis/tower-governor: without `ConnectInfo` every call gets a 500, "Unable To Extract Key!",
/// and nobody is told why. Here the client learns that it is not its mistake, and the log says
/// what to do, once.
#[tokio::test]
async fn a_missing_peer_address_is_explained_to_whom_it_concerns() {
    let (log, logged) = mpsc::channel();
    let _guard = tracing::subscriber::set_default(Log(log));
    let limit = || {
        RateLimit::per_hour(1)
            .named("logins")
            .by(peer())
            .build()
            .unwrap()
    };
    for (place, app) in three_places!(ok, limit()) {
        let url = serve(app).await;
        for _ in 0..3 {
            let response = common::get(&url).await;
            assert_eq!(
                response.status(),
                StatusCode::SERVICE_UNAVAILABLE,
                "{place}"
            );
            let body = response.text().await.unwrap();
            assert!(body.contains("cannot tell who makes the call"), "{body}");
            assert!(
                !body.contains("ConnectInfo") && !body.contains("logins"),
                "{body}"
            );
        }
        let messages: Vec<_> = logged.try_iter().collect();
        assert_eq!(messages.len(), 1, "{place}: {messages:?}");
        assert!(
            messages[0].contains("into_make_service_with_connect_info::<SocketAddr>()"),
            "{messages:?}"
        );
        assert!(messages[0].contains("logins"), "{messages:?}");
    }
}

/// Passes errors on as text. The test's runtime has one thread, so that the server's are seen.
struct Log(mpsc::Sender<String>);

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        let _ = self.0.send(fields.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, "{field}={value:?} ");
    }
}

/// The same with a header that the client should have sent: its own mistake, and so a 400.
#[tokio::test]
async fn a_missing_header_is_a_bad_request() {
    let key = header("x-api-key").unwrap();
    let limit = RateLimit::per_hour(1).by(key).build().unwrap();
    let url = serve(Router::new().route("/", get(ok)).layer(limit)).await;
    assert_eq!(status(&url).await, StatusCode::BAD_REQUEST);
    let client = Client::new();
    for (key, expected) in [
        ("one", StatusCode::OK),
        ("two", StatusCode::OK),
        ("one", StatusCode::TOO_MANY_REQUESTS),
    ] {
        let response = client.get(&url).header("x-api-key", key).send();
        assert_eq!(response.await.unwrap().status(), expected);
    }
}

/// A spoofed `X-Forwarded-For` that passes limits.
#[tokio::test]
async fn a_made_up_header_gets_nobody_past_the_limit() {
    let networks = client_addr().trusted_proxies(["10.0.0.0/8"]).unwrap();
    let hops = client_addr().trusted_hops(1).unwrap();
    let app = Router::new()
        .route(
            "/none",
            get(ok).layer(RateLimit::per_hour(1).by(client_addr()).build().unwrap()),
        )
        .route(
            "/networks",
            get(ok).layer(RateLimit::per_hour(1).by(networks).build().unwrap()),
        )
        .route(
            "/hops",
            get(ok).layer(RateLimit::per_hour(1).by(hops).build().unwrap()),
        );
    let url = serve_with_peers(app).await;
    let client = Client::new();
    for path in ["none", "networks", "hops"] {
        let mut passed = 0;
        for number in 0..5 {
            // What the client makes up, and for the proxy's sake what the proxy appends.
            let said = format!("203.0.113.{number}, 198.51.100.7");
            let call = client
                .get(format!("{url}/{path}"))
                .header("x-forwarded-for", said);
            passed += u32::from(call.send().await.unwrap().status() == StatusCode::OK);
        }
        assert_eq!(passed, 1, "{path}");
    }
}
