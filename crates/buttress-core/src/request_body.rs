use crate::causes;
use std::error::Error;
use std::fmt;

type BoxError = Box<dyn Error + Send + Sync>;

/// The body of a request broke off while it was sent: whoever sends it went away, or sent what is no
/// body.
///
/// A client can tell that only by failing the call, and nobody could see any more that it was not the
/// callee's fault: a few broken uploads would open a circuit breaker for everybody. So bodies of
/// requests that pass through a layer of ours fail with this error, and a call that failed because
/// of it counts as [`Cancelled`](crate::Outcome::Cancelled).
#[derive(Debug)]
pub struct BrokenRequest {
    source: BoxError,
}

impl BrokenRequest {
    /// By an error of the body.
    pub fn new(source: impl Into<BoxError>) -> Self {
        let source = source.into();
        Self { source }
    }

    /// The one that `error` is, or that is in its chain of sources.
    pub fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        causes::find(error)
    }

    /// The one that `error` is, or that is in its chain if it is a `BoxError`. For errors of a type
    /// that nothing is known about, not even that it is an [`Error`].
    pub fn of<E: 'static>(error: &E) -> Option<&Self> {
        causes::of(error)
    }
}

impl fmt::Display for BrokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body of the request broke off")
    }
}

impl Error for BrokenRequest {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}
