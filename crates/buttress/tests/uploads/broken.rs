//! Uploads that break off.

use super::{MS, Part, Sent, at_once, breaker, failures, once, part, put};
use buttress::{BrokenRequest, Hedge, Now, Retry, RetryBudget, Timeout};
use bytes::Bytes;
use futures_util::stream::{self, LocalBoxStream, StreamExt};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, StreamBody};
use tokio::time::Instant;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

/// What became of a body that was read: over HTTP/1 a client tells why it failed, and over HTTP/2 only
/// that the stream was reset.
fn told(error: BrokenRequest, tells: bool) -> BoxError {
    if tells {
        error.into()
    } else {
        "the stream was reset".into()
    }
}

fn broken() -> Request<super::Upload> {
    put(at_once([part(), Err("the client is gone".into())]))
}

/// A callee whose connection breaks, at the latest when it has read everything.
fn client(
    tells: bool,
) -> impl Service<Sent, Response = Response<Empty<Bytes>>, Error = BoxError> + Clone {
    service_fn(move |request: Sent| async move {
        match request.into_body().collect().await {
            Ok(_) => Err("the connection broke".into()),
            Err(error) => Err(told(error, tells)),
        }
    })
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_breaks_off_is_not_the_callees_failure_whatever_the_client_says() {
    for tells in [true, false] {
        let breaker = breaker();
        let service = (once(), breaker.clone()).layer(client(tells));
        for _ in 0..30 {
            assert!(service.clone().oneshot(broken()).await.is_err());
        }
        assert_eq!(failures(&breaker), 0, "{tells}");
        assert!(service.oneshot(put(at_once([part()]))).await.is_err());
        assert_eq!(failures(&breaker), 1, "{tells}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_breaks_off_after_the_answers_headers_is_not_the_callees_failure() {
    for (tells, kind, status) in [
        (true, "text/plain", 200),
        (false, "text/plain", 200),
        (true, "application/grpc", 200),
        (false, "application/grpc", 200),
        (false, "text/plain", 500),
    ] {
        let breaker = breaker();
        let echo = service_fn(move |request: Sent| async move {
            let parts = request.into_body().into_data_stream();
            let parts = parts.map(move |part| match part {
                Ok(part) => Ok(http_body::Frame::data(part)),
                Err(error) => Err(told(error, tells)),
            });
            let after: LocalBoxStream<'static, Part> = parts
                .chain(stream::iter([Err("it broke".into())]))
                .boxed_local();
            let answer = Response::builder().status(status);
            Ok::<_, BoxError>(
                answer
                    .header("content-type", kind)
                    .body(StreamBody::new(after))?,
            )
        });
        let attempt = Timeout::per_attempt(100 * MS).unwrap();
        let service = (once(), breaker.clone(), attempt).layer(echo);
        let send = async |request| {
            let answer = service.clone().oneshot(request).await.unwrap();
            assert!(answer.into_body().collect().await.is_err());
        };
        for _ in 0..5 {
            send(broken()).await;
        }
        // What the callee has said already, it has said.
        let said = if status == 500 { 5 } else { 0 };
        assert_eq!(failures(&breaker), said, "{tells} {kind} {status}");
        if status == 200 {
            send(put(at_once([part()]))).await;
            assert_eq!(failures(&breaker), 1, "{tells} {kind}");
        }
    }
}

/// Or clients that go away could keep others' calls from being retried.
#[tokio::test(start_paused = true)]
async fn uploads_that_break_off_cost_no_tokens() {
    let left = |budget: &RetryBudget| budget.left(&Now::at(Instant::now().into_std()));
    for tells in [true, false] {
        let budget = RetryBudget::tokens(10_000, 100).unwrap();
        let retry = Retry::builder().budget(budget.clone());
        let anything = retry.clone().retry_on(|_| true).build().unwrap();
        let hedge = Hedge::builder().after(10 * MS).budget(budget.clone());
        let full = left(&budget);
        for _ in 0..20 {
            let retry = retry.clone().build().unwrap().layer(client(tells));
            assert!(retry.oneshot(broken()).await.is_err());
            let anything = anything.clone().layer(client(tells));
            assert!(anything.oneshot(broken()).await.is_err());
            let hedge = hedge.clone().build().unwrap().layer(client(tells));
            assert!(hedge.oneshot(broken()).await.is_err());
        }
        assert_eq!(left(&budget), full, "{tells}");
        let whole = retry.build().unwrap().layer(client(tells));
        assert!(whole.oneshot(put(at_once([part()]))).await.is_err());
        assert!(left(&budget) < full, "{tells}");
    }
}
