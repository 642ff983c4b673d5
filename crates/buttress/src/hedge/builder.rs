use super::delay::{Delay, HALF_LIFE, QuantileDelay};
use super::layer::{Hedge, Shared};
#[cfg(feature = "service-config")]
use super::plan::Plan;
use super::plan::{Failures, Plans};
#[cfg(feature = "http")]
use crate::deadline::header_name;
#[cfg(feature = "service-config")]
use crate::retry::methods::Methods;
use crate::retry::{Everything, IfSafe, RetryNames};
use buttress_core::setting::check_range;
use buttress_core::{ExtraLoad, RetryBudget, SettingError};
use std::sync::Arc;
use std::time::Duration;

/// The settings of a [`Hedge`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct HedgeBuilder<R = IfSafe> {
    after: Option<Duration>,
    quantile: f64,
    min_samples: u32,
    half_life: Duration,
    attempts: u32,
    extra_load: f64,
    budget: Option<RetryBudget>,
    replay_limit: usize,
    non_fatal: Option<u32>,
    #[cfg(feature = "http")]
    attempt_header: Option<&'static str>,
    repeats: R,
}

impl HedgeBuilder {
    pub(super) const fn new() -> Self {
        Self {
            after: None,
            quantile: 0.95,
            min_samples: 100,
            half_life: HALF_LIFE,
            attempts: 2,
            extra_load: 0.01,
            budget: None,
            replay_limit: 64 * 1024,
            non_fatal: None,
            #[cfg(feature = "http")]
            attempt_header: None,
            repeats: IfSafe,
        }
    }

    /// Hedges every request: for routes of which you know that doing it twice does no harm. By
    /// default the protocol says which ones may be repeated: with `Http` idempotent methods, and
    /// requests with an `Idempotency-Key`.
    pub fn repeats_all(self) -> HedgeBuilder<Everything> {
        self.repeats_by(Everything)
    }

    /// Hedges those requests for which `function` is true, instead of those of which the protocol
    /// says that it is safe. gRPC needs it, whose method is always POST.
    ///
    /// ```
    /// use buttress::Hedge;
    /// use http::Request;
    ///
    /// fn is_read<B>(request: &Request<B>) -> bool {
    ///     request.uri().path().ends_with("/Get")
    /// }
    ///
    /// let hedge = Hedge::builder().repeats_if(is_read::<String>).build()?;
    /// # let _ = hedge;
    /// # Ok::<(), buttress::SettingError>(())
    /// ```
    pub fn repeats_if<Req, F>(self, function: F) -> HedgeBuilder<F>
    where
        F: Fn(&Req) -> bool,
    {
        self.repeats_by(function)
    }

    /// Lets those requests be repeated of which a [`Repeats`](crate::retry::Repeats) of your own
    /// says so: where a setting chooses among several.
    pub fn repeats_by<Q>(self, repeats: Q) -> HedgeBuilder<Q> {
        HedgeBuilder {
            after: self.after,
            quantile: self.quantile,
            min_samples: self.min_samples,
            half_life: self.half_life,
            attempts: self.attempts,
            extra_load: self.extra_load,
            budget: self.budget,
            replay_limit: self.replay_limit,
            non_fatal: self.non_fatal,
            #[cfg(feature = "http")]
            attempt_header: self.attempt_header,
            repeats,
        }
    }
}

impl<R> HedgeBuilder<R> {
    /// Hedges a call that has been out for that long (up to a year), instead of going by the
    /// latencies seen. 0 sends all copies at once.
    pub fn after(mut self, delay: Duration) -> Self {
        self.after = Some(delay);
        self
    }

    /// Hedges a call that has been out for longer than this share of the calls of late took: from
    /// 0.5 to 0.9999, by default 0.95 (Dean and Barroso, *The Tail at Scale*, 2013).
    pub fn quantile(mut self, quantile: f64) -> Self {
        self.quantile = quantile;
        self
    }

    /// How many calls must have been seen before the first is hedged, from 1 to 1 000 000; 100 by
    /// default, since that many bring the first hedge at the default
    /// [`extra_load`](Self::extra_load). Calls that were seen long ago count less.
    pub fn min_samples(mut self, samples: u32) -> Self {
        self.min_samples = samples;
        self
    }

    /// After how long a latency that was seen weighs half, from a second to 10 minutes; 10 seconds
    /// by default.
    pub fn half_life(mut self, half_life: Duration) -> Self {
        self.half_life = half_life;
        self
    }

    /// How many copies of a call there may be, the first included: from 2, which is the default, to
    /// 5, the most that gRPC allows. Each follows the one before after the same delay.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The most that hedges may add to all calls, from 0.0001 to 4 calls for each; by default 0.01,
    /// one in a hundred. Hedges are earned first: the first call can be hedged after a hundred. What
    /// is not used is saved up, but no more than a thousand calls bring.
    pub fn extra_load(mut self, share: f64) -> Self {
        self.extra_load = share;
        self
    }

