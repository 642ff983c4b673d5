//! What is the same, what may be shared, and bodies.

use super::{Calls, MILLISECOND, SECOND, spawn};
use buttress::{Bulkhead, Coalesce, MissingKey, Reason, Rejection, Timeout, by_fn};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, StreamBody};
use std::convert::Infallible;
use tokio::task::yield_now;
use tokio::time::sleep;
use tower::{BoxError, Layer, Service, service_fn};

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

#[cfg(feature = "axum")]
#[tokio::test(start_paused = true)]
async fn nested_routers_that_see_the_same_path_do_not_share() {
    use axum::{Router, body::Body, routing::get};
    use buttress::{Fallback, StaleIfError};

    async fn name(name: &'static str) -> &'static str {
        sleep(SECOND).await;
        name
    }
    let coalesce = Coalesce::builder().build().unwrap();
    let inner = |answer| {
        let route = get(move || name(answer)).layer(coalesce.clone());
        Router::new().route("/name", route)
    };
    let instead = Fallback::value(Response::new(Bytes::from_static(b"nobody")));
    let stale = StaleIfError::builder().build().unwrap();
    let router = Router::new()
        .nest("/a", inner("a"))
        .nest("/b", inner("b"))
        .layer((instead, stale));
    let ask = |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        spawn(&router, request)
    };
    let all = ["/a/name", "/b/name", "/a/name", "/b/name"].map(ask);
    sleep(MILLISECOND).await;
    assert_eq!(coalesce.in_flight(), 2);
    let mut answers = Vec::new();
    for answer in join_all(all).await {
        let body = answer.unwrap().unwrap().into_body().collect().await;
        answers.push(body.unwrap().to_bytes());
    }
    assert_eq!(answers, ["a", "b", "a", "b"]);
}
