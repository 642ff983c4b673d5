use super::Deadline;
use crate::clock;
use crate::timeout::{HeadersOnly, Stop, TimeoutFuture, TimeoutProtocol};
use buttress_core::deadline_header::{parse_grpc_timeout, parse_milliseconds};
use buttress_core::protocol::is_grpc;
use buttress_core::setting::{check_duration, check_name};
use buttress_core::{Http, Reason, SettingError};
use http::{HeaderName, Request};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tower_layer::Layer;
use tower_service::Service;

/// Reads the caller's deadline from the request's headers, clamps it to the server's own bound,
/// puts it into the request's extensions as a [`Deadline`], and enforces it.
///
/// A gRPC request (content type `application/grpc…`) carries it in `grpc-timeout`; any other, in
/// the [header](Self::header) of your choice, as a whole number of milliseconds. A request without
/// one gets the server's bound.
///
/// A header that cannot be read is treated by who sends it. In gRPC the header has one meaning and
/// one grammar, and clients generate it: a malformed one is a defect that its author wants to
/// know, and guessing would mean to work for longer than the client waits, so the call is refused
/// with `INVALID_ARGUMENT`. In HTTP the header is a convention between some clients and some
/// servers, and a proxy's or a stranger's idea of it must not break a request that is otherwise
/// fine, so it is ignored, and the server's bound holds.
///
/// tonic's own server keeps to `grpc-timeout` as well, and answers `CANCELLED`; which of the two is
/// first is a matter of microseconds. The bound given here is this layer's alone.
///
/// A call that runs out of time is dropped and refused with 504 or `DEADLINE_EXCEEDED`, and one
/// whose time is up already when it comes is refused before any work.
///
/// ```
/// use buttress::IncomingDeadline;
/// use std::time::Duration;
///
/// let deadlines = IncomingDeadline::at_most(Duration::from_secs(30))?
///     .header("x-request-timeout-ms")?;
/// # let _ = deadlines;
/// # Ok::<(), buttress::SettingError>(())
/// ```
#[derive(Clone, Debug)]
pub struct IncomingDeadline {
    longest: Duration,
    /// Shared, so that a service can be made for each call.
    header: Option<Arc<HeaderName>>,
    name: &'static str,
}

impl IncomingDeadline {
    /// Deadlines are at most `longest` away, whatever the caller says.
    ///
    /// # Errors
    ///
    /// `longest` is 0 or longer than a year.
    pub fn at_most(longest: Duration) -> Result<Self, SettingError> {
        Ok(Self {
            longest: check_duration("at_most", longest)?,
            header: None,
            name: "deadline",
        })
    }

    /// Reads nothing and bounds nothing. For a stack in which a setting decides, so that its type is
    /// the same with and without deadlines.
    pub const fn off() -> Self {
        Self {
            longest: Duration::MAX,
            header: None,
            name: "deadline",
        }
    }

    /// The header in which HTTP requests carry the time that they have: a whole number of
    /// milliseconds. By default none is read.
    ///
    /// # Errors
    ///
    /// `name` is not a header's name.
    pub fn header(self, name: &str) -> Result<Self, SettingError> {
        let header = Some(Arc::new(super::outgoing::header_name(name)?));
        Ok(Self { header, ..self })
    }

    /// The name that refusals carry: 1 to 64 printable ASCII characters, `"deadline"` by default.
    ///
    /// # Errors
    ///
    /// `name` is something else.
    pub fn named(self, name: &'static str) -> Result<Self, SettingError> {
        let name = check_name("named", name)?;
        Ok(Self { name, ..self })
    }

    /// A layer that speaks `Http` with other settings.
    pub fn protocol<Pr>(self, protocol: Pr) -> IncomingDeadlineLayer<Pr> {
        IncomingDeadlineLayer {
            settings: self,
            protocol,
        }
    }

