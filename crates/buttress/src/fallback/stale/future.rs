use super::super::protocol::{StoodIn, is_callers_mistake, rejection_in};
use super::body::{Copying, StaleBody};
use super::layer::Shared;
use super::rules::{is_error, lifetime, replaces, stored_fields};
use super::store::Stored;
use crate::clock;
use buttress_core::Rejection;
use buttress_core::digest::Digest;
use bytes::Bytes;
use http::Response;
use http_body::Body;
use pin_project::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// The future of a call whose answer is kept for when the next one fails.
///
/// # Cancellation
///
/// It can be dropped at any point. An answer whose body is dropped half-way is not kept.
#[pin_project]
pub struct StaleFuture<F> {
    /// Until it is over.
    #[pin]
    future: Option<F>,
    interest: Interest,
}

/// What a request has to do with the store.
pub(super) enum Interest {
    None,
    /// Its answer may be kept, or a kept one given in its place.
    Answer(Wanted),
    /// If it succeeds, what is kept is out of date.
    Change {
        shared: Arc<Shared>,
        resource: Digest,
    },
}

/// What a request wants.
pub(super) struct Wanted {
    pub(super) shared: Arc<Shared>,
    pub(super) resource: Digest,
    pub(super) variant: Digest,
    pub(super) asked: Instant,
    /// How old an answer may be.
    pub(super) oldest: Option<Duration>,
    /// How long it may have been stale.
    pub(super) stalest: Option<Duration>,
}

impl<F> StaleFuture<F> {
    #[inline]
    pub(super) const fn new(future: F, interest: Interest) -> Self {
        Self {
            future: Some(future),
            interest,
        }
    }
}

impl<F, B, Err> Future for StaleFuture<F>
where
    F: Future<Output = Result<Response<B>, Err>>,
    B: Body<Data: From<Bytes>>,
    Err: 'static,
{
    type Output = Result<Response<StaleBody<B>>, Err>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let result = ready!(future.poll(context));
        this.future.set(None);
        Poll::Ready(std::mem::replace(this.interest, Interest::None).settle(result))
    }
}

impl Interest {
    fn settle<B, Err>(self, result: Result<Response<B>, Err>) -> Result<Response<StaleBody<B>>, Err>
    where
        B: Body<Data: From<Bytes>>,
        Err: 'static,
    {
        match (self, result) {
            (Self::Answer(interest), Ok(response)) if !is_error(&response) => {
                Ok(interest.keep(response))
            }
            (Self::Answer(interest), result) => match interest.stored(&result) {
                Some(stored) => Ok(stored.map(StaleBody::stored)),
                None => result.map(|response| response.map(StaleBody::inner)),
            },
            (Self::Change { shared, resource }, Ok(response)) => {
                if response.status().is_success() || response.status().is_redirection() {
                    shared.store.forget(resource);
                }
                Ok(response.map(StaleBody::inner))
            }
            (_, result) => result.map(|response| response.map(StaleBody::inner)),
        }
    }
}

impl Wanted {
    /// Keeps the answer when its body is whole, if it may be kept.
    fn keep<B>(self, response: Response<B>) -> Response<StaleBody<B>>
    where
        B: Body<Data: From<Bytes>>,
    {
        let Self {
            shared, resource, ..
        } = &self;
        let longest = shared.room.longest();
        let lifetime = lifetime(&response, &shared.limits)
            .filter(|_| response.body().size_hint().lower() <= longest);
        let Some(lifetime) = lifetime else {
            if replaces(&response) {
                shared.store.forget(*resource);
            }
            return response.map(StaleBody::inner);
        };
        let (head, body) = response.into_parts();
        let answer = Stored {
            variant: self.variant,
            asked: self.asked,
            lifetime,
            version: head.version,
            headers: stored_fields(&head.headers),
            body: Bytes::new(),
        };
        let copy = Copying::new(self.shared, self.resource, answer);
        Response::from_parts(head, StaleBody::copying(body, copy))
    }

    /// What is stored, in place of a result that is an error.
    fn stored<B, Err: 'static>(
        &self,
        result: &Result<Response<B>, Err>,
    ) -> Option<Response<Bytes>> {
        let rejection = match result {
            Ok(response) => response.extensions().get(),
            Err(error) => rejection_in(error),
        };
        if rejection.is_some_and(is_callers_mistake) {
            return None;
        }
        let stored = self.shared.store.get(self.resource)?;
        if stored.variant != self.variant {
            return None;
        }
        let mut response = stored.response(clock::now(), self.oldest, self.stalest)?;
        // At a level that is off where callers could fill the log with it.
        tracing::debug!(
            refused_by = rejection.map(Rejection::policy),
            "a stored answer stands in for a call that failed"
        );
        let stood_in = StoodIn::for_result(result, rejection);
        response.extensions_mut().insert(stood_in);
        Some(response)
    }
}

impl<F> fmt::Debug for StaleFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaleFuture").finish_non_exhaustive()
    }
}
