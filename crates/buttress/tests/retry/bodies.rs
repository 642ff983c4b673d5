//! Requests with bodies.

use crate::script::{AnswerBody, Callee};
use buttress::Retry;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use std::convert::Infallible;
use tower::{Layer, ServiceExt};

pub(crate) fn text(text: &'static str) -> AnswerBody {
    Full::new(Bytes::from_static(text.as_bytes()))
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn put<B>(body: B) -> Request<B> {
    Request::put("http://example.com/").body(body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_body_is_sent_again_with_its_trailers_and_without_clone() {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", "7".parse().unwrap());
    let parts = ["one", "two"].map(|part| Ok(Frame::data(Bytes::from_static(part.as_bytes()))));
    let frames = parts
        .into_iter()
        .chain([Ok::<_, Infallible>(Frame::trailers(trailers.clone()))]);
    // A stream that is not `Clone`.
    let body = StreamBody::new(futures_util::stream::iter(frames.collect::<Vec<_>>()));
    let callee = Callee::new()
        .then_status(503)
        .then_status(502)
        .then_status(200);
    let service = Retry::new().layer(callee.clone());
    let answer = service.oneshot(put(body)).await.unwrap();
    assert_eq!(answer.status(), 200);
    let asked = callee.asked();
    assert_eq!(asked.len(), 3);
    for attempt in asked {
        assert_eq!(attempt.body, "onetwo");
        assert_eq!(attempt.trailers.as_ref(), Some(&trailers));
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_bound_is_sent_and_not_retried() {
    let retry = Retry::builder().replay_limit(1_000).build().unwrap();
    for (length, expected) in [(1_000, 3), (1_001, 1)] {
        let callee = Callee::new().then_status(503);
        let body = Full::new(Bytes::from(vec![7; length]));
        let answer = retry
            .layer(callee.clone())
            .oneshot(put(body))
            .await
            .unwrap();
        assert_eq!(answer.status(), 503);
        let asked = callee.asked();
        assert_eq!(asked.len(), expected, "{length}");
        assert!(asked.iter().all(|attempt| attempt.body.len() == length));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_before_the_body_was_sent_is_not_retried() {
    let callee = Callee::new().then_status(503).without_reading();
    let body = Full::new(Bytes::from_static(b"unread"));
    let service = Retry::new().layer(callee.clone());
    let answer = service.clone().oneshot(put(body)).await.unwrap();
    assert_eq!((answer.status().as_u16(), callee.times()), (503, 1));
    // Unless there is nothing to send.
    let _ = service
        .oneshot(put(Full::<Bytes>::default()))
        .await
        .unwrap();
    assert_eq!(callee.times(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_answer_whose_body_has_begun_is_passed_on() {
    let failing = || {
        let frames = [
            Ok(Frame::data(Bytes::from_static(b"one"))),
            Err("the connection broke".into()),
        ];
        let body = StreamBody::new(futures_util::stream::iter(frames));
        let answer = crate::script::status(200, &[]);
        Ok(answer.map(|_| body.boxed_unsync()))
    };
    let callee = Callee::new().then(failing);
    let answer = Retry::new()
        .layer(callee.clone())
        .oneshot(crate::script::get());
    let answer = answer.await.unwrap();
    assert!(answer.into_body().collect().await.is_err());
    assert_eq!(callee.times(), 1);
}
