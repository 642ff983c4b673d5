use super::body::{CoalesceBody, Replay};
use super::protocol::Leader;
use crate::clock;
use crate::room::Taken;
use crate::timer::{Alarm, Step, has_passed};
use bytes::{Buf, Bytes};
use http::{HeaderMap, Response, response::Parts};
use http_body::Body;
use pin_project::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// A whole answer, for all that asked for it.
pub struct Shared {
    head: Parts,
    frames: Vec<Bytes>,
    trailers: Option<HeaderMap>,
    room: Arc<Taken>,
}

impl Shared {
    pub(super) fn response<B: Body>(&self) -> Response<CoalesceBody<B>> {
        let body = Replay::new(self.frames.clone(), Arc::clone(&self.room));
        let body = body.trailers(self.trailers.clone());
        Response::from_parts(self.head.clone(), CoalesceBody::replay(body))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// Reads the body of a leader's response for all that follow it.
#[pin_project]
pub struct Collect<B: Body> {
    reading: Option<Reading<B>>,
    until: Option<Instant>,
    #[pin]
    alarm: Alarm,
}

struct Reading<B> {
    // Before the lead: the call is over before another one makes it.
    body: Pin<Box<B>>,
    leader: Leader,
    head: Parts,
    frames: Vec<Bytes>,
    trailers: Option<HeaderMap>,
    room: Taken,
}

/// Why there is no more to read.
enum End<E> {
    Whole,
    Broken(E),
    TooLong,
}

impl<B: Body<Data: From<Bytes>>> Collect<B> {
    pub(super) fn new(response: Response<B>, leader: Leader) -> Self {
        let (head, body) = response.into_parts();
        let room = Taken::nothing(Arc::clone(&leader.settings().room));
        Self {
            reading: Some(Reading {
                body: Box::pin(body),
                leader,
                head,
                frames: Vec::new(),
                trailers: None,
                room,
            }),
            until: None,
            alarm: Alarm::new(),
        }
    }
}

impl<B: Body<Data: From<Bytes>>> Future for Collect<B> {
    type Output = Response<CoalesceBody<B>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (reading, until) = (this.reading, this.until);
        let end = ready!(this.alarm.poll(context, |context| {
            let Some(reading) = reading else {
                return Step::PendingUntil(None);
            };
            if let Poll::Ready(end) = reading.read(context) {
                return Step::Done(end);
            }
            let wait = reading.leader.settings().body_wait;
            // A year at most, so that this does not overflow any platform's clock.
            let until = *until.get_or_insert_with(|| clock::now() + wait);
            if has_passed(until) {
                return Step::Done(End::TooLong);
            }
            Step::PendingUntil(Some(until))
        }));
        match reading.take() {
            Some(reading) => Poll::Ready(reading.finish(end)),
            None => Poll::Pending,
        }
    }
}

impl<B: Body<Data: From<Bytes>>> Reading<B> {
    fn read(&mut self, context: &mut Context<'_>) -> Poll<End<B::Error>> {
        while self.trailers.is_none() && !self.body.is_end_stream() {
            let frame = match ready!(self.body.as_mut().poll_frame(context)) {
                None => break,
                Some(Err(error)) => return Poll::Ready(End::Broken(error)),
                Some(Ok(frame)) => frame,
            };
            match frame.into_data() {
                Ok(mut data) => {
                    // `Bytes` gives its own away without a copy.
                    let data = data.copy_to_bytes(data.remaining());
                    let length = data.len();
                    self.frames.push(data);
                    if !self.room.frame(length) {
                        return Poll::Ready(End::TooLong);
                    }
                }
                Err(frame) => self.trailers = frame.into_trailers().ok(),
            }
        }
        Poll::Ready(End::Whole)
    }

    /// Tells the followers, and answers the leader's own caller.
    fn finish(self, end: End<B::Error>) -> Response<CoalesceBody<B>> {
        let Self {
            body,
            leader,
            head,
            frames,
            trailers,
            room,
        } = self;
        let room = Arc::new(room);
        let replay = match end {
            End::Whole => {
                // What the call holds is free before anybody hears of its end.
                drop(body);
                leader.land(Arc::new(Shared {
                    head: head.clone(),
                    frames: frames.clone(),
                    trailers: trailers.clone(),
                    room: Arc::clone(&room),
                }));
                Replay::new(frames, room).trailers(trailers)
            }
            End::Broken(error) => {
                drop(body);
                leader.fail();
                Replay::new(frames, room).error(error)
            }
            End::TooLong => {
                leader.release();
                Replay::new(frames, room).rest(body)
            }
        };
        Response::from_parts(head, CoalesceBody::replay(replay))
    }
}

impl<B: Body> fmt::Debug for Collect<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collect").finish_non_exhaustive()
    }
}
