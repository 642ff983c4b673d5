use buttress_core::{Plain, Protocol, Reject, Rejection};
use std::time::{Duration, Instant};

/// What a timeout must know of a protocol.
///
/// [`Plain`] and `Http` implement it; there is no need for others to.
pub trait TimeoutProtocol<Req, Res, Err>: Protocol<Req> {
    /// The timeout's response: the inner one, with a body that keeps time.
    type Response;

    /// What is kept of [`BodyLimits`] while the call runs: nothing where there are no bodies.
    type Limits: From<BodyLimits>;

    /// Lowers the deadline that the request carries to `own`, or sets it if it has none and
    /// `insert` says so. Returns the request's own deadline if that is the earlier one.
    fn lower_deadline(&self, request: &mut Req, own: Instant, insert: bool) -> Option<Instant>;

    /// The response, whose body keeps to `limits`.
    fn respond(response: Res, limits: Self::Limits) -> Self::Response;

    /// Refuses a call for which there is no time left.
    ///
    /// # Errors
    ///
    /// The rejection, where the protocol expresses it so.
    fn reject_late(
        &self,
        context: Self::Context,
        rejection: Rejection,
    ) -> Result<Self::Response, Err>;
}

/// How long a body may take.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    pub(super) name: &'static str,
    pub(super) idle: Option<Duration>,
    pub(super) until: Option<Instant>,
}

#[cfg(feature = "http")]
impl BodyLimits {
    /// As long as it likes.
    pub(crate) const fn none() -> Self {
        Self {
            name: "timeout",
            idle: None,
            until: None,
        }
    }
}

/// There is no body whose time could be bounded.
#[derive(Clone, Copy, Debug)]
pub struct NoBody;

impl From<BodyLimits> for NoBody {
    fn from(_: BodyLimits) -> Self {
        Self
    }
}

impl<Req, Res, Err, F: Clone> TimeoutProtocol<Req, Res, Err> for Plain<F>
where
    Plain<F>: Reject<Req, Res, Err> + Protocol<Req, Context = ()>,
{
    type Response = Res;
    type Limits = NoBody;

    #[inline]
    fn lower_deadline(&self, _: &mut Req, _: Instant, _: bool) -> Option<Instant> {
        None
    }

    #[inline]
    fn respond(response: Res, _: NoBody) -> Res {
        response
    }

    #[inline]
    fn reject_late(&self, (): (), rejection: Rejection) -> Result<Res, Err> {
        self.reject((), rejection)
    }
}

#[cfg(feature = "http")]
mod http {
    use super::{BodyLimits, TimeoutProtocol};
    use crate::deadline::Deadline;
    use crate::timeout::body::TimeoutBody;
    use ::http::{Request, Response};
    use buttress_core::{Http, Protocol, Reject, Rejection};
    use std::time::Instant;

    impl<Req, B, Err, C, M> TimeoutProtocol<Request<Req>, Response<B>, Err> for Http<C, M>
    where
        C: Clone,
        M: Clone,
        Http<C, M>: Reject<Request<Req>, Response<TimeoutBody<B>>, Err>,
    {
        type Response = Response<TimeoutBody<B>>;
        type Limits = BodyLimits;

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
                (earlier < own).then_some(earlier)
            } else {
                if insert {
                    extensions.insert(Deadline::at(own));
                }
                None
            }
        }

        #[inline]
        fn respond(response: Response<B>, limits: BodyLimits) -> Self::Response {
            response.map(|body| TimeoutBody::new(body, limits))
        }

        fn reject_late(
            &self,
            context: <Self as Protocol<Request<Req>>>::Context,
            rejection: Rejection,
        ) -> Result<Self::Response, Err> {
            self.reject(context, rejection)
        }
    }
}
