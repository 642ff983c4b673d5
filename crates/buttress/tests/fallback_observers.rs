//! A fallback hides nothing from those who run the service.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]
#![allow(
    clippy::disallowed_types,
    reason = "the test's own records are not in a hot path"
)]

use buttress::{
    Admission, Fallback, Never, Now, Outcome, Permit, Plain, Policy, Rejection, StaleIfError, guard,
};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tower::{BoxError, Layer, ServiceExt, service_fn};
use tracing::Level;

/// Writes down how calls went, as a breaker would.
#[derive(Clone, Default)]
struct Record(Arc<Mutex<Vec<Outcome>>>);

impl Permit for Record {
    fn complete(self, outcome: Outcome, _: &Now) {
        self.0.lock().unwrap().push(outcome);
    }
}

impl<C: ?Sized> Policy<C> for Record {
    type Permit = Self;
    type Waiting = Never;

    fn admit(&self, _: &C, _: &Now) -> Admission<Self, Never> {
        Admission::Admitted(self.clone())
    }

    fn poll_admit(
        &self,
        waiting: &mut Never,
        _: &C,
        _: &Now,
        _: &mut Context<'_>,
    ) -> Poll<Result<Self, Rejection>> {
        match *waiting {}
    }
}

async fn unwell(_: Request<Empty<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::from("a body that nobody reads"));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    Ok(response)
}

#[tokio::test]
async fn a_policy_inside_a_fallback_sees_the_failure() {
    let record = Record::default();
    let instead = Fallback::value(Response::new(Bytes::new()));
    let service = (instead, guard(record.clone())).layer(service_fn(unwell));
    let response = service.oneshot(Request::default()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(*record.0.lock().unwrap(), [Outcome::Failure]);
}

#[tokio::test]
async fn a_policy_inside_stale_if_error_sees_the_failure() {
    let record = Record::default();
    let stale = StaleIfError::builder().unless_told(Duration::from_secs(1));
    let stale = stale.build().unwrap();
    let well = stale.layer(service_fn(|_: Request<Empty<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("kept")))
    }));
    let response = well.oneshot(Request::default()).await.unwrap();
    response.into_body().collect().await.unwrap();
    let service = (stale, guard(record.clone())).layer(service_fn(unwell));
    let response = service.oneshot(Request::default()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(*record.0.lock().unwrap(), [Outcome::Failure]);
}

/// Counts events of Buttress by level.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<Level>>>);

impl tracing::Subscriber for Events {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("buttress")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        self.0.lock().unwrap().push(*event.metadata().level());
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn each_time_there_is_one_event_and_it_is_at_debug_level() {
    let events = Events::default();
    let _listening = tracing::subscriber::set_default(events.clone());
    let layer = Fallback::value(0).protocol(Plain::new());
    let service = layer.layer(service_fn(|number: u64| async move {
        if number == 0 {
            return Err::<u64, BoxError>("down".into());
        }
        Ok(number)
    }));
    for request in [1, 0, 1, 0] {
        service.clone().oneshot(request).await.unwrap();
    }
    assert_eq!(*events.0.lock().unwrap(), [Level::DEBUG, Level::DEBUG]);
}
