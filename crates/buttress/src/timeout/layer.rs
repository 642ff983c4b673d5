#[cfg(feature = "http")]
use super::protocol::BodyLimits;
use super::protocol::HeadersOnly;
use super::service::TimeoutService;
use crate::DefaultProtocol;
use buttress_core::SettingError;
use buttress_core::setting::{check_duration, check_name};
use std::time::Duration;
use tower_layer::Layer;

/// Bounds how long a call may take. It is a layer, and `Copy`: there is no state to share.
///
/// It bounds the time to the response's headers, and on demand also the
/// [whole body's](Self::whole_body) time and the [gaps in it](Self::idle_body). If the request
/// carries a [`Deadline`](crate::Deadline), the earlier of the two counts, and the deadline is
/// lowered for everything further in.
///
/// A call that runs out of time is dropped and refused with
/// [`Reason::TimedOut`](crate::Reason::TimedOut), or with
/// [`Reason::DeadlinePassed`](crate::Reason::DeadlinePassed) if it was the caller's own deadline;
/// one whose deadline has passed already is refused before any work.
///
/// ```
/// use buttress::{Plain, Timeout};
/// use std::time::Duration;
/// use tower::{BoxError, ServiceBuilder, service_fn};
///
/// let service = ServiceBuilder::new()
///     .layer(Timeout::new(Duration::from_secs(2))?.protocol(Plain::new()))
///     .service(service_fn(|name: String| async move { Ok::<_, BoxError>(name.len()) }));
/// # let _ = service;
/// # Ok::<(), buttress::SettingError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Timeout<L = HeadersOnly> {
    pub(super) name: &'static str,
    pub(super) headers: Duration,
    pub(super) sets_deadline: bool,
    pub(super) limits: L,
}

impl Timeout {
    /// At most `longest` from the call to the response's headers; for `Plain`, to the response.
    ///
    /// # Errors
    ///
    /// `longest` is 0 or longer than a year.
    pub fn new(longest: Duration) -> Result<Self, SettingError> {
        Ok(Self {
            name: "timeout",
            headers: check_duration("timeout", longest)?,
            sets_deadline: false,
            limits: HeadersOnly,
        })
    }

    /// The same, for one attempt of a call that is retried: it stands inside the retries, where
    /// [`new`](Self::new) stands outside. Its name is `"attempt-timeout"`, so that refusals tell
    /// which of the two it was. An upload is [part of its time](crate::timeout#slow-senders).
    ///
    /// # Errors
    ///
    /// `longest` is 0 or longer than a year.
    pub fn per_attempt(longest: Duration) -> Result<Self, SettingError> {
        let timeout = Self::new(longest)?;
        Ok(Self {
            name: "attempt-timeout",
            ..timeout
        })
    }
}

#[cfg(feature = "http")]
impl Timeout {
    /// Bounds nothing. For a stack in which a setting decides, so that its type is the same with
    /// and without a timeout.
    pub const fn off() -> Timeout<BodyLimits> {
        Timeout {
            name: "timeout",
            headers: Duration::MAX,
            sets_deadline: false,
            limits: BodyLimits {
                idle: None,
                whole: None,
            },
        }
    }

    /// The same timeout, with the type of one that bounds the body as well, for the same reason as
    /// [`off`](Self::off).
    pub const fn any_body(self) -> Timeout<BodyLimits> {
        Timeout {
            name: self.name,
            headers: self.headers,
            sets_deadline: self.sets_deadline,
            limits: BodyLimits {
                idle: None,
                whole: None,
            },
        }
    }
}

#[cfg(feature = "http")]
impl<L: Into<BodyLimits> + Copy> Timeout<L> {
    /// Also bounds each wait for the body's next frame. The body's error is then boxed, because it
    /// may be the [`Rejection`](crate::Rejection); such an error breaks the connection off. A body that
    /// says with the headers that it has ended is not waited for. HTTP only.
    ///
    /// # Errors
    ///
    /// `longest` is 0 or longer than a year.
    pub fn idle_body(self, longest: Duration) -> Result<Timeout<BodyLimits>, SettingError> {
        let idle = Some(check_duration("idle_body", longest)?);
        Ok(self.with_limits(|limits| BodyLimits { idle, ..limits }))
    }

    /// Also bounds the time from the call to the end of the body. The body's error is then boxed,
    /// as with [`idle_body`](Self::idle_body). HTTP only.
    ///
    /// # Errors
    ///
    /// `longest` is shorter than the time to the headers, or longer than a year.
    pub fn whole_body(self, longest: Duration) -> Result<Timeout<BodyLimits>, SettingError> {
        let longest = check_duration("whole_body", longest)?;
        if longest < self.headers {
            let allowed = format!("at least the time to the headers, {:?}", self.headers);
            return Err(SettingError::new(
                "whole_body",
                format_args!("{longest:?}"),
                allowed,
            ));
        }
        let whole = Some(longest);
        Ok(self.with_limits(|limits| BodyLimits { whole, ..limits }))
    }

    fn with_limits(self, limit: impl FnOnce(BodyLimits) -> BodyLimits) -> Timeout<BodyLimits> {
        Timeout {
            name: self.name,
            headers: self.headers,
            sets_deadline: self.sets_deadline,
            limits: limit(self.limits.into()),
        }
    }
}

#[cfg(feature = "http")]
impl From<HeadersOnly> for BodyLimits {
    fn from(_: HeadersOnly) -> Self {
        Self {
            idle: None,
            whole: None,
        }
    }
}

impl<L> Timeout<L> {
    #[inline]
    pub(super) fn is_off(&self) -> bool {
        self.headers == Duration::MAX
    }

    /// Gives a request without a [`Deadline`](crate::Deadline) one, so that everything further in
    /// knows it: an [`OutgoingDeadline`](crate::OutgoingDeadline) for instance. Off by default,
    /// because storing it in the request allocates. HTTP only.
    pub fn sets_deadline(self) -> Self {
        Self {
            sets_deadline: true,
            ..self
        }
    }

    /// The name that refusals carry: 1 to 64 printable ASCII characters.
    ///
    /// # Errors
    ///
    /// `name` is something else.
    pub fn named(self, name: &'static str) -> Result<Self, SettingError> {
        let name = check_name("named", name)?;
        Ok(Self { name, ..self })
    }

    /// A layer that speaks another protocol: [`Plain`](crate::Plain) for services that are
    /// neither HTTP nor gRPC, or an `Http` with other settings.
    pub fn protocol<Pr>(self, protocol: Pr) -> TimeoutLayer<Pr, L> {
        TimeoutLayer {
            timeout: self,
            protocol,
        }
    }
}

impl<S, L: Copy> Layer<S> for Timeout<L> {
    type Service = TimeoutService<S, DefaultProtocol, L>;

    fn layer(&self, inner: S) -> Self::Service {
        self.protocol(DefaultProtocol::new()).layer(inner)
    }
}

/// The layer that [`Timeout::protocol`] makes.
#[derive(Clone, Copy, Debug)]
pub struct TimeoutLayer<Pr = DefaultProtocol, L = HeadersOnly> {
    timeout: Timeout<L>,
    protocol: Pr,
}

impl<S, Pr: Clone, L: Copy> Layer<S> for TimeoutLayer<Pr, L> {
    type Service = TimeoutService<S, Pr, L>;

    fn layer(&self, inner: S) -> Self::Service {
        TimeoutService::new(inner, self.timeout, self.protocol.clone())
    }
}
