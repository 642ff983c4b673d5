//! What each kind of settings makes.

use crate::build::interned;
use crate::policy::{AnyKey, AnyLimit, AnyOf, AnyPolicy};
use crate::settings::{
    AdaptiveLimitSettings, AlgorithmSettings, BulkheadSettings, CircuitBreakerSettings,
    DeadlineShedderSettings, FairShareSettings, KeyBy, KeySettings, PaceSettings, PressureSettings,
    PrioritySettings, QueueDelaySettings, RateAlgorithm, RateLimitSettings, ThrottleSettings,
};
use buttress::{Keyed, KeyedBuilder, SettingError};
use std::fmt::Debug;

/// Settings of a policy.
pub(crate) trait Kind: Clone + PartialEq + Debug + Send + Sync + 'static {
    /// What the file calls it.
    const NAME: &'static str;

    /// The policy. `name` is that of what it belongs to.
    fn make(&self, name: &'static str) -> Result<AnyPolicy, SettingError>;

    /// Makes the policy that was made by `before` follow these settings, if that is possible while
    /// calls run. `None` if it needs a new one.
    fn adapt(&self, before: &Self, policy: &AnyPolicy) -> Adapted {
        let _ = (before, policy);
        None
    }

    fn priority(&self) -> Option<&PrioritySettings> {
        None
    }

    /// Whether it is in shadow.
    fn shadow(&self) -> bool;

    /// The same, enforced.
    fn enforced(&self) -> Self;
}

/// What makes a policy follow new settings, once all else is well.
pub(crate) type Adapted = Option<Box<dyn FnOnce()>>;

macro_rules! shadow {
    () => {
        fn shadow(&self) -> bool {
            self.shadow.as_ref().is_some_and(|shadow| **shadow)
        }

        fn enforced(&self) -> Self {
            Self {
                shadow: None,
                ..self.clone()
            }
        }
    };
}

macro_rules! priority {
    () => {
        fn priority(&self) -> Option<&PrioritySettings> {
            self.priority.as_ref()?.on()
        }
    };
}

/// A builder that carries the name of what it belongs to, unless the file gives it one.
macro_rules! named {
    ($settings:ident, $builder:expr, $name:ident) => {
        match &$settings.name {
            Some(_) => $builder,
            None => $builder.named($name),
        }
    };
}

impl Kind for PressureSettings {
    const NAME: &'static str = "pressure";
    shadow!();
    priority!();

    fn make(&self, _: &'static str) -> Result<AnyPolicy, SettingError> {
        self.builder().build().map(AnyOf::Pressure)
    }
}

impl Kind for DeadlineShedderSettings {
    const NAME: &'static str = "deadline_shedder";
    shadow!();
    priority!();

    fn make(&self, _: &'static str) -> Result<AnyPolicy, SettingError> {
        self.builder().build().map(AnyOf::DeadlineShedder)
    }
}

impl Kind for QueueDelaySettings {
    const NAME: &'static str = "queue_delay";
    shadow!();
    priority!();

    fn make(&self, _: &'static str) -> Result<AnyPolicy, SettingError> {
        self.builder().build().map(AnyOf::QueueDelay)
    }
}

impl Kind for RateLimitSettings {
    const NAME: &'static str = "rate_limit";
    shadow!();

    fn make(&self, name: &'static str) -> Result<AnyPolicy, SettingError> {
        let builder = named!(self, self.builder(), name);
        let window = matches!(
            self.algorithm.as_deref(),
            Some(RateAlgorithm::SlidingWindow)
        );
        Ok(match (key_of(&self.key)?, window) {
            (None, false) => AnyOf::RateLimit(builder.build()?),
            (None, true) => AnyOf::WindowLimit(builder.sliding_window().build()?),
            (Some(key), false) => AnyOf::RateLimitBy(keyed(builder.by(key), &self.key)?),
            (Some(key), true) => {
                AnyOf::WindowLimitBy(keyed(builder.sliding_window().by(key), &self.key)?)
            }
        })
    }
}

impl Kind for FairShareSettings {
    const NAME: &'static str = "fair_share";
    shadow!();
    priority!();

    fn make(&self, name: &'static str) -> Result<AnyPolicy, SettingError> {
        let builder = self.builder(any_key(&self.by)?);
        named!(self, builder, name).build().map(AnyOf::FairShare)
    }

    fn adapt(&self, before: &Self, policy: &AnyPolicy) -> Adapted {
        let AnyOf::FairShare(shares) = policy else {
            return None;
        };
        let alike = Self {
            limit: before.limit,
            ..self.clone()
        };
        let (shares, limit) = (shares.clone(), *self.limit);
        // It was checked when the file was, so it cannot be refused.
        (alike == *before).then(|| boxed(move || _ = shares.set_limit(limit)))
    }
}

impl Kind for BulkheadSettings {
    const NAME: &'static str = "bulkhead";
    shadow!();
    priority!();

    fn make(&self, name: &'static str) -> Result<AnyPolicy, SettingError> {
        let builder = named!(self, self.builder(), name);
        Ok(match (key_of(&self.key)?, &self.shuffle_sharded) {
            (Some(key), Some(sharded)) => {
                let (all, each) = (*sharded.compartments, *sharded.per_key);
                let mut builder = builder.shuffle_sharded(all, each, key);
                if let Some(seed) = &sharded.seed {
                    builder = builder.seed(**seed);
                }
                if let Some(missing) = &self.key.missing_key {
                    builder = builder.missing_key(missing.means());
                }
                AnyOf::Sharded(builder.build()?)
            }
            (Some(key), None) => AnyOf::BulkheadBy(keyed(builder.by(key), &self.key)?),
            (None, _) => AnyOf::Bulkhead(builder.build()?),
        })
    }

