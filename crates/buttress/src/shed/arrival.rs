use crate::Deadline;
use crate::clock;
use buttress_core::shed::InstantOf;
use http::Request;
use std::task::{Context, Poll};
use std::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

/// Notes in each request's extensions when it arrived, for [`QueueDelay`](super::QueueDelay).
///
/// It goes outermost, before anything in which a call can wait. A request that was marked already
/// keeps its mark. Like all that is stored in extensions, the mark may allocate.
///
/// ```
/// use buttress::shed::MarkArrival;
/// use buttress::{Bulkhead, QueueDelay};
/// use std::time::Duration;
///
/// let room = Bulkhead::builder(64).waiting_room(256, Duration::from_secs(1)).build()?;
/// let layers = (MarkArrival::new(), room, QueueDelay::new()?);
/// # let _ = layers;
/// # Ok::<(), buttress::SettingError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct MarkArrival(());

impl MarkArrival {
    /// Marks requests.
    pub const fn new() -> Self {
        Self(())
    }

    /// Marks a request, as the layer does: for services that have no place for one more layer.
    pub fn mark<B>(&self, request: &mut Request<B>) {
        if request.extensions().get::<Arrived>().is_none() {
            request
                .extensions_mut()
                .insert(Arrived(clock::at_arrival()));
        }
    }
}

impl<S> Layer<S> for MarkArrival {
    type Service = MarkArrivalService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        MarkArrivalService { inner }
    }
}

/// A service whose requests say when they arrived.
#[derive(Clone, Copy, Debug)]
pub struct MarkArrivalService<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for MarkArrivalService<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let now = clock::at_arrival();
        if request.extensions().get::<Arrived>().is_none() {
            request.extensions_mut().insert(Arrived(now));
        }
        let scope = clock::Arrival::at(now);
        let future = self.inner.call(request);
        drop(scope);
        future
    }
}

/// When a request arrived. It is found in the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrived(Instant);

impl Arrived {
    /// At `instant`: for servers that know it better, for instance from when the connection was
    /// readable.
    pub const fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// The instant.
    pub const fn instant(self) -> Instant {
        self.0
    }
}

/// A request arrived when [`MarkArrival`] saw it.
#[derive(Clone, Copy, Debug, Default)]
pub struct FromArrival(pub(super) ());

impl<B> InstantOf<Request<B>> for FromArrival {
    fn instant_of(&self, request: &Request<B>) -> Option<Instant> {
        request.extensions().get().map(|Arrived(at)| *at)
    }
}

/// A request has the [`Deadline`] in its extensions.
#[derive(Clone, Copy, Debug, Default)]
pub struct FromDeadline(pub(super) ());

impl<B> InstantOf<Request<B>> for FromDeadline {
    fn instant_of(&self, request: &Request<B>) -> Option<Instant> {
        Deadline::of(request.extensions()).map(Deadline::instant)
    }
}
