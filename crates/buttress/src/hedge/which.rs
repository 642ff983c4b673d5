/// Which requests may be sent more than once.
pub trait Repeatable<Req> {
    /// Whether this one may, where `safe` is what the protocol says about it.
    fn may_repeat(&self, request: &Req, safe: impl FnOnce() -> bool) -> bool;
}

/// What the protocol takes for safe: with `Http` idempotent methods and requests with an
/// `Idempotency-Key`, with [`Plain`](crate::Plain) everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Safe;

/// All requests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Every;

/// What the protocol takes for safe, and what a function says is.
#[derive(Clone, Copy, Debug)]
pub struct SafeIf<F>(pub(super) F);

impl<Req> Repeatable<Req> for Safe {
    #[inline]
    fn may_repeat(&self, _: &Req, safe: impl FnOnce() -> bool) -> bool {
        safe()
    }
}

impl<Req> Repeatable<Req> for Every {
    #[inline]
    fn may_repeat(&self, _: &Req, _: impl FnOnce() -> bool) -> bool {
        true
    }
}

impl<Req, F: Fn(&Req) -> bool> Repeatable<Req> for SafeIf<F> {
    fn may_repeat(&self, request: &Req, safe: impl FnOnce() -> bool) -> bool {
        safe() || (self.0)(request)
    }
}
