use super::builder::RetryBuilder;
use super::repeats::IfSafe;
use super::rules::Shared;
use super::service::RetryService;
use crate::{DefaultProtocol, clock};
use buttress_core::{Now, RetryBudget, Spread};
use tower_layer::Layer;

/// Tries calls again that failed, within a budget.
///
/// It is a layer and a handle: clones share the budget, so there should be one for each callee. The
/// [module](super) says what is retried, and where in a stack it belongs.
///
/// ```
/// use buttress::{Backoff, Plain, Retry, RetryBudget};
/// use std::time::Duration;
/// use tower::{BoxError, ServiceBuilder, service_fn};
///
/// let retry = Retry::builder()
///     .attempts(4)
///     .backoff(Backoff::exponential(Duration::from_millis(20), Duration::from_millis(500))?)
///     .budget(RetryBudget::share(0.1, 5)?)
///     .build()?;
///
/// let service = ServiceBuilder::new()
///     .layer(retry.protocol(Plain::new()))
///     .service(service_fn(|name: String| async move { Ok::<_, BoxError>(name.len()) }));
/// # let _ = service;
/// # Ok::<(), buttress::SettingError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Retry<R = IfSafe> {
    pub(super) shared: Spread<Shared>,
    pub(super) repeats: R,
}

impl Retry {
    /// At most three attempts, exponential backoff with full jitter, and a budget of its own.
    pub fn new() -> Self {
        RetryBuilder::new().build_default()
    }

    /// The same with other settings.
    pub fn builder() -> RetryBuilder {
        RetryBuilder::new()
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> Retry<R> {
    /// The budget, if there is one. A [hedge](crate::RetryBudget::without_deposits) may share it.
    pub fn budget(&self) -> Option<&RetryBudget> {
        self.shared.budget.as_ref()
    }

    /// How many more attempts the budget allows as it stands, if there is one.
    pub fn budget_left(&self) -> Option<u64> {
        let budget = self.budget()?;
        Some(budget.left(&Now::at(clock::now())))
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.shared.name
    }
}

impl<R: Clone> Retry<R> {
    /// A layer that speaks another protocol: [`Plain`](crate::Plain) for services that are
    /// neither HTTP nor gRPC, or an `Http` with other settings.
    pub fn protocol<Pr>(&self, protocol: Pr) -> RetryLayer<Pr, R> {
        RetryLayer {
            retry: self.clone(),
            protocol,
        }
    }
}

impl<S, R: Clone> Layer<S> for Retry<R> {
    type Service = RetryService<S, DefaultProtocol, R>;

    fn layer(&self, inner: S) -> Self::Service {
        self.protocol(DefaultProtocol::new()).layer(inner)
    }
}

/// The layer that [`Retry::protocol`] makes.
#[derive(Clone, Debug)]
pub struct RetryLayer<Pr = DefaultProtocol, R = IfSafe> {
    retry: Retry<R>,
    protocol: Pr,
}

impl<S, Pr: Clone, R: Clone> Layer<S> for RetryLayer<Pr, R> {
    type Service = RetryService<S, Pr, R>;

    fn layer(&self, inner: S) -> Self::Service {
        let shared = self.retry.shared.clone();
        let repeats = self.retry.repeats.clone();
        RetryService::new(inner, shared, repeats, self.protocol.clone())
    }
}
