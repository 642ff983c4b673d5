//! Hedging of HTTP.

use crate::callee::{Act, Body, call, freely, full, http, request};
use bytes::Bytes;
use http::HeaderMap;
use http::Method;
use http::Request;
use http_body::Frame;
use http_body_util::BodyExt;
use http_body_util::StreamBody;

const SLOW: &[Act] = &[http(1_000, 200), http(10, 200)];

#[tokio::test(start_paused = true)]
async fn only_what_is_safe_to_repeat_is_hedged() {
    for (method, hedged) in [
        (Method::GET, true),
        (Method::PUT, true),
        (Method::POST, false),
    ] {
        let (log, _, took) = call(freely(), SLOW, request(method)).await;
        assert_eq!(log.all().len(), 1 + usize::from(hedged));
        assert_eq!(took, if hedged { 60 } else { 1_000 });
    }
    let mut keyed = request(Method::POST);
    let key = "\"a key\"".parse().unwrap();
    keyed.headers_mut().insert("idempotency-key", key);
    assert_eq!(call(freely(), SLOW, keyed).await.2, 60);
    let safe = freely().repeats_if(|request: &Request<Body>| request.uri().path() == "/");
    assert_eq!(call(safe, SLOW, request(Method::POST)).await.2, 60);
    let every = freely().repeats_all();
    assert_eq!(call(every, SLOW, request(Method::POST)).await.2, 60);
}

#[tokio::test(start_paused = true)]
async fn a_hedge_is_the_same_request_body_and_trailers_included() {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", 7.into());
    let frames = [
        Ok(Frame::data(Bytes::from_static(b"two "))),
        Ok(Frame::data(Bytes::from_static(b"parts"))),
        Ok(Frame::trailers(trailers)),
    ];
    let body = StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
    let request = request(Method::PUT).map(|_| body);
    let (log, _, took) = call(freely(), SLOW, request).await;
    assert_eq!(took, 60);
    let seen = log.all();
    assert_eq!(seen.len(), 2);
    for seen in seen {
        assert_eq!(seen.body, "two parts");
        assert_eq!(seen.headers["x-kept"], "kept");
        assert_eq!(seen.trailers.unwrap()["x-checksum"], "7");
        // HTTP has no header for it.
        assert_eq!(seen.headers.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_long_is_sent_and_not_hedged() {
    let long = || request(Method::PUT).map(|_| full(&[7; 100]));
    let (log, _, took) = call(freely().replay_limit(99), SLOW, long()).await;
    assert_eq!((log.all().len(), took), (1, 1_000));
    assert_eq!(log.all()[0].body.len(), 100);
    let (log, _, took) = call(freely().replay_limit(100), SLOW, long()).await;
    assert_eq!((log.all().len(), took), (2, 60));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_still_being_sent_is_waited_for() {
    let slow_reader = Act {
        reads_after: 70,
        ..http(1_000, 200)
    };
    let acts = [slow_reader, http(10, 200)];
    let put = request(Method::PUT).map(|_| full(b"body"));
    let (log, _, _) = call(freely(), &acts, put).await;
    // Looked for after 50 ms, and 1, 2, 4, 8 and 16 ms later.
    assert_eq!(log.times(), [0, 81]);
}

#[tokio::test(start_paused = true)]
async fn an_http_failure_of_a_hedge_hurts_nobody() {
    let acts = [http(100, 200), http(10, 503)];
    let (log, status, took) = call(freely(), &acts, request(Method::GET)).await;
    assert_eq!((log.all().len(), status.as_str(), took), (2, "200", 100));
    let acts = [http(60, 500), http(100, 204)];
    let (_, status, took) = call(freely(), &acts, request(Method::GET)).await;
    assert_eq!((status.as_str(), took), ("204", 150));
}

#[tokio::test(start_paused = true)]
async fn pushback_brings_no_hedge_forward_that_is_not_asked_for() {
    for (pushback, third) in [("0", 100), ("200", 260)] {
        let busy = Act {
            pushback: Some(pushback),
            ..http(10, 503)
        };
        let acts = [http(400, 200), busy, http(10, 200)];
        let hedge = freely().attempts(3);
        let (log, status, _) = call(hedge, &acts, request(Method::GET)).await;
        assert_eq!((log.times(), status.as_str()), (vec![0, 50, third], "200"));
    }
}
