//! Rule 17: what works with tower's layer of the same job works with ours.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress::{Bulkhead, Hedge, Plain, Timeout};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::sleep;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

/// The most calls that are ever inside at once, of twenty at once, and how many succeed.
async fn crowd<L, S>(layer: L) -> (usize, usize)
where
    L: Layer<tower::util::BoxCloneService<u32, u32, BoxError>, Service = S>,
    S: Service<u32, Response = u32, Error = BoxError, Future: Send> + Clone + Send + 'static,
{
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let highest = Arc::clone(&most);
    let service = service_fn(move |number: u32| {
        let (inside, most) = (Arc::clone(&inside), Arc::clone(&most));
        async move {
            most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            sleep(Duration::from_millis(10)).await;
            inside.fetch_sub(1, Ordering::SeqCst);
            Ok::<_, BoxError>(number)
        }
    });
    let service = layer.layer(tower::util::BoxCloneService::new(service));
    let calls: Vec<_> = (0..20)
        .map(|n| tokio::spawn(service.clone().oneshot(n)))
        .collect();
    let mut succeeded = 0;
    for call in calls {
        succeeded += usize::from(call.await.unwrap().is_ok());
    }
    (highest.load(Ordering::SeqCst), succeeded)
}

/// tower's limit lets everybody wait in `poll_ready`; ours does with a waiting room.
#[tokio::test(start_paused = true)]
async fn a_bulkhead_with_room_does_what_a_concurrency_limit_does() {
    let theirs = crowd(GlobalConcurrencyLimitLayer::new(3)).await;
    let ours = Bulkhead::builder(3).waiting_room(20, Duration::from_secs(60));
    let ours = crowd(ours.build().unwrap().protocol(Plain::new())).await;
    assert_eq!((theirs, ours), ((3, 20), (3, 20)));
}

/// tower-http's timeout, with the status that fits.
#[tokio::test(start_paused = true)]
async fn a_timeout_does_what_tower_https_does() {
    async fn slow(request: Request<u64>) -> Result<Response<Full<Bytes>>, Infallible> {
        sleep(Duration::from_millis(*request.body())).await;
        Ok(Response::new(Full::from("in time")))
    }
    let longest = Duration::from_millis(100);
    let late = StatusCode::GATEWAY_TIMEOUT;
    for time in [0, 50, 99, 150, 60_000] {
        let theirs = tower_http::timeout::TimeoutLayer::with_status_code(late, longest);
        let theirs = theirs.layer(service_fn(slow)).oneshot(Request::new(time));
        let ours = Timeout::new(longest).unwrap().layer(service_fn(slow));
        let ours = ours.oneshot(Request::new(time));
        let statuses = (theirs.await.unwrap().status(), ours.await.unwrap().status());
        assert_eq!(statuses.0, statuses.1, "{time} ms");
    }
}

/// tower's policy for hedges: what is even may be sent twice.
#[derive(Clone)]
struct Even;

impl tower::hedge::Policy<u64> for Even {
    fn clone_request(&self, request: &u64) -> Option<u64> {
        Some(*request).filter(|request| request % 2 == 0)
    }

    fn can_retry(&self, _: &u64) -> bool {
        true
    }
}

/// tower's hedge, which knows no fixed delay; its latencies are all 10 ms.
#[tokio::test(start_paused = true)]
async fn a_hedge_does_what_towers_does() {
    // The first attempt takes as many milliseconds as the request says, and a second one a third.
    let service = |attempts: &Arc<AtomicUsize>| {
        let attempts = Arc::clone(attempts);
        service_fn(move |request: u64| {
            let attempt = attempts.fetch_add(1, Ordering::SeqCst);
            async move {
                sleep(Duration::from_millis(request / [1, 3][attempt])).await;
                Ok::<_, BoxError>(attempt)
            }
        })
    };
    let hour = Duration::from_secs(3_600);
    for request in [0, 8, 12, 13, 30, 31, 1_000, 1_001] {
        let (one, other) = (Arc::default(), Arc::default());
        let theirs = tower::hedge::Hedge::new_with_mock_latencies(
            service(&one),
            Even,
            10,
            0.9,
            hour,
            &[10; 10],
        );
        let ours = Hedge::builder()
            .after(Duration::from_millis(10))
            .extra_load(1.0)
            .repeats_if(|request: &u64| request.is_multiple_of(2));
        let ours = ours.build().unwrap().protocol(Plain::new());
        let begin = tokio::time::Instant::now();
        let theirs = theirs.oneshot(request).await.unwrap();
        let their_time = begin.elapsed();
        let begin = tokio::time::Instant::now();
        let ours = ours.layer(service(&other)).oneshot(request).await.unwrap();
        let our_time = begin.elapsed();
        assert_eq!((theirs, their_time), (ours, our_time), "{request} ms");
        assert_eq!(
            one.load(Ordering::SeqCst),
            other.load(Ordering::SeqCst),
            "{request} ms"
        );
    }
}
