use crate::repeat::Repeat;

/// Says which requests may be repeated.
///
/// Closures over a request's reference are `Repeats`, too.
pub trait Repeats<Req> {
    /// Whether `request` may be repeated.
    fn repeats<Pr: Repeat<Req>>(&self, protocol: &Pr, request: &Req) -> bool;
}

/// What the protocol says is safe: [`Repeat::is_safe`].
#[derive(Clone, Copy, Debug, Default)]
pub struct IfSafe;

/// Every request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Everything;

impl<Req> Repeats<Req> for IfSafe {
    #[inline]
    fn repeats<Pr: Repeat<Req>>(&self, protocol: &Pr, request: &Req) -> bool {
        protocol.is_safe(request)
    }
}

impl<Req> Repeats<Req> for Everything {
    #[inline]
    fn repeats<Pr: Repeat<Req>>(&self, _: &Pr, _: &Req) -> bool {
        true
    }
}

impl<Req, F: Fn(&Req) -> bool> Repeats<Req> for F {
    #[inline]
    fn repeats<Pr: Repeat<Req>>(&self, _: &Pr, request: &Req) -> bool {
        self(request)
    }
}
