use super::layer::{Anything, Settings};
use buttress_core::Plain;
use buttress_core::flights::Lead;
use std::any::Any;
use std::future::{Future, Pending};
use std::sync::Arc;

/// What coalescing must know of a protocol: what there is to share, and how to share it.
///
/// [`Plain`] and `Http` implement it; there is no need for others to.
pub trait CoalesceProtocol<Res, Err> {
    /// The response that each caller gets.
    type Response;

    /// What collects the leader's answer, if anybody follows and the answer is not whole yet.
    type Collect: Future<Output = Self::Response>;

    /// The response of a call that shares nothing.
    fn alone(response: Res) -> Self::Response;

    /// The leader's call has an answer.
    fn land(response: Res, leader: Leader) -> Step<Self::Response, Self::Collect>;

    /// A follower's response, made of what the leader brought. There is none if the leader brought
    /// something else.
    fn follow(answer: Arc<dyn Any + Send + Sync>) -> Option<Self::Response>;
}

/// What comes after the leader's call.
#[derive(Debug)]
pub enum Step<R, C> {
    /// Its caller gets this.
    Done(R),
    /// First this must be collected.
    Collect(C),
}

/// Leads calls that share an answer.
pub struct Leader(Lead<Anything, Settings>);

impl Leader {
    #[inline]
    pub(super) const fn new(lead: Lead<Anything, Settings>) -> Self {
        Self(lead)
    }

    /// Lets nobody join any more. There is nobody to lead if nobody follows.
    #[inline]
    pub(super) fn close(self) -> Option<Self> {
        self.0.close().map(Self)
    }

    pub(super) fn land(self, answer: Arc<Anything>) {
        self.0.land(answer);
    }

    #[cold]
    pub(super) fn fail(self) {
        self.0.fail();
    }

    #[cfg(feature = "http")]
    pub(super) fn release(self) {
        self.0.release();
    }

    #[cfg(feature = "http")]
    pub(super) fn settings(&self) -> &Settings {
        self.0.data()
    }
}

impl std::fmt::Debug for Leader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leader").finish_non_exhaustive()
    }
}

impl<Res, Err, F> CoalesceProtocol<Res, Err> for Plain<F>
where
    Res: Clone + Send + Sync + 'static,
{
    type Response = Res;
    type Collect = Pending<Res>;

    #[inline]
    fn alone(response: Res) -> Res {
        response
    }

    #[inline]
    fn land(response: Res, leader: Leader) -> Step<Res, Pending<Res>> {
        if let Some(leader) = leader.close() {
            leader.land(Arc::new(response.clone()));
        }
        Step::Done(response)
    }

    fn follow(answer: Arc<dyn Any + Send + Sync>) -> Option<Res> {
        let answer = answer.downcast::<Res>().ok()?;
        // The last one need not copy it.
        Some(Arc::unwrap_or_clone(answer))
    }
}

#[cfg(feature = "http")]
mod http {
    use super::{CoalesceProtocol, Leader, Step};
    use crate::coalesce::body::CoalesceBody;
    use crate::coalesce::collect::{Collect, Shared};
    use crate::sharing::{CacheControl, is_for_everybody};
    use ::http::{Response, StatusCode, header};
    use buttress_core::{Http, Rejection};
    use bytes::Bytes;
    use http_body::Body;
    use std::any::Any;
    use std::sync::Arc;

    impl<B, Err, C, M> CoalesceProtocol<Response<B>, Err> for Http<C, M>
    where
        B: Body<Data: From<Bytes>>,
    {
        type Response = Response<CoalesceBody<B>>;
        type Collect = Collect<B>;

        #[inline]
        fn alone(response: Response<B>) -> Self::Response {
            response.map(CoalesceBody::inner)
        }

        #[inline]
        fn land(response: Response<B>, leader: Leader) -> Step<Self::Response, Collect<B>> {
            // A refusal is about the leader: its deadline, its quota.
            if response.extensions().get::<Rejection>().is_some() {
                leader.fail();
            } else if let Some(leader) = leader.close() {
                if can_be_shared(&response, &leader) {
                    return Step::Collect(Collect::new(response, leader));
                }
                leader.release();
            }
            Step::Done(response.map(CoalesceBody::inner))
        }

        fn follow(answer: Arc<dyn Any + Send + Sync>) -> Option<Self::Response> {
            let answer = answer.downcast::<Shared>().ok()?;
            Some(answer.response())
        }
    }

    #[cold]
    fn can_be_shared<B: Body>(response: &Response<B>, leader: &Leader) -> bool {
        let (headers, settings) = (response.headers(), leader.settings());
        let ends = response.body().size_hint().lower() <= settings.room.longest()
            && response.status() != StatusCode::SWITCHING_PROTOCOLS
            && headers
                .get(header::CONTENT_TYPE)
                .is_none_or(|kind| !kind.as_bytes().starts_with(b"text/event-stream"));
        let meant = || is_for_everybody(headers, &CacheControl::of(headers));
        ends && (!settings.asks_the_answer || meant())
    }
}
