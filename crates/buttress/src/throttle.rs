use crate::clock;
use crate::guard::policy_layer;
use crate::keyed::KeyedBuilder;
use buttress_core::{Now, SettingError, Throttler};
use std::time::Duration;

/// Doesn't send what the callee would turn away.
///
/// A callee that has too much to do spends what it has on turning calls away: each costs it a
/// connection, a request to parse, an answer. Clients that go on sending all they have keep it
/// busy with that. A throttle stands in the client, sees how much the callee accepts, and refuses
/// the excess here, where it costs nothing: it sends twice what is accepted, so that the callee
/// still gets all the work that it can do, and a recovery shows.
///
/// Of R calls a second, with a callee that accepts A of them, this many are sent: all if the callee
/// accepts at least half of them; otherwise 2 · A, or a tenth of R if that is more. At 1000 calls a
/// second and a callee that accepts 400, 250, 100 or 10, that is 800, 500, 200 and, by the cap of
/// 90 %, 100. Without the cap ([`most_refused(1.0)`](ThrottleBuilder::most_refused)) the last one
/// would be 20; but then a callee that had accepted nothing for two minutes would hardly be asked again.
/// After a recovery everything is sent again within two windows.
///
/// What is refused here is a [`Reason::Throttled`](crate::Reason::Throttled): 503, gRPC
/// `UNAVAILABLE`. It is a handle: clones share what is counted.
///
/// # How it fails when misused
///
/// It learns from [`Outcome::Overload`](crate::Outcome::Overload) only: 429, a 503 with
/// `Retry-After`, `RESOURCE_EXHAUSTED`. Calls that are cancelled, or refused by a layer further in,
/// count for nothing. A callee that just fails is a circuit breaker's job, or
/// [`failures_count`](ThrottleBuilder::failures_count) is needed; with [`Plain`](crate::Plain) it
/// is, unless [`classify`](crate::Plain::classify) tells what means "too much". One throttle in
/// front of several callees makes the well ones pay for the one that is not: use
/// [`by`](ThrottleBuilder::by).
///
/// ```
/// use buttress::{Outcome, Plain, Throttle};
/// use tower::{BoxError, ServiceBuilder, service_fn};
///
/// let busy = |result: Result<&u16, &BoxError>| match result {
///     Ok(429) => Outcome::Overload,
///     Ok(_) => Outcome::Success,
///     Err(_) => Outcome::Failure,
/// };
/// let throttle = Throttle::new();
/// let service = ServiceBuilder::new()
///     .layer(throttle.protocol(Plain::new().classify(busy)))
///     .service(service_fn(|_: String| async { Ok::<u16, BoxError>(200) }));
/// # let _ = service;
/// assert_eq!(throttle.snapshot().refusal_probability, 0.0);
/// ```
///
/// The formula, K = 2 and the two minutes are those of *Site Reliability Engineering* (Beyer et
/// al., 2016), chapter 21.
#[derive(Clone, Debug)]
pub struct Throttle {
    throttler: Throttler,
}

impl Throttle {
    /// Sends twice what is accepted, by what the last two minutes saw, and at least a tenth of what
    /// there is.
    pub fn new() -> Self {
        Self {
            throttler: Throttler::new(),
        }
    }

    /// The same with other settings.
    pub fn builder() -> ThrottleBuilder {
        ThrottleBuilder {
            multiplier: None,
            window: None,
            most_refused: None,
            failures_count: false,
            seed: None,
            name: "throttle",
        }
    }

    /// What the window holds now.
    pub fn snapshot(&self) -> ThrottleSnapshot {
        let now = Now::at(clock::now());
        let (requests, accepts) = self.throttler.counted(&now);
        ThrottleSnapshot {
            requests,
            accepts,
            refusal_probability: self.throttler.refusal_probability(&now),
        }
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new()
    }
}

policy_layer!([] Throttle, throttler: Throttler);

/// What a [`Throttle`] knows.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ThrottleSnapshot {
    /// Calls in the window, those included that were refused here. What is under way does not count
    /// yet, and what was cancelled never does.
    pub requests: u64,
    /// Those among them that the callee accepted.
    pub accepts: u64,
    /// With which probability the next call is refused, from 0 to 1.
    pub refusal_probability: f64,
}

/// The settings of a [`Throttle`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct ThrottleBuilder {
    multiplier: Option<f64>,
    window: Option<Duration>,
    most_refused: Option<f64>,
    failures_count: bool,
    seed: Option<u64>,
    name: &'static str,
}

impl ThrottleBuilder {
    /// K: how many calls the callee is sent for each that it accepts, from 1 to 1 000; 2 by
    /// default. A smaller one (1.1) spares the callee more, and is slower to see that it is well
    /// again; 1 would never see it.
    pub fn multiplier(mut self, multiplier: f64) -> Self {
        self.multiplier = Some(multiplier);
        self
    }

    /// How far back it looks, from a second to an hour; two minutes by default.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = Some(window);
        self
    }

    /// The most that is refused, as a share of the calls from 0 to 1; 0.9 by default. The rest is
    /// sent whatever the callee did with what was sent before, so that its recovery is seen.
    pub fn most_refused(mut self, share: f64) -> Self {
        self.most_refused = Some(share);
        self
    }

    /// Counts failures like calls that were turned away. By default a failure was accepted: the
    /// callee took the call on, and did badly.
    pub fn failures_count(mut self) -> Self {
        self.failures_count = true;
        self
    }

    /// Draws the same random numbers in each run, for tests and experiments.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The name that refusals carry: 1 to 64 printable ASCII characters, `"throttle"` by default.
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// One throttle with these settings for each key: each upstream, for instance. The next call
    /// must be of the keyed builder's.
    pub fn by<K>(self, key: K) -> KeyedBuilder<K, Throttler> {
        let name = self.name;
        KeyedBuilder::from_template(key, name, self.throttler(), Throttler::fresh)
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed.
    pub fn build(self) -> Result<Throttle, SettingError> {
        let throttler = self.throttler()?;
        Ok(Throttle { throttler })
    }

    fn throttler(self) -> Result<Throttler, SettingError> {
        let mut throttler = Throttler::new().named(self.name)?;
        if let Some(multiplier) = self.multiplier {
            throttler = throttler.multiplier(multiplier)?;
        }
        if let Some(window) = self.window {
            throttler = throttler.window(window)?;
        }
        if let Some(share) = self.most_refused {
            throttler = throttler.most_refused(share)?;
        }
        if self.failures_count {
            throttler = throttler.failures_count();
        }
        if let Some(seed) = self.seed {
            throttler = throttler.seed(seed);
        }
        Ok(throttler)
    }
}
