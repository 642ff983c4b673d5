use super::settle::settle_refused;
use buttress_core::protocol::Classify;
use buttress_core::{Permit, Plain, Reject, Rejection};

/// What a guard must know of a protocol: how to refuse, and when and how a call is over.
///
/// [`Plain`] and `Http` implement it; there is no need for others to.
pub trait GuardProtocol<Req, Res, Err, P: Permit>:
    Reject<Req, <Self as GuardProtocol<Req, Res, Err, P>>::Response, Err>
{
    /// What watches a call in order to say how it went.
    type Observer;

    /// The guard's response: the inner one, with the permit in it where the call outlives its
    /// future.
    type Response;

    /// Whether a request may still be on its way when the service is called.
    const HAS_UPLOADS: bool = false;

    /// Looks at a request that goes on to the service.
    fn observe(&self, request: &Req) -> Self::Observer;

    /// The inner future has resolved.
    ///
    /// # Errors
    ///
    /// The inner service's.
    fn finish(
        observer: Self::Observer,
        permit: P,
        result: Result<Res, Err>,
    ) -> Result<Self::Response, Err>;
}

impl<Req, Res, Err, P, F> GuardProtocol<Req, Res, Err, P> for Plain<F>
where
    P: Permit,
    Err: 'static,
    F: Classify<Res, Err> + Clone,
    Plain<F>: Reject<Req, Res, Err>,
{
    type Observer = Self;
    type Response = Res;

    #[inline]
    fn observe(&self, _: &Req) -> Self {
        self.clone()
    }

    #[inline]
    fn finish(protocol: Self, permit: P, result: Result<Res, Err>) -> Result<Res, Err> {
        let outcome = protocol.outcome(&result);
        let refusal = result.as_ref().err().and_then(Rejection::of);
        settle_refused(permit, outcome, refusal);
        result
    }
}

#[cfg(feature = "http")]
mod http {
    use super::GuardProtocol;
    use crate::guard::body::{GuardBody, Verdict, tell_pushback};
    use crate::guard::settle::{has_expired, settle_refused};
    use crate::repeat::{Upload, current, excuse};
    use ::http::{HeaderMap, Request, Response};
    use buttress_core::protocol::announce;
    use buttress_core::{Http, Outcome, Permit, Quota, Reject, Rejection};
    use http_body::Body;
    use std::fmt::Display;
    use tower_http::classify::{ClassifiedResponse, ClassifyResponse, MakeClassifier};

    impl<Req, B, Err, P, C, M> GuardProtocol<Request<Req>, Response<B>, Err, P> for Http<C, M>
    where
        B: Body,
        B::Error: Display + 'static,
        Err: Display + 'static,
        P: Permit,
        C: MakeClassifier + Clone,
        C::FailureClass: Into<Outcome>,
        M: Clone,
        Http<C, M>: Reject<Request<Req>, Response<GuardBody<B, P, C::ClassifyEos>>, Err>,
    {
        type Observer = C::Classifier;
        type Response = Response<GuardBody<B, P, C::ClassifyEos>>;

        const HAS_UPLOADS: bool = true;

        #[inline]
        fn observe(&self, request: &Request<Req>) -> C::Classifier {
            self.classifier().make_classifier(request)
        }

        #[inline]
        fn finish(
            classifier: C::Classifier,
            mut permit: P,
            result: Result<Response<B>, Err>,
        ) -> Result<Self::Response, Err> {
            let mut response = match result {
                Ok(response) => response,
                Err(error) => {
                    let refusal = Rejection::of(&error);
                    let outcome = excuse(classifier.classify_error(&error).into(), refusal);
                    settle_refused(permit, outcome, refusal);
                    return Err(error);
                }
            };
            tell_quotas(&permit, response.headers_mut());
            let mut upload = Upload::nothing();
            let verdict = if P::WANTS_OUTCOME && permit.wants_outcome() {
                upload = current();
                match classifier.classify_response(&response) {
                    ClassifiedResponse::Ready(Ok(())) => Verdict::Known(Outcome::Success),
                    ClassifiedResponse::Ready(Err(class)) => {
                        let outcome = class.into();
                        // What the callee says itself counts as it says.
                        let refusal = response.extensions().get();
                        let outcome = match refusal {
                            Some(_) => excuse(outcome, refusal),
                            None => outcome,
                        };
                        if has_expired(outcome, refusal) {
                            Verdict::Expired
                        } else {
                            Verdict::Known(outcome)
                        }
                    }
                    ClassifiedResponse::RequiresEos(eos) => Verdict::AtTheEnd(eos),
                }
            } else {
                Verdict::Known(Outcome::Success)
            };
            if let Verdict::Known(outcome) = verdict {
                tell_pushback(&mut permit, outcome, response.headers());
            }
            Ok(response.map(|body| GuardBody::new(body, permit, verdict, upload)))
        }
    }

    /// Adds the header fields of the quotas that are announced.
    #[inline]
    fn tell_quotas(permit: &impl Permit, headers: &mut HeaderMap) {
        permit.quotas(&mut |quota: &Quota| announce(headers, [*quota]));
    }
}
