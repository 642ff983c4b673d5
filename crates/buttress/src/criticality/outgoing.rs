use super::{Criticality, HEADER};
use crate::deadline::header_name;
use buttress_core::SettingError;
use http::{HeaderName, HeaderValue, Request};
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Writes a request's [`Criticality`] into a header, so that the callee refuses the same calls as
/// everybody else who works for this one.
///
/// Every request gets the header, with what is in its extensions, or else `CRITICAL`. One that is
/// there already is replaced: a proxy that passes requests on must not pass on what a stranger
/// wrote. To say something else, [put](Criticality::put) it into the extensions.
///
/// ```
/// use buttress::criticality::OutgoingCriticality;
///
/// let for_our_services = OutgoingCriticality::new();
/// # let _ = for_our_services;
/// ```
#[derive(Clone, Debug)]
pub struct OutgoingCriticality {
    header: HeaderName,
}

impl OutgoingCriticality {
    /// Writes `x-criticality`.
    pub const fn new() -> Self {
        Self { header: HEADER }
    }

    /// Writes the header of that name instead.
    ///
    /// # Errors
    ///
    /// `name` is not a header's name.
    pub fn header(self, name: &str) -> Result<Self, SettingError> {
        let header = header_name(name)?;
        Ok(Self { header })
    }
}

impl OutgoingCriticality {
    /// Writes the header on a request, as the layer does: for services that have no place for one
    /// more layer.
    pub fn write<B>(&self, request: &mut Request<B>) {
        let criticality = Criticality::of(request.extensions());
        let value = HeaderValue::from_static(criticality.name());
        request.headers_mut().insert(self.header.clone(), value);
    }
}

impl Default for OutgoingCriticality {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for OutgoingCriticality {
    type Service = OutgoingCriticalityService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        OutgoingCriticalityService {
            inner,
            settings: self.clone(),
        }
    }
}

/// A service whose requests tell how critical they are.
#[derive(Clone, Debug)]
pub struct OutgoingCriticalityService<S> {
    inner: S,
    settings: OutgoingCriticality,
}

impl<S, B> Service<Request<B>> for OutgoingCriticalityService<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        self.settings.write(&mut request);
        self.inner.call(request)
    }
}
