use super::layer::Retry;
use super::methods::Methods;
use super::protocol::RetryNames;
use super::repeats::{Everything, IfSafe};
use super::rules::{On, Rules, Shared};
#[cfg(feature = "http")]
use crate::attempt::header_name;
use crate::repeat::Look;
use buttress_core::setting::{check_duration, check_name, check_range};
use buttress_core::{Backoff, Random, RetryBudget, SettingError, Spread};
use std::sync::Arc;
use std::time::Duration;

/// The settings of a [`Retry`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct RetryBuilder<R = IfSafe> {
    name: &'static str,
    rules: Rules,
    budget: Option<RetryBudget>,
    seed: Option<u64>,
    replay_limit: usize,
    longest_wait: Duration,
    not_of_retries: bool,
    #[cfg(feature = "http")]
    attempt_header: Option<&'static str>,
    #[cfg(feature = "http")]
    marker: Option<&'static str>,
    repeats: R,
}

impl RetryBuilder {
    pub(super) fn new() -> Self {
        Self {
            name: "retry",
            rules: Rules {
                attempts: 3,
                backoff: Backoff::new(),
                on: On::Usual,
            },
            budget: Some(RetryBudget::new()),
            seed: None,
            replay_limit: 64 * 1024,
            longest_wait: Duration::from_secs(10),
            not_of_retries: false,
            #[cfg(feature = "http")]
            attempt_header: None,
            #[cfg(feature = "http")]
            marker: None,
            repeats: IfSafe,
        }
    }

    /// Lets every request be repeated: for routes of which you know that doing it twice does no
    /// harm. By default the protocol says which ones may be.
    pub fn repeats_all(self) -> RetryBuilder<Everything> {
        self.repeats_by(Everything)
    }

    /// Lets those requests be repeated for which `function` is true, instead of those of which the
    /// protocol says that it is safe.
    ///
    /// ```
    /// use buttress::Retry;
    /// use http::Request;
    ///
    /// fn is_search<B>(request: &Request<B>) -> bool {
    ///     request.method().is_idempotent() || request.uri().path() == "/search"
    /// }
    ///
    /// let retry = Retry::builder().repeats_if(is_search::<String>).build()?;
    /// # let _ = retry;
    /// # Ok::<(), buttress::SettingError>(())
    /// ```
    pub fn repeats_if<Req, F>(self, function: F) -> RetryBuilder<F>
    where
        F: Fn(&Req) -> bool,
    {
        self.repeats_by(function)
    }

    /// Lets those requests be repeated of which a [`Repeats`](crate::retry::Repeats) of your own
    /// says so: where a setting chooses among several.
    pub fn repeats_by<Q>(self, repeats: Q) -> RetryBuilder<Q> {
        RetryBuilder {
            name: self.name,
            rules: self.rules,
            budget: self.budget,
            seed: self.seed,
            replay_limit: self.replay_limit,
            longest_wait: self.longest_wait,
            not_of_retries: self.not_of_retries,
            #[cfg(feature = "http")]
            attempt_header: self.attempt_header,
            #[cfg(feature = "http")]
            marker: self.marker,
            repeats,
        }
    }
}

