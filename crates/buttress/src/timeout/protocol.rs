use buttress_core::{Plain, Reject};
#[cfg(feature = "http")]
use std::time::Duration;
use std::time::Instant;

/// What a timeout must know of a protocol. `L` is what the timeout bounds besides the time to the
/// headers: [`HeadersOnly`] or `BodyLimits`.
///
/// [`Plain`] and `Http` implement it; there is no need for others to.
pub trait TimeoutProtocol<Req, Res, Err, L>:
    Reject<Req, <Self as TimeoutProtocol<Req, Res, Err, L>>::Response, Err>
{
    /// The timeout's response: the inner one, with a body that keeps time if `L` says so.
    type Response;

    /// Lowers the deadline that the request carries to `own`, or sets it if it has none and
    /// `insert` says so. Returns the request's own deadline if that is the earlier one.
    fn lower_deadline(&self, request: &mut Req, own: Instant, insert: bool) -> Option<Instant>;

    /// The response to a call that arrived at that instant, to the timeout of that name.
    fn respond(response: Res, limits: L, arrival: Instant, name: &'static str) -> Self::Response;
}

/// Nothing but the time to the headers is bounded.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadersOnly;

/// How long a body may take.
#[cfg(feature = "http")]
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// The wait for one frame.
    pub(super) idle: Option<Duration>,
    /// From the call to the end.
    pub(super) whole: Option<Duration>,
}

#[cfg(feature = "http")]
impl BodyLimits {
    #[inline]
    pub(super) const fn any(&self) -> bool {
        self.idle.is_some() || self.whole.is_some()
    }
}

impl<Req, Res, Err, F: Clone> TimeoutProtocol<Req, Res, Err, HeadersOnly> for Plain<F>
where
    Plain<F>: Reject<Req, Res, Err>,
{
    type Response = Res;

    #[inline]
    fn lower_deadline(&self, _: &mut Req, _: Instant, _: bool) -> Option<Instant> {
        None
    }

    #[inline]
    fn respond(response: Res, _: HeadersOnly, _: Instant, _: &'static str) -> Res {
        response
    }
}

/// What a timeout does to the bodies that it lets pass.
#[cfg(feature = "http")]
pub trait BoundBody<B> {
    /// The body that the caller gets.
    type Body;

    /// The body of a call that arrived at that instant, to the timeout of that name.
    fn bound(self, body: B, arrival: Instant, name: &'static str) -> Self::Body;
}

#[cfg(feature = "http")]
mod http {
    use super::{BodyLimits, BoundBody, HeadersOnly, TimeoutProtocol};
    use crate::body::AnswerBody;
    use crate::deadline::Deadline;
    use crate::timeout::body::TimeoutBody;
    use ::http::{Request, Response};
    use buttress_core::{Http, Reject};
    use http_body::Body;
    use std::time::Instant;

    impl<B> BoundBody<B> for HeadersOnly {
        type Body = AnswerBody<B>;

        #[inline]
        fn bound(self, body: B, _: Instant, _: &'static str) -> AnswerBody<B> {
            AnswerBody::inner(body)
        }
    }

    impl<B: Body> BoundBody<B> for BodyLimits {
        type Body = TimeoutBody<B>;

        #[inline]
        fn bound(self, body: B, arrival: Instant, name: &'static str) -> TimeoutBody<B> {
            TimeoutBody::new(body, self, arrival, name)
        }
    }

    impl<Req, B, Err, C, M, L> TimeoutProtocol<Request<Req>, Response<B>, Err, L> for Http<C, M>
    where
        L: BoundBody<B>,
        Http<C, M>: Reject<Request<Req>, Response<L::Body>, Err>,
    {
        type Response = Response<L::Body>;

        #[inline]
        fn lower_deadline(
            &self,
            request: &mut Request<Req>,
            own: Instant,
            insert: bool,
        ) -> Option<Instant> {
            let extensions = request.extensions_mut();
            if let Some(deadline) = extensions.get_mut::<Deadline>() {
                deadline.lower(own);
                let earlier = deadline.instant();
                return (earlier < own).then_some(earlier);
            }
            if insert {
                extensions.insert(Deadline::at(own));
            }
            None
        }

        #[inline]
        fn respond(
            response: Response<B>,
            limits: L,
            arrival: Instant,
            name: &'static str,
        ) -> Self::Response {
            response.map(|body| limits.bound(body, arrival, name))
        }
    }
}
