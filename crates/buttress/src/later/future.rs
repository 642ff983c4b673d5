use super::answer::{Kept, KeptBody, Problem, QUEUED, REQUEST_BROKEN, REQUEST_TOO_LARGE, accepted};
use super::job::{Place, spawn};
use super::service::refusal;
use super::store::Reserved;
use crate::clock;
use buttress_core::{Admission, Now, Policy, Reason, Rejection};
use bytes::{Bytes, BytesMut};
use http::{Request, Response, request};
use http_body::Body;
use pin_project::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_service::Service;

/// The future of a call that is accepted: it reads the request's body and puts the job into the
/// queue.
///
/// # Cancellation
///
/// Dropping it before it has answered gives the place in the queue back, and there is no job.
#[pin_project]
pub struct LaterFuture<S, B> {
    #[pin]
    state: State<S, B>,
}

#[pin_project(project = StateProjection)]
enum State<S, B> {
    Reading {
        #[pin]
        body: B,
        read: BytesMut,
        rest: Option<Rest<S>>,
    },
    Answered(Option<Response<KeptBody>>),
}

/// What the job needs, until there is one.
struct Rest<S> {
    service: S,
    reserved: Reserved,
    head: request::Parts,
}

impl<S, B> LaterFuture<S, B> {
    pub(super) fn answered(response: Response<KeptBody>) -> Self {
        Self {
            state: State::Answered(Some(response)),
        }
    }

    pub(super) fn accept(service: S, reserved: Reserved, request: Request<B>) -> Self {
        let (head, body) = request.into_parts();
        Self {
            state: State::Reading {
                body,
                read: BytesMut::new(),
                rest: Some(Rest {
                    service,
                    reserved,
                    head,
                }),
            },
        }
    }
}

impl<S, B, R> Future for LaterFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>> + Send + 'static,
    S::Error: Send,
    S::Future: Send,
    B: Body + From<Bytes> + Send + 'static,
    R: Body + Send,
    R::Data: Send,
    R::Error: Send,
{
    type Output = Result<Response<KeptBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        let answer = match state.as_mut().project() {
            StateProjection::Answered(answer) => {
                return answer
                    .take()
                    .map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer)));
            }
            StateProjection::Reading { body, read, rest } => {
                let Some(max_body) = rest.as_ref().map(|rest| rest.reserved.shared().max_body)
                else {
                    return Poll::Pending;
                };
                let result = ready!(poll_whole(body, read, max_body, context));
                let Some(rest) = rest.take() else {
                    return Poll::Pending;
                };
                match result {
                    Ok(body) => rest.submit::<B, R>(body),
                    Err(Unread::TooLarge) => problem(&REQUEST_TOO_LARGE),
                    Err(Unread::Broken) => problem(&REQUEST_BROKEN),
                }
            }
        };
        state.set(State::Answered(None));
        Poll::Ready(Ok(answer))
    }
}

impl<S> Rest<S> {
    fn submit<B, R>(mut self, body: Bytes) -> Response<KeptBody>
    where
        S: Service<Request<B>, Response = Response<R>> + Send + 'static,
        S::Error: Send,
        S::Future: Send,
        B: From<Bytes> + Send + 'static,
        R: Body + Send,
        R::Data: Send,
        R::Error: Send,
    {
        let shared = self.reserved.shared();
        let name = shared.name;
        // Its caller does not wait for the job.
        self.head.extensions.remove::<crate::Deadline>();
        let request = Request::from_parts(self.head, B::from(body));
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return refusal(request, Rejection::new(Reason::Overloaded, name));
        };
        // Whoever has reserved a place finds one.
        let place = match shared.slots.admit(&(), &Now::lazy(clock::now)) {
            Admission::Admitted(slot) => Place::Slot(slot),
            Admission::Wait(turn) => Place::Turn(turn),
            Admission::Refused(rejection) => return refusal(request, rejection),
        };
        let Ok(id) = shared.store.add() else {
            return refusal(request, Rejection::new(Reason::Draining, name));
        };
        let location = shared.location(id);
        spawn(&runtime, self.reserved, id, place, self.service, request);
        accepted(QUEUED, Some(location))
    }
}

fn problem(problem: &'static Problem) -> Response<KeptBody> {
    Kept::failed(problem).response()
}

/// Why a body was not read to its end.
#[derive(Debug)]
pub(super) enum Unread {
    TooLarge,
    Broken,
}

/// Reads a body to its end, if that comes before `most` bytes are over.
pub(super) fn poll_whole<B: Body>(
    mut body: Pin<&mut B>,
    read: &mut BytesMut,
    most: usize,
    context: &mut Context<'_>,
) -> Poll<Result<Bytes, Unread>> {
    use bytes::Buf;
    if body.size_hint().lower() > most as u64 {
        return Poll::Ready(Err(Unread::TooLarge));
    }
    loop {
        match ready!(body.as_mut().poll_frame(context)) {
            None => return Poll::Ready(Ok(to_size(std::mem::take(read)))),
            Some(Err(_)) => return Poll::Ready(Err(Unread::Broken)),
            Some(Ok(frame)) => {
                // Trailers are not kept.
                let Ok(mut data) = frame.into_data() else {
                    continue;
                };
                if read.len() + data.remaining() > most {
                    return Poll::Ready(Err(Unread::TooLarge));
                }
                while data.has_remaining() {
                    let length = data.chunk().len();
                    read.extend_from_slice(data.chunk());
                    data.advance(length);
                }
            }
        }
    }
}

/// Without the room that it has grown for: it is kept for long, and in numbers.
fn to_size(read: BytesMut) -> Bytes {
    if read.len() == read.capacity() {
        read.freeze()
    } else {
        Bytes::copy_from_slice(&read)
    }
}

impl<S, B> fmt::Debug for LaterFuture<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaterFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body::Frame;
    use http_body_util::StreamBody;
    use std::convert::Infallible;
    use std::future::poll_fn;
    use std::pin::pin;

    #[tokio::test]
    async fn a_body_that_is_kept_has_no_spare_room() {
        // What has grown has room for twice as much as it needs, or nearly so.
        let frames = [40, 1, 0].map(|length| {
            let data = Bytes::from(vec![b'x'; length]);
            Ok::<_, Infallible>(Frame::data(data))
        });
        let mut body = pin!(StreamBody::new(futures_util::stream::iter(frames)));
        let mut read = BytesMut::new();
        let whole = poll_fn(|context| poll_whole(body.as_mut(), &mut read, 64, context)).await;
        // Without a copy: the vector is the one that was kept.
        let whole = Vec::from(whole.unwrap());
        assert_eq!((whole.len(), whole.capacity()), (41, 41));
        assert_eq!(read.capacity(), 0);
    }
}
