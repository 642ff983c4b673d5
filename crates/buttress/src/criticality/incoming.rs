use super::trust::{Nobody, Trust};
use super::{Carried, Criticality, HEADER};
use crate::deadline::header_name;
use buttress_core::{Look, SettingError};
use http::{HeaderName, Request};
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Says how critical each request is, and puts that into its extensions as a [`Criticality`].
///
/// A header says it, if the caller is [trusted](Self::trusting) to: by default nobody is, so a
/// forged header changes nothing. For all other requests, and for those whose header holds none of
/// the four names, or is there twice, it is what is [given](Self::otherwise): a fixed one for a
/// route, or what a closure finds. By default it stays what a layer further out said, or else
/// `CRITICAL`.
///
/// A header that is not believed is removed, so that a proxy which passes requests on does not make it
/// its own word. Put the layer outside of what sheds load. Storing a criticality other than the default allocates.
///
/// ```
/// use buttress::criticality::{Criticality, Everybody, IncomingCriticality};
///
/// // Among our own services, the header is believed.
/// let internal = IncomingCriticality::new().trusting(Everybody);
///
/// // This route is all reports.
/// let reports = IncomingCriticality::new().otherwise(Criticality::Sheddable);
///
/// // By a closure; a request's body type must be named.
/// let by_path = IncomingCriticality::new().otherwise(|request: &http::Request<String>| {
///     match request.uri().path() {
///         "/checkout" => Criticality::CriticalPlus,
///         _ => Criticality::Critical,
///     }
/// });
/// # let _ = (internal, reports, by_path);
/// ```
#[derive(Clone, Debug)]
pub struct IncomingCriticality<T = Nobody, L = Carried> {
    header: HeaderName,
    trust: T,
    otherwise: L,
}

impl IncomingCriticality {
    /// Believes nobody, and leaves requests as critical as they are.
    pub const fn new() -> Self {
        Self {
            header: HEADER,
            trust: Nobody,
            otherwise: Carried,
        }
    }
}

impl Default for IncomingCriticality {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, L> IncomingCriticality<T, L> {
    /// The header that trusted callers set: `x-criticality` by default.
    ///
    /// # Errors
    ///
    /// `name` is not a header's name.
    pub fn header(self, name: &str) -> Result<Self, SettingError> {
        let header = header_name(name)?;
        Ok(Self { header, ..self })
    }

    /// Whose header is believed: [`Everybody`](super::Everybody)'s, that of the
    /// [peers in](super::peers_in) some networks, or what a closure says, which might look at the
    /// client's certificate.
    pub fn trusting<U>(self, trust: U) -> IncomingCriticality<U, L> {
        IncomingCriticality {
            header: self.header,
            trust,
            otherwise: self.otherwise,
        }
    }

    /// How critical a request is that no believed header says anything about: a [`Criticality`], or
    /// a closure from the request to one.
    pub fn otherwise<M>(self, look: M) -> IncomingCriticality<T, M> {
        IncomingCriticality {
            header: self.header,
            trust: self.trust,
            otherwise: look,
        }
    }

    /// Puts a request's criticality into its extensions, and takes a header off that is not to be
    /// believed, as the layer does: for services that have no place for one more layer.
    pub fn mark<B>(&self, request: &mut Request<B>)
    where
        T: Trust<Request<B>>,
        L: Look<Request<B>>,
    {
        let criticality = self.stated(request).unwrap_or_else(|| {
            // So that whoever passes the request on does not pass on what a stranger wrote.
            request.headers_mut().remove(&self.header);
            self.otherwise.criticality(request)
        });
        criticality.put(request.extensions_mut());
    }

    /// What the request's header says, if that is to be believed.
    fn stated<B>(&self, request: &Request<B>) -> Option<Criticality>
    where
        T: Trust<Request<B>>,
    {
        let mut values = request.headers().get_all(&self.header).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        Criticality::parse(value.as_bytes()).filter(|_| self.trust.trusts(request))
    }
}

impl<S, T: Clone, L: Clone> Layer<S> for IncomingCriticality<T, L> {
    type Service = IncomingCriticalityService<S, T, L>;

    fn layer(&self, inner: S) -> Self::Service {
        IncomingCriticalityService {
            inner,
            settings: self.clone(),
        }
    }
}

/// A service whose requests carry their criticality.
#[derive(Clone, Debug)]
pub struct IncomingCriticalityService<S, T = Nobody, L = Carried> {
    inner: S,
    settings: IncomingCriticality<T, L>,
}

impl<S, T, L, B> Service<Request<B>> for IncomingCriticalityService<S, T, L>
where
    S: Service<Request<B>>,
    T: Trust<Request<B>>,
    L: Look<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        self.settings.mark(&mut request);
        self.inner.call(request)
    }
}