    /// A budget for all attempts beyond the first ones, which retries draw on as well. Hedges stop
    /// when it is used up. Inside a retry that has the same budget, give it
    /// [`without_deposits`](RetryBudget::without_deposits); tokens then hear of failures from both.
    /// By default there is none besides the
    /// [`extra_load`](Self::extra_load), which is stricter than the usual ones.
    pub fn budget(mut self, budget: RetryBudget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// How many bytes of a request's body are kept in order to send it again: 0 to 16 MiB, 64 KiB
    /// by default. A longer body is sent, and not hedged. HTTP only.
    pub fn replay_limit(mut self, bytes: usize) -> Self {
        self.replay_limit = bytes;
        self
    }

    /// Hedges as gRPC does (gRFC A6, `hedgingPolicy`): an answer with one of these status codes
    /// sends the next copy at once, and any other failure ends the call with it. Codes are those of
    /// gRPC, from 1 to 16; others are left out. A callee that cannot be reached counts as `UNAVAILABLE`
    /// (14), and an answer of HTTP without a gRPC status as what it stands for in gRPC.
    ///
    /// By default a failure sends nothing: hedges are there for slow answers, and retries for
    /// failures. If the first attempt fails while a hedge is out, the hedge is waited for.
    #[cfg(feature = "http")]
    pub fn non_fatal(mut self, codes: impl IntoIterator<Item = u16>) -> Self {
        let codes = codes.into_iter().filter(|code| (1..=16).contains(code));
        self.non_fatal = Some(codes.fold(0, |set, code| set | 1 << code));
        self
    }

    /// The header in which hedges say how many attempts there were before them, as
    /// [`RetryBuilder::attempt_header`](crate::RetryBuilder::attempt_header) has it. By default
    /// there is none but that of gRPC, `grpc-previous-rpc-attempts`. HTTP only.
    #[cfg(feature = "http")]
    pub fn attempt_header(mut self, name: &'static str) -> Self {
        self.attempt_header = Some(name);
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed.
    pub fn build(self) -> Result<Hedge<R>, SettingError> {
        let delay = match self.after {
            Some(after) => Delay::fixed(after)?,
            None => Delay::Quantile(Box::new(QuantileDelay::new(
                self.quantile,
                self.min_samples,
                self.half_life,
            )?)),
        };
        let plans = Plans::Same {
            delay,
            attempts: check_range("attempts", self.attempts, 2..=5)?,
            failures: self.non_fatal.map_or(Failures::Wait, Failures::Codes),
        };
        self.build_with(plans)
    }

    /// With a plan for each method, instead of what is set about delay, attempts and codes, and a
    /// budget unless one is set.
    ///
    /// # Errors
    ///
    /// Names the first of the other settings that makes no sense.
    #[cfg(feature = "service-config")]
    pub(crate) fn build_for(
        mut self,
        methods: Methods<Plan>,
        budget: impl FnOnce() -> RetryBudget,
    ) -> Result<Hedge<R>, SettingError> {
        self.budget.get_or_insert_with(budget);
        self.build_with(Plans::ByMethod(methods))
    }

    /// The same with the defaults besides, which need no checks, and no bound but the budget.
    #[cfg(feature = "service-config")]
    pub(crate) fn build_default_for(self, methods: Methods<Plan>, budget: RetryBudget) -> Hedge<R> {
        let mut shared = Shared::new(Plans::ByMethod(methods), ExtraLoad::largest());
        shared.budget = Some(budget);
        Hedge {
            shared: Arc::new(shared),
            repeats: self.repeats,
        }
    }

    fn build_with(self, plans: Plans) -> Result<Hedge<R>, SettingError> {
        let replay_limit = check_range("replay_limit", self.replay_limit, 0..=16 * 1024 * 1024)?;
        let mut shared = Shared::new(plans, ExtraLoad::new(self.extra_load)?);
        shared.names = self.names()?;
        shared.budget = self.budget;
        shared.replay_limit = replay_limit;
        Ok(Hedge {
            shared: Arc::new(shared),
            repeats: self.repeats,
        })
    }

    #[cfg(feature = "http")]
    fn names(&self) -> Result<RetryNames, SettingError> {
        Ok(RetryNames {
            attempt: self.attempt_header.map(header_name).transpose()?,
            marker: None,
        })
    }

    #[cfg(not(feature = "http"))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "HTTP has some"
    )]
    fn names(&self) -> Result<RetryNames, SettingError> {
        Ok(RetryNames::default())
    }
}
