//! What the callee said when it was well stands in for it when it is not, and only then.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use buttress::fallback::StoodIn;
use buttress::{Bulkhead, Reason, Rejection, SettingError, StaleIfError};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, StreamBody};
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::advance;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

type Frames = StreamBody<stream::BoxStream<'static, Result<Frame<Bytes>, BoxError>>>;
type Asked = Request<Empty<Bytes>>;

const PERMITTED: &str = "max-age=60, stale-if-error=300";

fn body(parts: &[&'static str], end: Option<Result<Frame<Bytes>, BoxError>>) -> Frames {
    let parts: Vec<_> = parts
        .iter()
        .map(|part| Ok(Frame::data(Bytes::from_static(part.as_bytes()))))
        .collect();
    StreamBody::new(Box::pin(stream::iter(parts.into_iter().chain(end))))
}

fn answer(fields: &[(&'static str, &'static str)]) -> Response<Frames> {
    let mut response = Response::builder();
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    response.body(body(&["well, ", "thank you"], None)).unwrap()
}

/// A callee that can be unwell.
#[derive(Clone)]
struct Callee {
    layer: StaleIfError,
    well: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
}

impl Callee {
    fn new(layer: StaleIfError) -> Self {
        Self {
            layer,
            well: Arc::new(AtomicBool::new(true)),
            calls: Arc::default(),
        }
    }

    fn is_well(&self, well: bool) {
        self.well.store(well, Ordering::SeqCst);
    }

    /// Asks, and reads the body to its end. `well` is the answer if it is well, `unwell` else.
    async fn ask_for(
        &self,
        request: Asked,
        well: impl FnOnce() -> Response<Frames>,
        unwell: impl FnOnce() -> Result<Response<Frames>, BoxError>,
    ) -> Result<Response<String>, BoxError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let result = if self.well.load(Ordering::SeqCst) {
            Ok(well())
        } else {
            unwell()
        };
        let mut result = Some(result);
        let mut service = self
            .layer
            .layer(service_fn(move |_: Asked| ready(result.take().unwrap())));
        let response = service.ready().await?.call(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Response::from_parts(
            head,
            String::from_utf8(body.to_vec())?,
        ))
    }

    async fn ask(
        &self,
        request: Asked,
        fields: &[(&'static str, &'static str)],
    ) -> Response<String> {
        let unwell = || Ok(status(503));
        self.ask_for(request, || answer(fields), unwell)
            .await
            .unwrap()
    }

    /// Whether something stale is given once the callee is unwell.
    async fn has_kept(&self, request: Asked) -> bool {
        self.is_well(false);
        let response = self.ask(request, &[]).await;
        self.is_well(true);
        response.status() == StatusCode::OK
    }
}