    /// What the request says, or that it cannot be read.
    fn read<B>(&self, request: &Request<B>) -> Result<Option<Duration>, Reason> {
        let headers = request.headers();
        if is_grpc(headers) {
            let Some(value) = headers.get(GRPC_TIMEOUT) else {
                return Ok(None);
            };
            return parse_grpc_timeout(value.as_bytes())
                .map(Some)
                .map_err(|_| Reason::BadDeadline);
        }
        let value = self.header.as_ref().and_then(|name| headers.get(&**name));
        Ok(value.and_then(|value| parse_milliseconds(value.as_bytes()).ok()))
    }
}

impl<S> Layer<S> for IncomingDeadline {
    type Service = IncomingDeadlineService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        self.clone().protocol(Http::new()).layer(inner)
    }
}

/// The layer that [`IncomingDeadline::protocol`] makes.
#[derive(Clone, Debug)]
pub struct IncomingDeadlineLayer<Pr = Http> {
    settings: IncomingDeadline,
    protocol: Pr,
}

impl<S, Pr: Clone> Layer<S> for IncomingDeadlineLayer<Pr> {
    type Service = IncomingDeadlineService<S, Pr>;

    fn layer(&self, inner: S) -> Self::Service {
        IncomingDeadlineService {
            inner,
            settings: self.settings.clone(),
            protocol: self.protocol.clone(),
        }
    }
}

/// A service whose requests carry deadlines.
#[derive(Clone, Debug)]
pub struct IncomingDeadlineService<S, Pr = Http> {
    inner: S,
    settings: IncomingDeadline,
    protocol: Pr,
}

impl<S, Pr> IncomingDeadlineService<S, Pr> {
    /// The service inside, without what is around it.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, Pr, B> Service<Request<B>> for IncomingDeadlineService<S, Pr>
where
    S: Service<Request<B>>,
    Pr: TimeoutProtocol<Request<B>, S::Response, S::Error, HeadersOnly>,
{
    type Response = Pr::Response;
    type Error = S::Error;
    type Future = TimeoutFuture<S, Pr, HeadersOnly, Request<B>>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let arrival = clock::at_arrival();
        if self.settings.longest == Duration::MAX {
            let stop = Stop::never(self.settings.name);
            let context = self.protocol.remember(&request);
            let scope = clock::Arrival::at(arrival);
            let future = self.inner.call(request);
            drop(scope);
            let protocol = self.protocol.clone();
            return TimeoutFuture::new(future, arrival, stop, HeadersOnly, protocol, context);
        }
        let stop = match self.settings.read(&request) {
            Ok(time) => self.settings.stop(arrival, time, &request),
            Err(reason) => Stop::new(arrival, reason, self.settings.name),
        };
        if stop.has_come(arrival) {
            return TimeoutFuture::refused(self.protocol.refuse(request, stop.rejection()));
        }
        if let Some(at) = stop.at {
            Deadline::at(at).put(request.extensions_mut());
        }
        let context = self.protocol.remember(&request);
        let scope = clock::Arrival::at(arrival);
        let future = self.inner.call(request);
        drop(scope);
        let protocol = self.protocol.clone();
        TimeoutFuture::new(future, arrival, stop, HeadersOnly, protocol, context)
    }
}

impl IncomingDeadline {
    /// The earliest of what the request says, what it carries already, and the server's bound.
    fn stop<B>(&self, arrival: Instant, time: Option<Duration>, request: &Request<B>) -> Stop {
        let bound = arrival + self.longest;
        let stated = time
            .filter(|time| *time < self.longest)
            .map(|time| arrival + time);
        let carried = Deadline::of(request.extensions()).map(Deadline::instant);
        let callers = match (stated, carried) {
            (Some(stated), Some(carried)) => Some(stated.min(carried)),
            (stated, carried) => stated.or(carried),
        };
        match callers.filter(|instant| *instant < bound) {
            Some(at) => Stop::new(at, Reason::DeadlinePassed, self.name),
            None => Stop::new(bound, Reason::TimedOut, self.name),
        }
    }
}

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
