//! What a leader's call holds.

use buttress::{Coalesce, Plain, by_fn};
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::Empty;
use parking_lot::Mutex;
use std::future::{poll_fn, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use tower::{BoxError, Layer, Service, service_fn};

/// Holds the callee's one slot until it is dropped, as the futures of many limits do.
struct Slot(Arc<AtomicBool>);

impl Slot {
    fn take(taken: &Arc<AtomicBool>) -> Option<Self> {
        let free = !taken.swap(true, Ordering::SeqCst);
        free.then(|| Self(Arc::clone(taken)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// A future that holds its slot after it is ready.
struct Holding<F>(Pin<Box<F>>, Option<Slot>);

impl<F: Future<Output = Result<u64, BoxError>>> Future for Holding<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if self.1.is_none() {
            return Poll::Ready(Err("there is no slot".into()));
        }
        self.0.as_mut().poll(context)
    }
}

/// Notes whether the slot was free when the follower was woken: on another thread it goes on at
/// once.
struct WhenWoken {
    taken: Arc<AtomicBool>,
    seen: Mutex<Option<bool>>,
}

impl WhenWoken {
    fn new(taken: Arc<AtomicBool>) -> Self {
        let seen = Mutex::new(None);
        Self { taken, seen }
    }

    fn was_free(&self) -> Option<bool> {
        *self.seen.lock()
    }
}

impl Wake for WhenWoken {
    fn wake(self: Arc<Self>) {
        let free = !self.taken.load(Ordering::SeqCst);
        *self.seen.lock() = Some(free);
    }
}

#[test]
fn what_a_leader_holds_is_free_before_the_next_one_is_woken() {
    for ending in ["fails", "answers", "is cancelled"] {
        let taken = Arc::new(AtomicBool::new(false));
        let (ends, slots) = (Arc::new(AtomicBool::new(false)), Arc::clone(&taken));
        let end = Arc::clone(&ends);
        let callee = service_fn(move |_: u64| {
            let end = Arc::clone(&end);
            let work = poll_fn(move |_| match (end.load(Ordering::SeqCst), ending) {
                (false, _) => Poll::Pending,
                (true, "fails") => Poll::Ready(Err(BoxError::from("down"))),
                (true, _) => Poll::Ready(Ok(1)),
            });
            Holding(Box::pin(work), Slot::take(&slots))
        });
        let coalesce = Coalesce::by(by_fn(|call: &u64| Ok(*call))).build().unwrap();
        let mut service = coalesce.protocol(Plain::new()).layer(callee);
        let mut leader = Box::pin(service.call(1));
        let mut follower = Box::pin(service.call(1));
        let woken = Arc::new(WhenWoken::new(taken));
        let waker = Waker::from(Arc::clone(&woken));
        let mut of_follower = Context::from_waker(&waker);
        let mut of_leader = Context::from_waker(Waker::noop());
        assert!(leader.as_mut().poll(&mut of_leader).is_pending());
        assert!(follower.as_mut().poll(&mut of_follower).is_pending());
        ends.store(true, Ordering::SeqCst);
        // Until here the leader's future is alive.
        let mut leader = Some(leader);
        if ending == "is cancelled" {
            leader = None;
        } else if let Some(leader) = &mut leader {
            assert!(leader.as_mut().poll(&mut of_leader).is_ready());
        }
        assert_eq!(woken.was_free(), Some(true), "{ending}");
        let Poll::Ready(answer) = follower.as_mut().poll(&mut of_follower) else {
            panic!("it has got an answer, or the slot");
        };
        assert_eq!(answer.is_ok(), ending != "fails");
        drop(leader);
    }
}

/// A body that holds a slot, and breaks or ends when it is told to.
struct Reading {
    _slot: Slot,
    ends: Arc<AtomicBool>,
    breaks: bool,
}

impl Body for Reading {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match (self.ends.load(Ordering::SeqCst), self.breaks) {
            (false, _) => Poll::Pending,
            (true, true) => Poll::Ready(Some(Err("broken".into()))),
            (true, false) => Poll::Ready(None),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn so_is_what_the_body_of_its_answer_holds() {
    for breaks in [true, false] {
        let taken = Arc::new(AtomicBool::new(false));
        let (ends, slots) = (Arc::new(AtomicBool::new(false)), Arc::clone(&taken));
        let end = Arc::clone(&ends);
        let callee = service_fn(move |_: Request<Empty<Bytes>>| {
            let body = Slot::take(&slots).map(|slot| Reading {
                _slot: slot,
                ends: Arc::clone(&end),
                breaks,
            });
            ready(body.map(Response::new).ok_or(BoxError::from("full")))
        });
        let coalesce = Coalesce::builder().build().unwrap();
        let mut service = coalesce.layer(callee);
        let mut leader = Box::pin(service.call(Request::new(Empty::new())));
        let mut follower = Box::pin(service.call(Request::new(Empty::new())));
        let woken = Arc::new(WhenWoken::new(taken));
        let waker = Waker::from(Arc::clone(&woken));
        let mut of_follower = Context::from_waker(&waker);
        let mut of_leader = Context::from_waker(Waker::noop());
        assert!(follower.as_mut().poll(&mut of_follower).is_pending());
        assert!(leader.as_mut().poll(&mut of_leader).is_pending());
        ends.store(true, Ordering::SeqCst);
        let answer = leader.as_mut().poll(&mut of_leader);
        assert!(matches!(answer, Poll::Ready(Ok(_))));
        assert_eq!(woken.was_free(), Some(true), "breaks: {breaks}");
        let answer = follower.as_mut().poll(&mut of_follower);
        assert!(!matches!(answer, Poll::Ready(Err(_))), "it has a slot");
    }
}