fn status(code: u16) -> Response<Frames> {
    let mut response = Response::new(body(&["unwell"], None));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

fn request(method: Method, fields: &[(&'static str, &'static str)]) -> Asked {
    let mut request = Request::builder()
        .method(method)
        .uri("http://example.com/how-are-you");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(Empty::new()).unwrap()
}

fn get(fields: &[(&'static str, &'static str)]) -> Asked {
    request(Method::GET, fields)
}

fn kept() -> Callee {
    Callee::new(StaleIfError::builder().build().unwrap())
}

const DIRECTIVE: &[(&str, &str)] = &[("cache-control", PERMITTED)];

#[tokio::test(start_paused = true)]
async fn the_last_good_answer_stands_in_with_its_age_and_a_note() {
    let callee = kept();
    let fields = [
        ("cache-control", PERMITTED),
        ("age", "7"),
        ("etag", "\"x\""),
        ("connection", "x-hop"),
        ("x-hop", "gone"),
    ];
    let first = callee.ask(get(&[]), &fields).await;
    assert_eq!(first.headers()["age"], "7");
    assert_eq!(first.headers()["x-hop"], "gone");
    assert!(first.extensions().get::<StoodIn>().is_none());
    advance(Duration::from_secs(100)).await;
    callee.is_well(false);
    let stale = callee.ask(get(&[("user-agent", "another")]), &[]).await;
    assert_eq!(
        (stale.status(), stale.body().as_str()),
        (StatusCode::OK, "well, thank you")
    );
    assert_eq!(stale.headers()["age"], "107");
    assert_eq!(stale.headers()["etag"], "\"x\"");
    assert!(!stale.headers().contains_key("x-hop"));
    assert!(!stale.headers().contains_key("warning"));
    let note = stale.extensions().get::<StoodIn>().unwrap();
    assert_eq!(note.status(), Some(StatusCode::SERVICE_UNAVAILABLE));
    // It is no cache: the callee was asked both times.
    assert_eq!(callee.calls.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn it_is_used_as_long_as_it_says_and_no_longer() {
    let callee = kept();
    callee.ask(get(&[]), DIRECTIVE).await;
    advance(Duration::from_secs(360)).await;
    assert!(callee.has_kept(get(&[])).await);
    advance(Duration::from_secs(1)).await;
    assert!(!callee.has_kept(get(&[])).await);
}

#[tokio::test(start_paused = true)]
async fn the_users_longest_time_caps_what_the_answer_says() {
    let builder = StaleIfError::builder().longest(Duration::from_secs(10));
    let callee = Callee::new(builder.build().unwrap());
    callee.ask(get(&[]), DIRECTIVE).await;
    advance(Duration::from_secs(70)).await;
    assert!(callee.has_kept(get(&[])).await);
    advance(Duration::from_secs(1)).await;
    assert!(!callee.has_kept(get(&[])).await);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_says_nothing_is_kept_only_if_the_user_says_so() {
    let callee = kept();
    callee.ask(get(&[]), &[]).await;
    assert!(!callee.has_kept(get(&[])).await);
    let builder = StaleIfError::builder().unless_told(Duration::from_secs(10));
    let callee = Callee::new(builder.build().unwrap());
    callee.ask(get(&[]), &[]).await;
    advance(Duration::from_secs(10)).await;
    assert!(callee.has_kept(get(&[])).await);
}

#[tokio::test(start_paused = true)]
async fn errors_refusals_and_the_four_statuses_are_failures_and_nothing_else_is() {
    for (code, stands_in) in [
        (500, true),
        (502, true),
        (503, true),
        (504, true),
        (501, false),
        (429, false),
        (404, false),
    ] {
        let callee = kept();
        callee.ask(get(&[]), DIRECTIVE).await;
        callee.is_well(false);
        let answer = callee
            .ask_for(get(&[]), || status(200), || Ok(status(code)))
            .await
            .unwrap();
        assert_eq!(answer.status() == StatusCode::OK, stands_in, "{code}");
    }
    let callee = kept();
    callee.ask(get(&[]), DIRECTIVE).await;
    callee.is_well(false);
    let rejection = Rejection::new(Reason::CircuitOpen, "breaker");
    let error = || Err(rejection.into());
    let answer = callee
        .ask_for(get(&[]), || status(200), error)
        .await
        .unwrap();
    let note = answer.extensions().get::<StoodIn>().unwrap();
    assert_eq!((note.status(), note.rejection()), (None, Some(&rejection)));
    let mistake = || Err(Rejection::new(Reason::BadDeadline, "deadline").into());
    assert!(
        callee
            .ask_for(get(&[]), || status(200), mistake)
            .await
            .is_err()
    );
    let refused = || {
        let mut response = status(429);
        response
            .extensions_mut()
            .insert(Rejection::new(Reason::RateLimited, "limit"));
        Ok(response)
    };
    let answer = callee
        .ask_for(get(&[]), || status(200), refused)
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_for_everybody_is_not_kept() {
    for (name, value) in [
        ("cache-control", "private, stale-if-error=300"),
        ("cache-control", "no-store, stale-if-error=300"),
        ("cache-control", "no-cache, stale-if-error=300"),
        ("cache-control", "must-revalidate, stale-if-error=300"),
        ("vary", "*"),
        ("vary", "user-agent"),
        ("set-cookie", "a=b"),
        ("content-length", "5"),
    ] {
        let callee = Callee::new(
            StaleIfError::builder()
                .unless_told(Duration::from_secs(9))
                .build()
                .unwrap(),
        );
        callee.ask(get(&[]), &[(name, value)]).await;
        assert!(!callee.has_kept(get(&[])).await, "{name}: {value}");
    }
    for (name, value) in [
        ("authorization", "Bearer x"),
        ("cookie", "a=b"),
        ("range", "bytes=0-0"),
        ("if-none-match", "\"x\""),
        ("cache-control", "no-store"),
    ] {
        let callee = kept();
        callee.ask(get(&[(name, value)]), DIRECTIVE).await;
        assert!(callee.layer.is_empty(), "{name}");
        callee.ask(get(&[]), DIRECTIVE).await;
        assert!(!callee.has_kept(get(&[(name, value)])).await, "{name}");
    }
    let callee = kept();
    callee.ask(request(Method::HEAD, &[]), DIRECTIVE).await;
    assert!(callee.layer.is_empty());
}

#[tokio::test(start_paused = true)]
async fn another_variant_gets_nothing() {
    let callee = kept();
    callee
        .ask(get(&[("accept-language", "de")]), DIRECTIVE)
        .await;
    assert!(!callee.has_kept(get(&[("accept-language", "fr")])).await);
    assert!(callee.has_kept(get(&[("accept-language", "de")])).await);
}

#[tokio::test(start_paused = true)]
async fn a_request_says_how_old_an_answer_it_wants() {
    let callee = kept();
    callee.ask(get(&[]), DIRECTIVE).await;
    advance(Duration::from_secs(100)).await;
    for (control, stands_in) in [
        ("max-age=100", true),
        ("max-age=99", false),
        ("stale-if-error=40", true),
        ("stale-if-error=39", false),
        ("no-cache", false),
    ] {
        let with = callee.ask_variant(control).await;
        assert_eq!(with, stands_in, "{control}");
    }
}

impl Callee {
    async fn ask_variant(&self, control: &'static str) -> bool {
        self.has_kept(get(&[("cache-control", control)])).await
    }
}

#[tokio::test(start_paused = true)]
async fn what_changes_the_resource_or_shows_it_changed_removes_what_was_kept() {
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let callee = kept();
        callee.ask(get(&[]), DIRECTIVE).await;
        // One that fails changes nothing.
        callee.is_well(false);
        callee.ask(request(method.clone(), &[]), &[]).await;
        callee.is_well(true);
        assert!(callee.has_kept(get(&[])).await);
        callee.ask(request(method.clone(), &[]), &[]).await;
        assert!(!callee.has_kept(get(&[])).await, "{method}");
    }
    for (code, removes) in [
        (200, true),
        (301, true),
        (404, true),
        (410, true),
        (429, false),
        (501, false),
    ] {
        let callee = kept();
        callee.ask(get(&[]), DIRECTIVE).await;
        let later = || status(code);
        callee
            .ask_for(get(&[]), later, || Ok(status(503)))
            .await
            .unwrap();
        assert_eq!(callee.has_kept(get(&[])).await, !removes, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_whole_bodies_are_kept_and_frames_pass_through_as_they_were() {
    let with = |body: Frames| {
        let response = Response::builder().header("cache-control", PERMITTED);
        response.body(body).unwrap()
    };
    let callee = kept();
    let broken = || with(body(&["half"], Some(Err("broken".into()))));
    let unwell = || Ok(status(503));
    assert!(callee.ask_for(get(&[]), broken, unwell).await.is_err());
    let trailers = || with(body(&["all"], Some(Ok(Frame::trailers(HeaderMap::new())))));
    callee.ask_for(get(&[]), trailers, unwell).await.unwrap();
    assert!(callee.layer.is_empty());

    // Dropped half-way.
    let layer = callee.layer.clone();
    let service = layer.layer(service_fn(move |_: Asked| {
        ready(Ok::<_, BoxError>(with(body(&["one", "two"], None))))
    }));
    let response = service.clone().oneshot(get(&[])).await.unwrap();
    let mut half = response.into_body();
    let frame = half.frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "one");
    drop(half);
    assert!(layer.is_empty());
    // To the end.
    let mut whole = service.oneshot(get(&[])).await.unwrap().into_body();
    for part in ["one", "two"] {
        assert_eq!(
            whole.frame().await.unwrap().unwrap().into_data().unwrap(),
            part
        );
    }
    assert!(whole.frame().await.is_none());
    assert_eq!(layer.len(), 1);
    layer.clear();
    assert!(layer.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_bound_passes_through_and_is_not_kept() {
    let builder = StaleIfError::builder().max_body(100).max_bytes(10_000);
    let callee = Callee::new(builder.build().unwrap());
    let large = || {
        let response = Response::builder().header("cache-control", PERMITTED);
        response.body(body(&["0123456789"; 20], None)).unwrap()
    };
    let response = callee
        .ask_for(get(&[]), large, || Ok(status(503)))
        .await
        .unwrap();
    assert_eq!(response.body().len(), 200);
    assert!(callee.layer.is_empty());
}

#[tokio::test(start_paused = true)]
async fn neither_bytes_nor_entries_pass_their_bounds() {
    let builder = StaleIfError::builder()
        .max_entries(10)
        .max_bytes(100_000)
        .max_body(10_000);
    let layer = builder.build().unwrap();
    let service = layer.layer(service_fn(|_: Asked| async {
        Ok::<_, BoxError>(answer(DIRECTIVE))
    }));
    for number in 0..200 {
        let request = Request::get(format!("http://example.com/{number}"));
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        response.into_body().collect().await.unwrap();
        assert!(layer.len() <= 10 && layer.bytes() <= 100_000);
    }
    assert!(!layer.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_layer_further_in_gets_its_slot_back_when_something_stale_is_given() {
    let slots = Bulkhead::new(1).unwrap();
    let stale = StaleIfError::builder().build().unwrap();
    let well = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&well);
    let callee = service_fn(move |_: Asked| {
        let well = state.load(Ordering::SeqCst);
        ready(Ok::<_, std::convert::Infallible>(if well {
            answer(DIRECTIVE)
        } else {
            status(500)
        }))
    });
    let service = (stale, slots.clone()).layer(callee);
    let first = service.clone().oneshot(get(&[])).await.unwrap();
    first.into_body().collect().await.unwrap();
    well.store(false, Ordering::SeqCst);
    let stale = service.oneshot(get(&[])).await.unwrap();
    assert_eq!((stale.status(), slots.in_flight()), (StatusCode::OK, 0));
    assert_eq!(stale.body().size_hint().exact(), Some(15));
}

#[test]
fn nonsense_is_refused_by_name() {
    let field = |result: Result<StaleIfError, SettingError>| result.map(drop).unwrap_err().field();
    let builder = StaleIfError::builder;
    let (second, too_long) = (
        Duration::from_secs(1),
        Duration::from_secs(400 * 24 * 60 * 60),
    );
    assert_eq!(field(builder().max_body(0).build()), "max_body");
    assert_eq!(field(builder().max_body(u64::MAX).build()), "max_body");
    assert_eq!(field(builder().max_bytes(1_000).build()), "max_bytes");
    assert_eq!(field(builder().max_bytes(u64::MAX).build()), "max_bytes");
    assert_eq!(field(builder().max_entries(0).build()), "max_entries");
    assert_eq!(field(builder().longest(Duration::ZERO).build()), "longest");
    assert_eq!(field(builder().longest(too_long).build()), "longest");
    assert_eq!(
        field(builder().unless_told(Duration::ZERO).build()),
        "unless_told"
    );
    let error = builder().longest(second).unless_told(2 * second).build();
    assert_eq!(
        error.map(drop).unwrap_err().to_string(),
        "`unless_told` is 2s, but must be at most `longest`, 1s"
    );
    let largest = builder()
        .max_entries(u32::MAX)
        .max_bytes(1 << 40)
        .max_body(1 << 39);
    assert!(largest.build().is_ok());
}
