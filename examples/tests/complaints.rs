//! What users of other libraries ran into, each with our layers: over real sockets, in all three
//! places where axum takes layers, without `HandleErrorLayer` and without `Buffer`.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use axum::Router;
use axum::extract::ConnectInfo;
use axum::handler::Handler;
use axum::routing::get;
use buttress::key::{client_addr, header, peer};
use buttress::{Bulkhead, RateLimit, Timeout};
use reqwest::{Client, StatusCode};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// Serves, and returns the address.
async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

/// The same, such that handlers know the peer.
async fn serve_with_peers(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    format!("http://{address}")
}

/// A call on a connection of its own.
async fn status(url: &str) -> StatusCode {
    let client = Client::builder().pool_max_idle_per_host(0).build().unwrap();
    client.get(url).send().await.unwrap().status()
}

async fn ok() -> &'static str {
    "ok"
}

/// tokio-rs/axum#278, #2634 and tower-rs/tower#764: tower's rate limit is not `Clone`, so it does
/// not compile around an axum service; with a `Buffer` it compiles, and each connection or route
/// has a limit of its own. A cap of 5 a second let 1500 through.
#[tokio::test]
async fn a_rate_limit_compiles_everywhere_and_holds_over_all_connections() {
    let limit = RateLimit::per_hour(6).build().unwrap();
    let url = serve(
        Router::new()
            .route("/handler", get(ok.layer(limit.clone())))
            .route("/method", get(ok).layer(limit.clone()))
            .route("/router", get(ok))
            .route_layer(limit.clone())
            .merge(Router::new().route("/other", get(ok)).layer(limit.clone())),
    )
    .await;
    // `route_layer` stands around the first three routes, so two of them count twice.
    for path in ["handler", "method", "router", "other"] {
        assert_eq!(status(&format!("{url}/{path}")).await, StatusCode::OK);
    }
    for path in ["handler", "method", "router", "other"] {
        let status = status(&format!("{url}/{path}")).await;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    }
}

/// tower-rs/tower#712 and tokio-rs/axum#2582: a concurrency limit that is made anew for each
/// connection or route limits nothing.
#[tokio::test]
async fn a_bulkhead_compiles_everywhere_and_is_one_limit() {
    let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let holds = {
        let (entered, leave) = (Arc::clone(&entered), Arc::clone(&leave));
        move || async move {
            entered.notify_one();
            leave.notified().await;
            "done"
        }
    };
    let slots = Bulkhead::new(3).unwrap();
    let url = serve(
        Router::new()
            .route("/handler", get(holds.clone().layer(slots.clone())))
            .route("/method", get(holds.clone()).layer(slots.clone()))
            .merge(
                Router::new()
                    .route("/router", get(holds))
                    .layer(slots.clone()),
            ),
    )
    .await;
    let mut held = Vec::new();
    for path in ["handler", "method", "router"] {
        let url = format!("{url}/{path}");
        held.push(tokio::spawn(async move { status(&url).await }));
        entered.notified().await;
    }
    for path in ["handler", "method", "router"] {
        let status = status(&format!("{url}/{path}")).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(slots.in_flight(), 3);
    // A waiter on the notification may not have arrived yet: each is let go until it is gone.
    for call in held {
        let done = async { call.await.unwrap() };
        let mut done = std::pin::pin!(done);
        let status = loop {
            leave.notify_one();
            tokio::select! {
                status = &mut done => break status,
                () = tokio::task::yield_now() => {}
            }
        };
        assert_eq!(status, StatusCode::OK);
    }
}

/// tokio-rs/axum#345 and #876: a timeout needed `HandleErrorLayer`, and around a single handler a
/// type that did not compile.
#[tokio::test]
async fn a_timeout_compiles_everywhere_and_answers_by_itself() {
    let timeout = Timeout::new(Duration::from_millis(50)).unwrap();
    let never = || std::future::pending::<&'static str>();
    let url = serve(
        Router::new()
            .route("/handler", get(never.layer(timeout)))
            .route("/method", get(never).layer(timeout))
            .merge(Router::new().route("/router", get(never)).layer(timeout)),
    )
    .await;
    for path in ["handler", "method", "router"] {
        let status = status(&format!("{url}/{path}")).await;
        assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
    }
}

/// benwis/tower-governor: without `ConnectInfo` every call is a 500 with "Unable To Extract Key".
#[tokio::test]
async fn a_limit_per_client_works_with_connect_info_and_says_so_without() {
    let limited = || {
        let limit = RateLimit::per_hour(1).by(peer()).build().unwrap();
        Router::new().route("/", get(ok)).layer(limit)
    };
    let with = serve_with_peers(limited()).await;
    assert_eq!(status(&with).await, StatusCode::OK);
    assert_eq!(status(&with).await, StatusCode::TOO_MANY_REQUESTS);

    // The log says what to do; the client learns that it is not its mistake.
    let without = serve(limited()).await;
    let response = reqwest::get(&without).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body = response.text().await.unwrap();
    assert!(body.contains("cannot tell who makes the call"), "{body}");
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
        )
        .route(
            "/who",
            get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() }),
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