impl<R> RetryBuilder<R> {
    /// How many attempts there are at most, with the first one: 1 (none is a retry) to 10, 3 by
    /// default as in Google's SRE book. What ten attempts don't do, an eleventh won't.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.rules.attempts = attempts;
        self
    }

    /// How long to wait between attempts: [exponentially](Backoff::new) by default.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.rules.backoff = backoff;
        self
    }

    /// The budget: [20 % of the calls, or 10 a second](RetryBudget::new) by default. Hand a clone to
    /// everything that calls the same callee.
    pub fn budget(mut self, budget: RetryBudget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Without a budget, retries multiply the load of a callee that fails. It may be right where
    /// the callers are few and something else bounds them.
    pub fn no_budget(mut self) -> Self {
        self.budget = None;
        self
    }

    /// After which answers to try again, instead of those of the
    /// [default](super::is_worth_repeating). Refusals of layers further in are not retried whatever
    /// it says, except attempts that were given up by a timeout; nor is what the callee marked, or what
    /// failed because the request's body broke off or was waited for.
    ///
    /// ```
    /// use buttress::Retry;
    /// use buttress::repeat::AnswerKind;
    /// use buttress::retry::is_worth_repeating;
    /// use http::StatusCode;
    ///
    /// // 500, too.
    /// let failed = AnswerKind::HttpStatus(StatusCode::INTERNAL_SERVER_ERROR);
    /// let retry = Retry::builder()
    ///     .retry_on(move |look| is_worth_repeating(look) || look.answer == failed)
    ///     .build()?;
    /// # let _ = retry;
    /// # Ok::<(), buttress::SettingError>(())
    /// ```
    pub fn retry_on(mut self, function: impl Fn(&Look) -> bool + Send + Sync + 'static) -> Self {
        self.rules.on = On::Function(Arc::new(function));
        self
    }

    /// How many bytes of a request's body are kept, in case it must be sent again: 0 to 16 MiB, 64
    /// KiB by default as in linkerd. A longer body is sent, and not retried. HTTP only.
    pub fn replay_limit(mut self, bytes: usize) -> Self {
        self.replay_limit = bytes;
        self
    }

    /// The longest wait that is worth it, up to a year: 10 s by default. If a callee asks for a
    /// longer one, or the backoff has one, the answer that came is the answer. A deadline of the
    /// request bounds waits as well.
    pub fn longest_wait(mut self, wait: Duration) -> Self {
        self.longest_wait = wait;
        self
    }

    /// Leaves retrying to whoever began: a request that is itself a retry, or is made on behalf of
    /// one, is sent once. It is known by the [attempt header](Self::attempt_header), by
    /// `grpc-previous-rpc-attempts`, and by an [`Attempt`](crate::Attempt) in its extensions. HTTP
    /// only.
    #[cfg(feature = "http")]
    pub fn not_of_retries(mut self) -> Self {
        self.not_of_retries = true;
        self
    }

    /// The header in which requests say how many attempts there were before them, their own and
    /// those further up: a whole number, absent if there were none, like
    /// `grpc-previous-rpc-attempts`, which retries of gRPC calls carry in any case. By default there
    /// is none. HTTP only.
    #[cfg(feature = "http")]
    pub fn attempt_header(mut self, name: &'static str) -> Self {
        self.attempt_header = Some(name);
        self
    }

    /// The header of answers that must not be retried, with the value `false`:
    /// [`x-should-retry`](buttress_core::pushback::SHOULD_RETRY) by default. All tiers must agree on
    /// it. gRPC has one of its own, a negative `grpc-retry-pushback-ms`. HTTP only.
    #[cfg(feature = "http")]
    pub fn marker(mut self, name: &'static str) -> Self {
        self.marker = Some(name);
        self
    }

    /// Makes the jitter repeat: the same seed, the same waits.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The name by which it is told from others: 1 to 64 printable ASCII characters, `"retry"` by
    /// default.
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed.
    pub fn build(self) -> Result<Retry<R>, SettingError> {
        let names = self.check()?;
        Ok(self.build_with(names, None))
    }

    /// The defaults need no checks.
    pub(super) fn build_default(self) -> Retry<R> {
        self.build_with(RetryNames::default(), None)
    }

    /// With rules for each method.
    #[cfg(feature = "service-config")]
    pub(crate) fn build_for(self, methods: Methods) -> Result<Retry<R>, SettingError> {
        let names = self.check()?;
        Ok(self.build_with(names, Some(methods)))
    }

    /// The same of settings that need no checks.
    #[cfg(feature = "service-config")]
    pub(crate) fn build_default_for(self, methods: Methods) -> Retry<R> {
        self.build_with(RetryNames::default(), Some(methods))
    }

    fn check(&self) -> Result<RetryNames, SettingError> {
        check_range("attempts", self.rules.attempts, 1..=10)?;
        check_range("replay_limit", self.replay_limit, 0..=16 * 1024 * 1024)?;
        check_duration("longest_wait", self.longest_wait)?;
        check_name("named", self.name)?;
        self.header_names()
    }

    fn build_with(self, names: RetryNames, methods: Option<Methods>) -> Retry<R> {
        let shared = Shared {
            name: self.name,
            rules: self.rules,
            methods,
            budget: self.budget,
            random: self.seed.map_or_else(Random::new, Random::seeded),
            names,
            replay_limit: self.replay_limit,
            longest_wait: self.longest_wait,
            not_of_retries: self.not_of_retries,
        };
        Retry {
            shared: Spread::new(shared),
            repeats: self.repeats,
        }
    }

    #[cfg(feature = "http")]
    fn header_names(&self) -> Result<RetryNames, SettingError> {
        let checked = |setting, name: Option<&str>| {
            let name = name.map(|name| header_name(setting, name));
            name.transpose()
        };
        Ok(RetryNames {
            attempt: checked("attempt_header", self.attempt_header)?,
            marker: checked("marker", self.marker)?,
        })
    }

    #[cfg(not(feature = "http"))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "HTTP has some"
    )]
    fn header_names(&self) -> Result<RetryNames, SettingError> {
        Ok(RetryNames::default())
    }
}
