use super::ended::WhenItFails;
use super::instead::{ByFunction, ByKept, ByService, Value};
use super::service::FallbackService;
use crate::DefaultProtocol;
use std::fmt;
use std::sync::Arc;
use tower_layer::Layer;

/// Answers in place of a call that was refused or has failed; see [the module](super). It is a
/// layer, and cheap to clone.
///
/// With HTTP, values and functions answer with a `Response<Bytes>`:
///
/// ```
/// use buttress::Fallback;
/// use bytes::Bytes;
/// use http::Response;
///
/// let empty_list = Response::builder()
///     .header("content-type", "application/json")
///     .body(Bytes::from_static(b"[]"))?;
/// let layer = Fallback::value(empty_list);
/// # let _ = layer;
/// # Ok::<(), http::Error>(())
/// ```
pub struct Fallback<A, W = WhenItFails> {
    instead: Arc<A>,
    when: W,
}

impl<A> Fallback<A> {
    fn new(instead: A) -> Self {
        Self {
            instead: Arc::new(instead),
            when: WhenItFails,
        }
    }
}

impl<V> Fallback<Value<V>> {
    /// Answers with a clone of `value`. A call that succeeds allocates nothing for it.
    pub fn value(value: V) -> Self {
        Self::new(Value(value))
    }
}

impl<F> Fallback<ByFunction<F>> {
    /// Answers with what a function makes of [how the call ended](super::Ended), or with the
    /// original if it returns `None`.
    ///
    /// ```
    /// use buttress::{Fallback, Plain, Reason, fallback::Ended};
    /// use tower::BoxError;
    ///
    /// let layer = Fallback::by(|ended: Ended<'_, u64, BoxError>| {
    ///     let reason = ended.rejection()?.reason();
    ///     (reason == Reason::CircuitOpen).then_some(0)
    /// });
    /// # let _ = layer.protocol(Plain::new());
    /// ```
    pub fn by(function: F) -> Self {
        Self::new(ByFunction(function))
    }
}

impl<G> Fallback<Keeping<G>> {
    /// Keeps of each request what `keep` returns, for a function or a service to answer with.
    /// Neither the request nor its body is held: what is not kept is not there. What `keep`
    /// allocates it does for each call, so let it take little; [`head`](super::head) takes all but
    /// the body.
    pub fn keeping(keep: G) -> Keeping<G> {
        Keeping { keep }
    }
}

/// What [`Fallback::keeping`] keeps, and nothing to answer with yet.
#[derive(Clone, Copy, Debug)]
#[must_use = "call `by` or `service`"]
pub struct Keeping<G> {
    keep: G,
}

impl<G> Keeping<G> {
    /// Answers with what a function makes of what was kept and of
    /// [how the call ended](super::Ended), or with the original if it returns `None`.
    pub fn by<F>(self, function: F) -> Fallback<ByKept<G, F>> {
        let keep = self.keep;
        Fallback::new(ByKept { keep, function })
    }

    /// Answers with what another service says to what was kept, or with the original if that
    /// service is not ready at once, fails, or answers with a failure. It must have the same
    /// response type, and be `Clone`, since each call has a clone of its own, and `Sync`.
    ///
    /// ```
    /// use buttress::{Fallback, Plain};
    /// use tower::{BoxError, service_fn};
    ///
    /// let elsewhere = service_fn(|id: u64| async move { Ok::<_, BoxError>(format!("user {id}")) });
    /// let layer = Fallback::keeping(|id: &u64| *id).service(elsewhere);
    /// # let _ = layer.protocol(Plain::new());
    /// ```
    pub fn service<S>(self, service: S) -> Fallback<ByService<G, S>> {
        let keep = self.keep;
        Fallback::new(ByService { keep, service })
    }
}

impl<A, W> Fallback<A, W> {
    /// Stands in when a function of [how the call ended](super::Ended) says so, instead of
    /// [when the call failed](super#when-it-stands-in). It is asked after each call, also after
    /// those that succeed.
    ///
    /// ```
    /// use buttress::{Fallback, Plain, fallback::Ended};
    /// use tower::BoxError;
    ///
    /// let layer = Fallback::value(0_u64)
    ///     .when(|ended: Ended<'_, u64, BoxError>| ended.rejection().is_some());
    /// # let _ = layer.protocol(Plain::new());
    /// ```
    pub fn when<X>(self, when: X) -> Fallback<A, X> {
        Fallback {
            instead: self.instead,
            when,
        }
    }

    /// A layer that speaks another protocol: [`Plain`](crate::Plain) for services that are
    /// neither HTTP nor gRPC.
    pub fn protocol<Pr>(self, protocol: Pr) -> FallbackLayer<A, W, Pr> {
        FallbackLayer {
            fallback: self,
            protocol,
        }
    }
}

impl<A, W: Clone> Clone for Fallback<A, W> {
    fn clone(&self) -> Self {
        Self {
            instead: Arc::clone(&self.instead),
            when: self.when.clone(),
        }
    }
}

impl<A, W> fmt::Debug for Fallback<A, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback").finish_non_exhaustive()
    }
}

impl<S, A, W: Clone> Layer<S> for Fallback<A, W> {
    type Service = FallbackService<S, A, W>;

    fn layer(&self, inner: S) -> Self::Service {
        self.clone().protocol(DefaultProtocol::new()).layer(inner)
    }
}

/// The layer that [`Fallback::protocol`] makes.
#[derive(Clone, Debug)]
pub struct FallbackLayer<A, W = WhenItFails, Pr = DefaultProtocol> {
    fallback: Fallback<A, W>,
    protocol: Pr,
}

impl<S, A, W: Clone, Pr: Clone> Layer<S> for FallbackLayer<A, W, Pr> {
    type Service = FallbackService<S, A, W, Pr>;

    fn layer(&self, inner: S) -> Self::Service {
        let Fallback { instead, when } = self.fallback.clone();
        FallbackService::new(inner, instead, when, self.protocol.clone())
    }
}