    fn adapt(&self, before: &Self, policy: &AnyPolicy) -> Adapted {
        let alike = Self {
            limit: before.limit,
            ..self.clone()
        };
        if alike != *before {
            return None;
        }
        let limit = *self.limit;
        match policy {
            AnyOf::Bulkhead(slots) => {
                let slots = slots.clone();
                Some(boxed(move || _ = slots.set_limit(limit)))
            }
            AnyOf::Sharded(sharded) => {
                let sharded = sharded.clone();
                Some(boxed(move || {
                    for slots in sharded.compartments() {
                        let _ = slots.set_limit(limit);
                    }
                }))
            }
            _ => None,
        }
    }
}

impl Kind for AdaptiveLimitSettings {
    const NAME: &'static str = "adaptive_limit";
    shadow!();
    priority!();

    fn make(&self, name: &'static str) -> Result<AnyPolicy, SettingError> {
        let algorithm = match self.algorithm.as_deref() {
            None => AnyLimit::LatencyQuantile(buttress::limit::LatencyQuantile::new()),
            Some(AlgorithmSettings::LatencyQuantile(limit)) => {
                AnyLimit::LatencyQuantile(limit.limit())
            }
            Some(AlgorithmSettings::Vegas(limit)) => AnyLimit::Vegas(limit.limit()),
            Some(AlgorithmSettings::Gradient2(limit)) => AnyLimit::Gradient2(limit.limit()),
            Some(AlgorithmSettings::Aimd(limit)) => AnyLimit::Aimd(limit.limit()),
        };
        let builder = named!(self, self.builder(algorithm), name);
        Ok(match key_of(&self.key)? {
            Some(key) => AnyOf::AdaptiveBy(keyed(builder.by(key), &self.key)?),
            None => AnyOf::Adaptive(builder.build()?),
        })
    }
}

impl Kind for PaceSettings {
    const NAME: &'static str = "pace";
    shadow!();

    fn make(&self, name: &'static str) -> Result<AnyPolicy, SettingError> {
        let builder = named!(self, self.builder(), name);
        Ok(match key_of(&self.key)? {
            Some(key) => AnyOf::PaceBy(keyed(builder.by(key), &self.key)?),
            None => AnyOf::Pace(builder.build()?),
        })
    }
}

impl Kind for CircuitBreakerSettings {
    const NAME: &'static str = "circuit_breaker";
    shadow!();

    fn make(&self, name: &'static str) -> Result<AnyPolicy, SettingError> {
        let builder = self.builder(name);
        Ok(match key_of(&self.key)? {
            Some(key) => AnyOf::BreakerBy(keyed(builder.by(key), &self.key)?),
            None => AnyOf::Breaker(builder.build()?),
        })
    }
}

impl Kind for ThrottleSettings {
    const NAME: &'static str = "throttle";
    shadow!();

    fn make(&self, name: &'static str) -> Result<AnyPolicy, SettingError> {
        let builder = named!(self, self.builder(), name);
        Ok(match key_of(&self.key)? {
            Some(key) => AnyOf::ThrottleBy(keyed(builder.by(key), &self.key)?),
            None => AnyOf::Throttle(builder.build()?),
        })
    }
}

fn boxed(adapt: impl FnOnce() + 'static) -> Box<dyn FnOnce()> {
    Box::new(adapt)
}

fn key_of(settings: &KeySettings) -> Result<Option<AnyKey>, SettingError> {
    settings.by.as_deref().map(any_key).transpose()
}

fn any_key(by: &KeyBy) -> Result<AnyKey, SettingError> {
    Ok(match by {
        KeyBy::Peer(key) => AnyKey::Peer(key.key()?),
        KeyBy::ClientAddr(key) => AnyKey::ClientAddr(key.key()?),
        KeyBy::Header(name) => AnyKey::Header(name.key()?),
        KeyBy::Authority => AnyKey::Authority(buttress::key::authority()),
        KeyBy::GrpcMethod => AnyKey::GrpcMethod(buttress::key::grpc_method()),
        KeyBy::Method => AnyKey::Method,
        #[cfg(feature = "axum")]
        KeyBy::PathTemplate => AnyKey::PathTemplate(buttress::key::path_template()),
        #[cfg(not(feature = "axum"))]
        KeyBy::PathTemplate => {
            let allowed = "another key, or the feature `axum`";
            return Err(SettingError::new("by", "path_template", allowed));
        }
    })
}

fn keyed<P: 'static>(
    mut builder: KeyedBuilder<AnyKey, P>,
    settings: &KeySettings,
) -> Result<Keyed<AnyKey, P>, SettingError> {
    if let Some(most) = &settings.max_keys {
        builder = builder.max_keys(**most);
    }
    if let Some(missing) = &settings.missing_key {
        builder = builder.missing_key(missing.means());
    }
    builder.build()
}

/// A name that policies can have, of one that a file has for something else.
pub(super) fn policy_name(name: &str, otherwise: &'static str) -> &'static str {
    let fits =
        (1..=64).contains(&name.len()) && name.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    fits.then(|| interned(name)).flatten().unwrap_or(otherwise)
}
