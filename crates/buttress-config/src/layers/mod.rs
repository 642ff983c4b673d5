//! Layers that a file may leave out.

mod maybe;

pub use maybe::{Around, EitherBody, Maybe};

use buttress::coalesce::CoalesceService;
use buttress::fallback::StaleIfErrorService;
use buttress::timeout::BodyLimits;
use buttress::timeout::TimeoutService;
use buttress::{Guard, Http, Timeout};
use tower_layer::Layer;

/// A timeout, with or without bounds for the body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AnyTimeout {
    Headers(Timeout),
    Body(Timeout<BodyLimits>),
}

impl AnyTimeout {
    /// The same, for requests that have no deadline yet.
    pub(crate) fn setting_deadlines(self) -> Self {
        match self {
            Self::Headers(timeout) => Self::Headers(timeout.sets_deadline()),
            Self::Body(timeout) => Self::Body(timeout.sets_deadline()),
        }
    }
}

/// With a timeout that bounds bodies, or one that does not, or none.
pub type WithTimeout<S> = Maybe<TimeoutService<S, Http, BodyLimits>, Maybe<TimeoutService<S>, S>>;

#[inline]
pub(crate) fn with_timeout<S>(timeout: Option<&AnyTimeout>, inner: S) -> WithTimeout<S> {
    match timeout {
        Some(AnyTimeout::Body(timeout)) => Maybe::With(timeout.layer(inner)),
        Some(AnyTimeout::Headers(timeout)) => Maybe::Without(Maybe::With(timeout.layer(inner))),
        None => Maybe::Without(Maybe::Without(inner)),
    }
}

/// What is timed.
#[inline]
pub(crate) fn timed<S>(outer: &WithTimeout<S>) -> &S {
    match outer {
        Maybe::With(timeout) => timeout.inner(),
        Maybe::Without(rest) => rest.inner(),
    }
}

#[inline]
pub(crate) fn without_timeout<S>(outer: WithTimeout<S>) -> S {
    match outer {
        Maybe::With(timeout) => timeout.into_inner(),
        Maybe::Without(rest) => rest.into_inner(),
    }
}

macro_rules! around {
    ($([$($parameter:ident),*] $service:ty;)*) => {$(
        impl<S $(, $parameter)*> Around for $service {
            type Inner = S;

            #[inline]
            fn inner(&self) -> &S {
                self.inner()
            }

            #[inline]
            fn into_inner(self) -> S {
                self.into_inner()
            }
        }
    )*};
}

around! {
    [P, Pr] Guard<S, P, Pr>;
    [Pr, L] TimeoutService<S, Pr, L>;
    [K, Pr] CoalesceService<S, K, Pr>;
    [] StaleIfErrorService<S>;
}
