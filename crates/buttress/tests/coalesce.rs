//! Identical calls under way share one, and nobody waits for somebody who is gone.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use buttress::{
    Bulkhead, Coalesce, MissingKey, Plain, Reason, Rejection, SettingError, Timeout, by_fn,
};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, StreamBody};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::yield_now;
use tokio::time::sleep;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Counts the calls that reach the callee.
#[derive(Clone, Default)]
struct Calls(Arc<AtomicUsize>);

impl Calls {
    fn one_more(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn made(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn key() -> impl Fn(&u64) -> Result<u64, MissingKey> + Clone {
    |call: &u64| {
        if *call == 0 {
            Err(MissingKey::NotSent)
        } else {
            Ok(*call)
        }
    }
}

/// Calls a clone of `service` in a task of its own.
fn spawn<S, Req>(
    service: &S,
    request: Req,
) -> tokio::task::JoinHandle<Result<S::Response, S::Error>>
where
    S: Service<Req, Future: Send, Response: Send, Error: Send> + Clone + Send + 'static,
    Req: Send + 'static,
{
    tokio::spawn(service.clone().oneshot(request))
}

#[tokio::test(start_paused = true)]
async fn calls_with_the_same_key_share_one_and_others_do_not() {
    let calls = Calls::default();
    let counted = calls.clone();
    let callee = service_fn(move |number: u64| {
        let calls = counted.clone();
        async move {
            calls.one_more();
            sleep(SECOND).await;
            Ok::<_, BoxError>(number * 2)
        }
    });
    let coalesce = Coalesce::by(by_fn(key())).build().unwrap();
    let service = coalesce.protocol(Plain::new()).layer(callee);
    let same: Vec<_> = (0..100).map(|_| spawn(&service, 7)).collect();
    let other = spawn(&service, 8);
    let keyless = [spawn(&service, 0), spawn(&service, 0)];
    for answer in join_all(same).await {
        assert_eq!(answer.unwrap().unwrap(), 14);
    }
    assert_eq!(other.await.unwrap().unwrap(), 16);
    assert!(join_all(keyless).await.iter().all(Result::is_ok));
    assert_eq!(calls.made(), 1 + 1 + 2);
    // Not a cache: the next call is made.
    assert_eq!(service.clone().oneshot(7).await.unwrap(), 14);
    assert_eq!((calls.made(), coalesce.in_flight()), (5, 0));
}

/// A callee whose `n`-th call does what `n` says.
fn scripted<F, Fut>(
    calls: &Calls,
    script: F,
) -> impl Service<u64, Response = usize, Error = BoxError, Future: Send> + Clone + Send + Sync + 'static
where
    F: Fn(usize) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<usize, BoxError>> + Send + 'static,
{
    let calls = calls.clone();
    service_fn(move |_: u64| script(calls.one_more()))
}

async fn answer_in_a_second(number: usize) -> Result<usize, BoxError> {
    sleep(SECOND).await;
    Ok(number)
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cancelled_hands_over_and_the_followers_never_know() {
    let calls = Calls::default();
    let coalesce = Coalesce::by(by_fn(key())).build().unwrap();
    let callee = scripted(&calls, answer_in_a_second);
    let service = coalesce.protocol(Plain::new()).layer(callee);
    let leader = spawn(&service, 1);
    yield_now().await;
    let followers: Vec<_> = (0..10).map(|_| spawn(&service, 1)).collect();
    sleep(MILLISECOND).await;
    leader.abort();
    for answer in join_all(followers).await {
        // The second call's, to all.
        assert_eq!(answer.unwrap().unwrap(), 2);
    }
    assert_eq!((calls.made(), coalesce.in_flight()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn leaders_can_go_away_one_after_the_other() {
    let calls = Calls::default();
    let coalesce = Coalesce::by(by_fn(key())).build().unwrap();
    let callee = scripted(&calls, answer_in_a_second);
    let service = coalesce.protocol(Plain::new()).layer(callee);
    let mut all: Vec<_> = (0..10).map(|_| spawn(&service, 1)).collect();
    let last = all.pop().unwrap();
    for leader in all {
        sleep(MILLISECOND).await;
        leader.abort();
    }
    assert_eq!(last.await.unwrap().unwrap(), 10);
    assert_eq!((calls.made(), coalesce.in_flight()), (10, 0));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_panics_hands_over() {
    for in_call in [true, false] {
        let calls = Calls::default();
        let coalesce = Coalesce::by(by_fn(key())).build().unwrap();
        let callee = scripted(&calls, move |number| {
            assert!(
                !in_call || number > 1,
                "the first call panics, as it is told to"
            );
            async move {
                sleep(SECOND).await;
                assert!(number > 1, "the first call panics, as it is told to");
                Ok(number)
            }
        });
        let service = coalesce.protocol(Plain::new()).layer(callee);
        let all: Vec<_> = (0..4).map(|_| spawn(&service, 1)).collect();
        let answers = join_all(all).await;
        let panicked = answers.iter().filter(|answer| answer.is_err()).count();
        assert_eq!(panicked, 1, "in `call`: {in_call}");
        assert!(answers.into_iter().flatten().all(|answer| answer.is_ok()));
        assert_eq!(coalesce.in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_the_leaders_own_and_the_next_one_tries() {
    let calls = Calls::default();
    let coalesce = Coalesce::by(by_fn(key())).build().unwrap();
    let callee = scripted(&calls, |number| async move {
        sleep(SECOND).await;
        if number == 1 {
            Err("down".into())
        } else {
            Ok(number)
        }
    });
    let service = coalesce.protocol(Plain::new()).layer(callee);
    let all: Vec<_> = (0..10).map(|_| spawn(&service, 1)).collect();
    let answers = join_all(all).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 1);
    assert!(answers.iter().flatten().all(|answer| *answer == 2));
    assert_eq!(calls.made(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_callee_that_is_down_is_asked_by_twice_as_many_each_time_and_never_by_all_at_once() {
    let calls = Calls::default();
    let coalesce = Coalesce::by(by_fn(key())).build().unwrap();
    let callee = scripted(&calls, |_| async {
        sleep(SECOND).await;
        Err("down".into())
    });
    let service = coalesce.protocol(Plain::new()).layer(callee);
    let all: Vec<_> = (0..64).map(|_| spawn(&service, 1)).collect();
    let mut made = Vec::new();
    sleep(MILLISECOND).await;
    while calls.made() < 64 {
        made.push(calls.made());
        sleep(SECOND).await;
    }
    assert_eq!(made, [1, 2, 4, 8, 16, 32]);
    let answers = join_all(all).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap().is_err()));
    assert_eq!(coalesce.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_keys_under_way_are_bounded_and_what_finds_no_room_is_made_by_itself() {
    let calls = Calls::default();
    let coalesce = Coalesce::by(by_fn(key())).max_keys(1).build().unwrap();
    let callee = scripted(&calls, answer_in_a_second);
    let service = coalesce.protocol(Plain::new()).layer(callee);
    let all: Vec<_> = [1, 2, 2, 1].map(|call| spawn(&service, call)).into();
    sleep(MILLISECOND).await;
    assert_eq!(coalesce.in_flight(), 1);
    assert!(
        join_all(all)
            .await
            .into_iter()
            .all(|answer| answer.unwrap().is_ok())
    );
    assert_eq!(calls.made(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_follower_calls_the_very_instance_that_was_ready() {
    let calls = Calls::default();
    // tower's limit reserves its slot when it is ready, and panics if it is called unready.
    let callee = tower::limit::ConcurrencyLimit::new(scripted(&calls, answer_in_a_second), 2);
    let coalesce = Coalesce::by(by_fn(key())).build().unwrap();
    let service = coalesce.protocol(Plain::new()).layer(callee);
    let leader = spawn(&service, 1);
    yield_now().await;
    let follower = spawn(&service, 1);
    sleep(MILLISECOND).await;
    leader.abort();
    assert_eq!(follower.await.unwrap().unwrap(), 2);
}

// HTTP

type Chunks = StreamBody<futures_util::stream::BoxStream<'static, Result<Frame<Bytes>, BoxError>>>;

fn get(headers: &[(&'static str, &'static str)]) -> Request<Empty<Bytes>> {
    let mut request = Request::get("http://example.com/popular");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Empty::new()).unwrap()
}

/// A body of `chunks` pieces of `length` bytes, one each millisecond, and trailers.
fn body(chunks: usize, length: usize) -> Chunks {
    let data = futures_util::stream::unfold(0, move |sent| async move {
        sleep(MILLISECOND).await;
        (sent < chunks).then(|| (Ok(Frame::data(Bytes::from(vec![b'x'; length]))), sent + 1))
    });
    let mut trailers = HeaderMap::new();
    trailers.insert("x-trailer", "kept".parse().unwrap());
    let trailers = futures_util::stream::iter([Ok(Frame::trailers(trailers))]);
    StreamBody::new(Box::pin(futures_util::StreamExt::chain(data, trailers)))
}

fn respond(chunks: usize, length: usize) -> Response<Chunks> {
    let response = Response::builder().header("x-answer", "kept");
    response
        .extension(4711_u32)
        .body(body(chunks, length))
        .unwrap()
}

/// A callee that answers after a second.
fn http<F>(
    calls: &Calls,
    answer: F,
) -> impl Service<Request<Empty<Bytes>>, Response = Response<Chunks>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static
where
    F: Fn(usize) -> Response<Chunks> + Clone + Send + Sync + 'static,
{
    let calls = calls.clone();
    service_fn(move |_: Request<Empty<Bytes>>| {
        let (number, answer) = (calls.one_more(), answer.clone());
        async move {
            sleep(SECOND).await;
            Ok(answer(number))
        }
    })
}

async fn length<B: Body<Data = Bytes>>(response: Response<B>) -> Option<usize> {
    response
        .into_body()
        .collect()
        .await
        .ok()
        .map(|body| body.to_bytes().len())
}

#[tokio::test(start_paused = true)]
async fn each_caller_gets_the_whole_answer_and_the_callee_one_call() {
    let calls = Calls::default();
    let coalesce = Coalesce::builder().build().unwrap();
    let service = coalesce.layer(http(&calls, |_| respond(3, 5)));
    let all: Vec<_> = (0..10).map(|_| spawn(&service, get(&[]))).collect();
    for answer in join_all(all).await {
        let response = answer.unwrap().unwrap();
        assert_eq!(response.headers()["x-answer"], "kept");
        assert_eq!(response.extensions().get(), Some(&4711_u32));
        assert_eq!(response.body().size_hint().exact(), Some(15));
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["x-trailer"], "kept");
        assert_eq!(body.to_bytes().len(), 15);
    }
    assert_eq!((calls.made(), coalesce.in_flight()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn requests_that_may_have_another_answer_are_made_by_themselves() {
    for (name, value) in [
        ("authorization", "Bearer x"),
        ("cookie", "session=1"),
        ("range", "bytes=0-0"),
        ("if-none-match", "\"x\""),
    ] {
        let calls = Calls::default();
        let coalesce = Coalesce::builder().build().unwrap();
        let service = coalesce.layer(http(&calls, |_| respond(1, 1)));
        let all = [(); 3].map(|()| spawn(&service, get(&[(name, value)])));
        join_all(all).await;
        assert_eq!(calls.made(), 3, "{name}");
    }
    let calls = Calls::default();
    let coalesce = Coalesce::builder().build().unwrap();
    let service = coalesce.layer(http(&calls, |_| respond(1, 1)));
    let mut post = get(&[]);
    *post.method_mut() = http::Method::POST;
    let all = [
        get(&[("accept", "a")]),
        get(&[("accept", "b")]),
        post,
        get(&[("x-api-key", "a")]),
    ];
    join_all(all.map(|request| spawn(&service, request))).await;
    assert_eq!(calls.made(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_answer_for_one_user_is_not_given_to_another() {
    for (name, value) in [
        ("set-cookie", "session=1"),
        ("cache-control", "private, max-age=5"),
        ("cache-control", "no-store"),
        ("vary", "user-agent"),
        ("vary", "*"),
        ("content-type", "text/event-stream"),
    ] {
        let calls = Calls::default();
        let coalesce = Coalesce::builder().build().unwrap();
        let service = coalesce.layer(http(&calls, move |number| {
            let mut response = respond(1, number);
            response.headers_mut().insert(name, value.parse().unwrap());
            response
        }));
        let all = [(); 3].map(|()| spawn(&service, get(&[])));
        let mut lengths = Vec::new();
        for answer in join_all(all).await {
            lengths.extend(length(answer.unwrap().unwrap()).await);
        }
        lengths.sort_unstable();
        assert_eq!(lengths, [1, 2, 3], "{name}: {value}");
        assert_eq!(coalesce.in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_of_ones_own_decides_alone() {
    let calls = Calls::default();
    let by_tenant = by_fn(|request: &Request<Empty<Bytes>>| {
        let tenant = request.headers().get("authorization");
        tenant.cloned().ok_or(MissingKey::NotSent)
    });
    let coalesce = Coalesce::by(by_tenant).build().unwrap();
    let service = coalesce.layer(http(&calls, |_| {
        let mut response = respond(1, 1);
        response
            .headers_mut()
            .insert("cache-control", "private".parse().unwrap());
        response
    }));
    let all = ["a", "b", "a", "b"].map(|tenant| spawn(&service, get(&[("authorization", tenant)])));
    join_all(all).await;
    assert_eq!(calls.made(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_bound_is_the_leaders_from_its_first_byte() {
    let calls = Calls::default();
    let coalesce = Coalesce::builder().max_body(1_000).build().unwrap();
    let service = coalesce.layer(http(&calls, |_| respond(10, 500)));
    let all = [(); 3].map(|()| spawn(&service, get(&[])));
    for answer in join_all(all).await {
        assert_eq!(length(answer.unwrap().unwrap()).await, Some(5_000));
    }
    assert_eq!((calls.made(), coalesce.in_flight()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn many_small_frames_are_not_for_nothing() {
    let calls = Calls::default();
    let coalesce = Coalesce::builder().max_body(1_000).build().unwrap();
    let service = coalesce.layer(http(&calls, |_| respond(100, 0)));
    join_all([(); 3].map(|()| spawn(&service, get(&[])))).await;
    assert_eq!(calls.made(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_endless_body_holds_nobody_up_for_long() {
    let calls = Calls::default();
    let coalesce = Coalesce::builder().body_wait(SECOND).build().unwrap();
    let service = coalesce.layer(http(&calls, |_| {
        let first = futures_util::stream::iter([Ok(Frame::data(Bytes::from_static(b"hello")))]);
        let never = futures_util::stream::pending();
        let body = futures_util::StreamExt::chain(first, never);
        Response::new(StreamBody::new(Box::pin(body)))
    }));
    let start = tokio::time::Instant::now();
    let all = [(); 3].map(|()| spawn(&service, get(&[])));
    for answer in join_all(all).await {
        let mut body = answer.unwrap().unwrap().into_body();
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "hello");
    }
    // The leader's head, its body's wait, and the followers' heads.
    assert!(start.elapsed() < 4 * SECOND);
    assert_eq!((calls.made(), coalesce.in_flight()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn the_memory_of_all_shared_bodies_is_bounded_until_the_last_reader_is_done() {
    let calls = Calls::default();
    let builder = Coalesce::builder().max_body(1_000).max_memory(1_000);
    let service = builder
        .build()
        .unwrap()
        .layer(http(&calls, |_| respond(1, 900)));
    let held = join_all([(); 2].map(|()| spawn(&service, get(&[])))).await;
    assert_eq!(calls.made(), 1);
    join_all([(); 2].map(|()| spawn(&service, get(&[])))).await;
    assert_eq!(calls.made(), 3, "there is no room, so each makes its own");
    drop(held);
    join_all([(); 2].map(|()| spawn(&service, get(&[])))).await;
    assert_eq!(calls.made(), 4, "there is room again");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_is_the_leaders_and_the_next_one_tries() {
    let calls = Calls::default();
    let coalesce = Coalesce::builder().build().unwrap();
    let service = coalesce.layer(http(&calls, |number| {
        if number > 1 {
            return respond(1, 7);
        }
        let frames = [
            Ok(Frame::data(Bytes::from_static(b"half"))),
            Err("broken".into()),
        ];
        Response::new(StreamBody::new(Box::pin(futures_util::stream::iter(
            frames,
        ))))
    }));
    let all = [(); 3].map(|()| spawn(&service, get(&[])));
    let mut lengths = Vec::new();
    for answer in join_all(all).await {
        lengths.push(length(answer.unwrap().unwrap()).await);
    }
    lengths.sort_unstable();
    assert_eq!(lengths, [None, Some(7), Some(7)]);
    assert_eq!((calls.made(), coalesce.in_flight()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cancelled_while_the_body_comes_hands_over() {
    let calls = Calls::default();
    let coalesce = Coalesce::builder().build().unwrap();
    let service = coalesce.layer(http(&calls, |_| respond(10, 5)));
    let leader = spawn(&service, get(&[]));
    yield_now().await;
    let followers = [(); 3].map(|()| spawn(&service, get(&[])));
    sleep(SECOND + 3 * MILLISECOND).await;
    leader.abort();
    for answer in join_all(followers).await {
        assert_eq!(length(answer.unwrap().unwrap()).await, Some(50));
    }
    assert_eq!((calls.made(), coalesce.in_flight()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_leaders_own_deadline_is_not_its_followers() {
    let calls = Calls::default();
    let coalesce = Coalesce::builder().build().unwrap();
    let counted = calls.clone();
    let callee = service_fn(move |_: Request<Empty<Bytes>>| {
        let number = counted.one_more();
        async move {
            sleep(SECOND).await;
            let mut response = Response::new(Empty::<Bytes>::new());
            if number == 1 {
                let rejection = Rejection::new(Reason::DeadlinePassed, "the leader's");
                response.extensions_mut().insert(rejection);
            }
            Ok::<_, Infallible>(response)
        }
    });
    let service = coalesce.layer(callee);
    let all = [(); 3].map(|()| spawn(&service, get(&[])));
    let answers = join_all(all).await;
    let refused = |response: &Response<_>| response.extensions().get::<Rejection>().is_some();
    let refusals = answers
        .iter()
        .flatten()
        .flatten()
        .filter(|one| refused(one))
        .count();
    assert_eq!((refusals, calls.made()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn followers_of_a_call_within_a_stack_take_one_slot() {
    let calls = Calls::default();
    let slots = Bulkhead::new(1).unwrap();
    let timeout = Timeout::new(5 * SECOND).unwrap();
    let coalesce = Coalesce::builder().build().unwrap();
    let service = (timeout, coalesce, slots.clone()).layer(http(&calls, |_| respond(1, 1)));
    let all: Vec<_> = (0..10).map(|_| spawn(&service, get(&[]))).collect();
    for answer in join_all(all).await {
        assert!(answer.unwrap().unwrap().status().is_success());
    }
    assert_eq!((calls.made(), slots.in_flight()), (1, 0));
}

#[test]
fn nonsense_is_refused_by_name() {
    let field = |result: Result<_, SettingError>| result.map(drop).unwrap_err().field();
    let builder = Coalesce::builder;
    assert_eq!(field(builder().max_keys(0).build()), "max_keys");
    assert_eq!(field(builder().max_keys(u32::MAX).build()), "max_keys");
    assert_eq!(field(builder().max_body(0).build()), "max_body");
    assert_eq!(field(builder().max_body(u64::MAX).build()), "max_body");
    assert_eq!(field(builder().max_memory(5).build()), "max_memory");
    assert_eq!(
        field(builder().body_wait(Duration::ZERO).build()),
        "body_wait"
    );
    let error = builder().max_body(9).max_memory(5).build().map(drop);
    assert_eq!(
        error.unwrap_err().to_string(),
        "`max_memory` is 5, but must be from 9 to 1099511627776"
    );
}
