//! One job, from the queue to its result.

use super::answer::{BROKEN, Kept, RESULT_TOO_LARGE, WAITED_TOO_LONG};
use super::future::{Unread, poll_whole};
use super::store::Reserved;
use crate::clock;
use crate::guard::Line;
use crate::shed::Arrived;
use buttress_core::{Policy, Slots};
use bytes::BytesMut;
use http::{Request, Response};
use http_body::Body;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use tokio::runtime::Handle;
use tower_service::Service;

/// What a job holds from its acceptance on.
pub(super) enum Place {
    Slot(<Slots as Policy<()>>::Permit),
    Turn(<Slots as Policy<()>>::Waiting),
}

pub(super) fn spawn<S, B, R>(
    runtime: &Handle,
    reserved: Reserved,
    id: u128,
    place: Place,
    service: S,
    request: Request<B>,
) where
    S: Service<Request<B>, Response = Response<R>> + Send + 'static,
    S::Error: Send,
    S::Future: Send,
    B: Send + 'static,
    R: Body + Send,
    R::Data: Send,
    R::Error: Send,
{
    let shared = Arc::clone(reserved.shared());
    let its = Arc::clone(&shared);
    let unfinished = Unfinished {
        reserved,
        id,
        kept: None,
    };
    let task = runtime.spawn(async move {
        let slot = match place {
            Place::Slot(slot) => Ok(slot),
            Place::Turn(turn) => {
                let mut line = pin!(Line::new(shared.slots.clone(), turn, ()));
                poll_fn(|context| line.as_mut().poll(context)).await.1
            }
        };
        let Ok(slot) = slot else {
            return unfinished.end(Kept::failed(&WAITED_TOO_LONG));
        };
        shared.store.runs(id);
        let kept = run(service, request, shared.max_body).await;
        drop(slot);
        unfinished.end(kept);
    });
    its.store.started(id, task.abort_handle());
}

async fn run<S, B, R>(mut service: S, mut request: Request<B>, max_body: usize) -> Kept
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body,
{
    // It has waited as it was meant to: what sheds calls that waited for too long is not to count
    // that.
    if let Some(arrived) = request.extensions_mut().get_mut::<Arrived>() {
        *arrived = Arrived::at(clock::now());
    }
    let ready = poll_fn(|context| service.poll_ready(context)).await;
    let answer = match ready {
        Ok(()) => service.call(request).await,
        Err(error) => Err(error),
    };
    let Ok(response) = answer else {
        return Kept::failed(&BROKEN);
    };
    let (head, body) = response.into_parts();
    let (mut body, mut read) = (pin!(body), BytesMut::new());
    let whole = poll_fn(|context| poll_whole(body.as_mut(), &mut read, max_body, context)).await;
    match whole {
        Ok(body) => Kept::of(head, body),
        Err(Unread::TooLarge) => Kept::failed(&RESULT_TOO_LARGE),
        Err(Unread::Broken) => Kept::failed(&BROKEN),
    }
}

/// Sees to it that a job has a result, also if it panics or its runtime ends.
struct Unfinished {
    reserved: Reserved,
    id: u128,
    kept: Option<Kept>,
}

impl Unfinished {
    fn end(mut self, kept: Kept) {
        self.kept = Some(kept);
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let kept = self.kept.take();
        let kept = kept.unwrap_or_else(|| Kept::failed(&BROKEN));
        self.reserved.shared().store.finish(self.id, kept);
    }
}
