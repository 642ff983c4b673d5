use super::upload::Upload;
use buttress_core::{Plain, Protocol};
use std::time::Instant;

/// How a kind of service repeats its requests.
///
/// [`Plain`] repeats what is `Clone`; `Http` repeats requests with any body. There is no need for
/// others to implement it.
pub trait Repeat<Req>: Protocol<Req> {
    /// What the inner service is called with.
    type Attempt;

    /// What is kept of a request in order to repeat it.
    type Kept;

    /// Whether repeating the request does no harm, as far as the protocol can tell.
    fn is_safe(&self, request: &Req) -> bool;

    /// When the caller of the request stops waiting, if it said so.
    fn deadline(&self, request: &Req) -> Option<Instant>;

    /// The only attempt of a request that is not repeated. Nothing is kept of it.
    fn once(&self, request: Req) -> Self::Attempt;

    /// The first attempt, and what is kept for others: at most `limit` bytes of its body.
    fn keep(&self, request: Req, limit: usize) -> (Self::Attempt, Self::Kept);

    /// How far the body of the attempt has been sent, for [those who judge](super::Attempting) how
    /// it went. To be asked once.
    fn upload(&self, attempt: &Self::Attempt) -> Upload;

    /// Another attempt. There is none if the body was longer than the limit, broke off, or has not
    /// been sent through.
    fn again(&self, kept: &Self::Kept) -> Option<Self::Attempt>;
}

/// Everything is safe to repeat: whoever puts retries around a service that is neither HTTP nor
/// gRPC knows that it is.
impl<Req: Clone, F: Clone> Repeat<Req> for Plain<F> {
    type Attempt = Req;
    type Kept = Req;

    #[inline]
    fn is_safe(&self, _: &Req) -> bool {
        true
    }

    #[inline]
    fn deadline(&self, _: &Req) -> Option<Instant> {
        None
    }

    #[inline]
    fn once(&self, request: Req) -> Req {
        request
    }

    #[inline]
    fn keep(&self, request: Req, _: usize) -> (Req, Req) {
        (request.clone(), request)
    }

    #[inline]
    fn upload(&self, _: &Req) -> Upload {
        Upload::nothing()
    }

    #[inline]
    fn again(&self, kept: &Req) -> Option<Req> {
        Some(kept.clone())
    }
}
