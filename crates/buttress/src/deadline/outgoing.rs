use super::Deadline;
use buttress_core::SettingError;
use buttress_core::deadline_header::{
    parse_grpc_timeout, parse_milliseconds, write_grpc_timeout, write_milliseconds,
};
use http::{HeaderName, Request};
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Writes the time that is left until a request's [`Deadline`] into a header of the request, so
/// that the callee knows when nobody waits any more.
///
/// It belongs innermost, right around the client, where retries and waits have used up what they
/// use. A request without a [`Deadline`] is left as it is; a header that is there already is
/// replaced if it grants more time, and kept if it grants less. It refuses nothing: that is what
/// a [`Timeout`](crate::Timeout) further out does.
///
/// ```
/// use buttress::OutgoingDeadline;
///
/// let for_grpc = OutgoingDeadline::grpc();
/// let for_http = OutgoingDeadline::header("x-request-timeout-ms")?;
/// # let _ = (for_grpc, for_http);
/// # Ok::<(), buttress::SettingError>(())
/// ```
#[derive(Clone, Debug)]
pub struct OutgoingDeadline {
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Grpc,
    Milliseconds(HeaderName),
}

impl OutgoingDeadline {
    /// Writes `grpc-timeout`.
    pub const fn grpc() -> Self {
        Self { form: Form::Grpc }
    }

    /// Writes a whole number of milliseconds, rounded down, into the header of that name.
    ///
    /// # Errors
    ///
    /// `name` is not a header's name.
    pub fn header(name: &str) -> Result<Self, SettingError> {
        let form = Form::Milliseconds(header_name(name)?);
        Ok(Self { form })
    }

    /// Writes the header on a request, as the layer does: for services that have no place for one
    /// more layer.
    pub fn write<B>(&self, request: &mut Request<B>) {
        let Some(deadline) = Deadline::of(request.extensions()) else {
            return;
        };
        let left = deadline.left();
        let (name, granted, value) = match &self.form {
            Form::Grpc => {
                let known = request.headers().get(GRPC_TIMEOUT);
                let granted = known.and_then(|value| parse_grpc_timeout(value.as_bytes()).ok());
                (GRPC_TIMEOUT, granted, write_grpc_timeout(left))
            }
            Form::Milliseconds(name) => {
                let known = request.headers().get(name);
                let granted = known.and_then(|value| parse_milliseconds(value.as_bytes()).ok());
                (name.clone(), granted, write_milliseconds(left))
            }
        };
        if granted.is_none_or(|granted| left < granted) {
            request.headers_mut().insert(name, value);
        }
    }
}

impl<S> Layer<S> for OutgoingDeadline {
    type Service = OutgoingDeadlineService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        OutgoingDeadlineService {
            inner,
            settings: self.clone(),
        }
    }
}

/// A service whose requests tell how much time is left.
#[derive(Clone, Debug)]
pub struct OutgoingDeadlineService<S> {
    inner: S,
    settings: OutgoingDeadline,
}

impl<S, B> Service<Request<B>> for OutgoingDeadlineService<S>
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

pub(crate) fn header_name(name: &str) -> Result<HeaderName, SettingError> {
    HeaderName::try_from(name).map_err(|_| {
        let shown: String = name.chars().take(80).collect();
        SettingError::new("header", format_args!("{shown:?}"), "a header's name")
    })
}

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
