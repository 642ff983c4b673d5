//! How a call is measured: readiness, call, completion, and the body to its end, driven by hand
//! with a waker that does nothing. Requests are made before the clock starts.

use http_body::Body;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tower::Service;

/// Makes the `n`-th request.
pub type Make<Req> = fn(u64) -> Req;

/// Something whose calls can be measured.
pub struct Runner {
    one: Box<dyn FnMut(u64) -> Measured>,
    two: Option<Box<dyn FnMut(u64) -> f64>>,
}

/// What some calls cost.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Nanoseconds for each call.
    pub nanoseconds: f64,
    /// Allocations for each call.
    pub allocations: f64,
    /// The part of the calls that succeeded.
    pub successes: f64,
}

/// Calls whose allocations are counted.
const COUNTED: u64 = 1_000;

/// What is done with a response before the call is over.
pub trait Finish {
    /// Consumes it, and says whether it was a success.
    fn finish(self) -> bool;
}

impl Finish for u64 {
    fn finish(self) -> bool {
        black_box(self);
        true
    }
}

impl<B: Body> Finish for http::Response<B> {
    fn finish(self) -> bool {
        let success = self.status().is_success();
        let mut body = pin!(self.into_body());
        let mut context = Context::from_waker(Waker::noop());
        if body.is_end_stream() {
            return success;
        }
        while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut context) {
            black_box(frame.is_ok());
        }
        success
    }
}

impl Runner {
    /// Measures `service`, also from two threads.
    pub fn new<S, Req>(service: S, make: Make<Req>) -> Self
    where
        S: Service<Req, Response: Finish> + Clone + Send + 'static,
        Req: Send + 'static,
    {
        let shared = service.clone();
        let mut places = [Places::default(), Places::default()];
        Self {
            two: Some(Box::new(move |calls| {
                from_two_threads(&shared, make, calls, &mut places)
            })),
            ..Self::single(service, make)
        }
    }

    /// Measures `service` from one thread only.
    pub fn single<S, Req>(mut service: S, make: Make<Req>) -> Self
    where
        S: Service<Req, Response: Finish> + 'static,
        Req: 'static,
    {
        let mut places = Places::default();
        let one = move |calls| {
            let mut elapsed = Duration::ZERO;
            let mut successes = 0;
            for requests in batches(make, calls, 1_024) {
                let mut requests = requests.into_iter();
                places.at_next(|| {
                    let start = Instant::now();
                    for request in requests.by_ref() {
                        successes += u64::from(call(&mut service, request));
                    }
                    elapsed += start.elapsed();
                });
            }
            // Counted by themselves: counting costs those who allocate.
            let requests: Vec<Req> = (0..COUNTED).map(make).collect();
            let counted = allocation_counter::measure(|| {
                for request in requests {
                    black_box(call(&mut service, request));
                }
            });
            Measured {
                nanoseconds: elapsed.as_nanos() as f64 / calls as f64,
                allocations: counted.count_total as f64 / COUNTED as f64,
                successes: successes as f64 / calls as f64,
            }
        };
        Self {
            one: Box::new(one),
            two: None,
        }
    }

    /// Whether it can be measured from two threads.
    pub fn is_shared(&self) -> bool {
        self.two.is_some()
    }

    /// What `calls` calls cost from one thread.
    pub fn one_thread(&mut self, calls: u64) -> Measured {
        (self.one)(calls)
    }

    /// Nanoseconds for each call as a thread sees it, while two of them call at once.
    pub fn two_threads(&mut self, calls: u64) -> f64 {
        self.two.as_mut().map_or(f64::NAN, |two| two(calls))
    }
}

/// One call, to its end. Returns whether it succeeded.
#[inline]
pub fn call<S, Req>(service: &mut S, request: Req) -> bool
where
    S: Service<Req, Response: Finish>,
{
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_ready(), "not ready");
    let mut future = pin!(service.call(black_box(request)));
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return result.is_ok_and(Finish::finish);
        }
    }
}

fn from_two_threads<S, Req>(
    service: &S,
    make: Make<Req>,
    calls: u64,
    places: &mut [Places; 2],
) -> f64
where
    S: Service<Req, Response: Finish> + Clone + Send,
{
    let runtime = tokio::runtime::Handle::current();
    let start_together = Barrier::new(2);
    let thread = |mut service: S, places: &mut Places| {
        let _inside = runtime.enter();
        let mut elapsed = Duration::ZERO;
        // Long ones: it takes a while until both have begun.
        for requests in batches(make, calls, 16_384) {
            let mut requests = requests.into_iter();
            places.at_next(|| {
                // So that both call while both call.
                start_together.wait();
                let start = Instant::now();
                for request in requests.by_ref() {
                    black_box(call(&mut service, request));
                }
                elapsed += start.elapsed();
            });
        }
        elapsed
    };
    let (one, other) = std::thread::scope(|scope| {
        let [one, other] = places;
        let (thread, clone) = (&thread, service.clone());
        let other = scope.spawn(move || thread(clone, other));
        let one = thread(service.clone(), one);
        (one, other.join().unwrap())
    });
    (one + other).as_nanos() as f64 / (2 * calls) as f64
}

/// Requests in batches that fit into the processor's cache, as a server's would; of small ones, at most
/// so many.
fn batches<Req>(make: Make<Req>, calls: u64, most: u64) -> impl Iterator<Item = Vec<Req>> {
    let batch = if size_of::<Req>() <= 16 { most } else { 64 };
    (0..calls)
        .step_by(batch as usize)
        .map(move |first| (first..calls.min(first + batch)).map(make).collect())
}

/// Places on the stack at which calls are made, over a page of it.
///
/// A processor that reads what was written a moment ago compares the lower twelve bits of addresses, so
/// where in its page a call's frame lies changes what it costs, by more than many a layer. A program
/// that always calls from one place measures that place, and another one each time it is started. What
/// is measured at all of them is their mean, as in Curtsinger and Berger, "Stabilizer: statistically
/// sound performance evaluation" (2013).
#[derive(Default)]
struct Places {
    used: usize,
}

impl Places {
    /// Works at the next one. None is used again before all have been.
    fn at_next(&mut self, mut work: impl FnMut()) {
        #[inline(never)]
        fn descend(levels: usize, work: &mut dyn FnMut()) {
            let frame = black_box([0_u8; 16]);
            if levels == 0 {
                work();
            } else {
                descend(levels - 1, work);
            }
            black_box(frame);
        }
        self.used += 1;
        // Frames of 48 bytes (with rustc 1.95 on x86-64) go over a page. Larger ones go over several, which
        // is as well.
        descend(self.used * 19 % 85, &mut work);
    }
}

/// The middle of some numbers.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
