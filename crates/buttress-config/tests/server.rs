//! The servers that a file protects.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use buttress_config::{Document, Format, Reload, Rules, standard_server};
use http::{Request, StatusCode};
use std::time::Duration;
use tower::ServiceExt;

fn parse(text: &str) -> Document {
    Document::parse("test", text, Format::Toml).unwrap()
}

async fn status(app: &Router, path: &str) -> StatusCode {
    let request = Request::get(path).body(Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap().status()
}

async fn sleeps() -> &'static str {
    tokio::time::sleep(Duration::from_secs(5)).await;
    "late"
}

fn app() -> Router {
    Router::new()
        .route("/users/{id}", get(sleeps))
        .route("/quick", get(|| async { "quick" }))
}

#[tokio::test(start_paused = true)]
async fn each_route_goes_by_its_rule_and_the_others_by_the_defaults() {
    let rules = Rules::from_toml(
        r#"
        [server.defaults]
        timeout = "10s"

        [[server.route]]
        match = { path = "/users/{id}" }
        timeout = "1s"

        [[server.route]]
        match = { path = "/users/7" }
        timeout = false
        "#,
    )
    .unwrap();
    let app = app().layer(rules.server());
    assert_eq!(status(&app, "/users/1").await, 504);
    assert_eq!(status(&app, "/quick").await, 200);
    // Outside of the router, the path is what counts; and on a route, axum's template.
    let outside = Router::new().fallback_service(
        tower::ServiceBuilder::new()
            .layer(rules.server())
            .service(self::app()),
    );
    assert_eq!(status(&outside, "/users/7").await, 200);
    assert_eq!(status(&outside, "/users/1").await, 504);
}

#[tokio::test(start_paused = true)]
async fn the_standard_server_bounds_calls_at_thirty_seconds() {
    let forever = || async { std::future::pending::<()>().await };
    let app = Router::new()
        .route("/", get(forever))
        .layer(standard_server().unwrap());
    let start = tokio::time::Instant::now();
    assert_eq!(status(&app, "/").await, 504);
    assert_eq!(start.elapsed(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn routes_share_what_they_name_and_nothing_else() {
    let rules = Rules::from_toml(
        r#"
        [policy.pool]
        bulkhead = 1

        [[server.route]]
        match = { path = "/a" }
        use = ["pool"]

        [[server.route]]
        match = { path = "/b" }
        use = ["pool"]

        [[server.route]]
        match = { path = "/c" }
        bulkhead = 1

        [[server.route]]
        match = { path = "/d" }
        bulkhead = 1
        "#,
    )
    .unwrap();
    let app = ["/a", "/b", "/c", "/d"]
        .into_iter()
        .fold(Router::new(), |app, path| app.route(path, get(sleeps)))
        .layer(rules.server());
    let both = |one, other| {
        let app = app.clone();
        async move { tokio::join!(status(&app, one), status(&app, other)) }
    };
    assert_eq!(
        both("/a", "/b").await,
        (StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE)
    );
    assert_eq!(both("/c", "/d").await, (StatusCode::OK, StatusCode::OK));
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_stay_counted_when_a_bulkhead_changes_its_size() {
    let file = |limit: u32| parse(&format!("[server.defaults]\nbulkhead = {limit}"));
    let rules = Rules::new(file(2)).unwrap();
    let app = app().layer(rules.server());
    let call = |path: &'static str| {
        let app = app.clone();
        tokio::spawn(async move { status(&app, path).await })
    };
    let (first, second) = (call("/users/1"), call("/users/2"));
    tokio::task::yield_now().await;
    assert_eq!(rules.replace(file(3)), Ok(Reload::Changed));
    let third = call("/users/3");
    tokio::task::yield_now().await;
    assert_eq!(
        status(&app, "/quick").await,
        503,
        "two from before, one since"
    );
    assert_eq!(rules.replace(file(1)), Ok(Reload::Changed));
    assert_eq!(status(&app, "/quick").await, 503);
    for call in [first, second, third] {
        assert_eq!(call.await.unwrap(), 200, "nobody is interrupted");
    }
    assert_eq!(status(&app, "/quick").await, 200);
}

#[tokio::test(start_paused = true)]
async fn an_unrelated_edit_refills_no_rate_limit() {
    let file = |timeout: &str| {
        let text =
            format!("[server.defaults]\ntimeout = \"{timeout}\"\nrate_limit = \"2 per hour\"");
        parse(&text)
    };
    let rules = Rules::new(file("1s")).unwrap();
    let app = app().layer(rules.server());
    assert_eq!(status(&app, "/quick").await, 200);
    assert_eq!(rules.replace(file("2s")), Ok(Reload::Changed));
    assert_eq!(status(&app, "/quick").await, 200);
    assert_eq!(rules.replace(file("3s")), Ok(Reload::Changed));
    assert_eq!(status(&app, "/quick").await, 429);
}

#[tokio::test(start_paused = true)]
async fn a_shadow_is_switched_by_the_file_and_stays_what_it_was_made_by_hand() {
    let file = |shadow: bool, timeout: &str| {
        let rate = format!("rate_limit = {{ rate = \"1 per hour\", shadow = {shadow} }}");
        parse(&format!(
            "[server.defaults]\ntimeout = \"{timeout}\"\n{rate}"
        ))
    };
    let rules = Rules::new(file(true, "1s")).unwrap();
    let app = app().layer(rules.server());
    assert_eq!(status(&app, "/quick").await, 200);
    assert_eq!(status(&app, "/quick").await, 200);
    let of_rate = |rules: &Rules| {
        let found = rules
            .policies()
            .into_iter()
            .find(|status| status.kind == "rate_limit");
        found.unwrap()
    };
    assert_eq!(of_rate(&rules).would_have_refused, 1);
    assert!(!of_rate(&rules).enforced);
    rules.replace(file(false, "1s")).unwrap();
    assert_eq!(
        status(&app, "/quick").await,
        429,
        "with what it had counted"
    );
    rules.replace(file(false, "2s")).unwrap();
    assert!(of_rate(&rules).enforced);
}

#[tokio::test(start_paused = true)]
async fn what_is_said_about_a_routes_criticality_reaches_the_handler() {
    let rules = Rules::from_toml(
        "[[server.route]]\nmatch = { path = \"/report\" }\ncriticality = \"SHEDDABLE\"",
    );
    let handler = |request: axum::extract::Request| async move {
        buttress::Criticality::of(request.extensions()).name()
    };
    let app = Router::new()
        .route("/report", get(handler))
        .route("/other", get(handler))
        .layer(rules.unwrap().server());
    for (path, expected) in [("/report", "SHEDDABLE"), ("/other", "CRITICAL")] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), 100)
            .await
            .unwrap();
        assert_eq!(body, expected);
    }
}
