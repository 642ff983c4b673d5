//! What each kind of settings makes.

use crate::build::interned;
use crate::policy::{AnyKey, AnyOf, AnyPolicy, Differs, Successor};
use crate::settings::{
    AdaptiveLimitSettings, BulkheadSettings, CircuitBreakerSettings, DeadlineShedderSettings,
    FairShareSettings, KeyBy, KeySettings, PaceSettings, PressureSettings, PrioritySettings,
    QueueDelaySettings, RateAlgorithm, RateLimitSettings, ShuffleShardedSettings, ThrottleSettings,
};
use buttress::{
    BulkheadBuilder, Carried, Keyed, KeyedBuilder, SettingError, ShuffleSharding,
    ShuffleShardingBuilder,
};
use std::fmt::Debug;

/// Settings of a policy.
pub(crate) trait Kind: Clone + PartialEq + Debug + Send + Sync + 'static {
    /// What the file calls it.
    const NAME: &'static str;

    /// Whether it looks at the process, and so is the same wherever it stands.
    const OF_THE_PROCESS: bool = false;

    /// The policy. `name` is that of what it belongs to.
    fn make(&self, name: &'static str) -> Result<AnyPolicy, SettingError>;

    /// What takes the place of the policy that was made by `before`.
    fn successor(
        &self,
        before: &Self,
        policy: &AnyPolicy,
        name: &'static str,
    ) -> Result<Successor, SettingError> {
        let next = self.make(name)?;
        Ok(Successor::of(policy, next, self.differs(before)))
    }

    /// What differs that is not followed while calls run.
    fn differs(&self, before: &Self) -> Differs {
        let _ = before;
        Differs::default()
    }

    fn priority(&self) -> Option<&PrioritySettings> {
        None
    }

    /// Whether it is in shadow.
    fn shadow(&self) -> bool;

    /// The same, enforced.
    fn enforced(&self) -> Self;

    /// The same, without a bar in front.
    fn without_priority(&self) -> Self {
        self.clone()
    }
}

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

        fn without_priority(&self) -> Self {
            Self {
                priority: None,
                ..self.clone()
            }
        }
    };
}

macro_rules! keyed {
    () => {
        fn differs(&self, before: &Self) -> Differs {
            Differs {
                keys: self.key.by != before.key.by,
                map: self.key != before.key || self.name != before.name,
                algorithm: false,
            }
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
    const OF_THE_PROCESS: bool = true;
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
    keyed!();

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

    fn successor(
        &self,
        before: &Self,
        policy: &AnyPolicy,
        name: &'static str,
    ) -> Result<Successor, SettingError> {
        let AnyOf::FairShare(shares) = policy else {
            return Ok(Successor::afresh(self.make(name)?));
        };
        // It was checked when the file was, so the limit cannot be refused.
        let (shares, limit) = (shares.clone(), *self.limit);
        let alike = Self {
            limit: before.limit,
            ..self.clone()
        };
        if alike == *before {
            return Ok(Successor::same(move || _ = shares.set_limit(limit)));
        }
        let builder = self.builder(any_key(&self.by)?).counting_with(&shares);
        let next = AnyOf::FairShare(named!(self, builder, name).build()?);
        Ok(Successor::other(next, move || _ = shares.set_limit(limit)))
    }
}

impl Kind for BulkheadSettings {
    const NAME: &'static str = "bulkhead";
    shadow!();
    priority!();

    keyed!();

    fn make(&self, name: &'static str) -> Result<AnyPolicy, SettingError> {
        let builder = named!(self, self.builder(), name);
        Ok(match (key_of(&self.key)?, &self.shuffle_sharded) {
            (Some(key), Some(sharded)) => {
                AnyOf::Sharded(self.sharded(builder, sharded, key).build()?)
            }
            (Some(key), None) => AnyOf::BulkheadBy(keyed(builder.by(key), &self.key)?),
            (None, _) => AnyOf::Bulkhead(builder.build()?),
        })
    }

    fn successor(
        &self,
        before: &Self,
        policy: &AnyPolicy,
        name: &'static str,
    ) -> Result<Successor, SettingError> {
        let next = self.make(name)?;
        let (AnyOf::Sharded(known), AnyOf::Sharded(fresh)) = (policy, &next) else {
            return Ok(Successor::of(policy, next, self.differs(before)));
        };
        let fresh = fresh.clone();
        let follow = |sharded: ShuffleSharding<AnyKey, Carried>| {
            move || {
                if let Some(settings) = fresh.compartments().first() {
                    let all = sharded.compartments().iter();
                    all.for_each(|slots| slots.follow(settings));
                }
            }
        };
        let (Some(key), Some(sharded)) = (key_of(&self.key)?, &self.shuffle_sharded) else {
            return Ok(Successor::afresh(next));
        };
        if !self.differs(before).map && self.shuffle_sharded == before.shuffle_sharded {
            return Ok(Successor::same(follow(known.clone())));
        }
        let builder = named!(self, self.builder(), name);
        let builder = self.sharded(builder, sharded, key).compartments_of(known);
        let next = builder.build()?;
        Ok(Successor::other(AnyOf::Sharded(next.clone()), follow(next)))
    }
}

impl BulkheadSettings {
    fn sharded(
        &self,
        builder: BulkheadBuilder<Carried>,
        sharded: &ShuffleShardedSettings,
        key: AnyKey,
    ) -> ShuffleShardingBuilder<AnyKey, Carried> {
        let (all, each) = (*sharded.compartments, *sharded.per_key);
        let mut builder = builder.shuffle_sharded(all, each, key);
        if let Some(seed) = &sharded.seed {
            builder = builder.seed(**seed);
        }
        match &self.key.missing_key {
            Some(missing) => builder.missing_key(missing.means()),
            None => builder,
        }
    }
}

impl Kind for AdaptiveLimitSettings {
    const NAME: &'static str = "adaptive_limit";
    shadow!();
    priority!();

    fn differs(&self, before: &Self) -> Differs {
        Differs {
            keys: self.key.by != before.key.by,
            map: self.key != before.key || self.name != before.name,
            // A default that is written out makes no other one of it.
            algorithm: self.algorithm != before.algorithm
                && !self.algorithm().is_like(&before.algorithm()),
        }
    }

    fn make(&self, name: &'static str) -> Result<AnyPolicy, SettingError> {
        let builder = named!(self, self.builder(self.algorithm()), name);
        Ok(match key_of(&self.key)? {
            Some(key) => AnyOf::AdaptiveBy(keyed(builder.by(key), &self.key)?),
            None => AnyOf::Adaptive(builder.build()?),
        })
    }
}

impl Kind for PaceSettings {
    const NAME: &'static str = "pace";
    shadow!();
    keyed!();

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
    keyed!();

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

    fn differs(&self, before: &Self) -> Differs {
        let of_before = Self {
            key: before.key.clone(),
            ..self.clone()
        };
        Differs {
            keys: self.key.by != before.key.by,
            map: self.key != before.key,
            algorithm: of_before != *before,
        }
    }

    fn make(&self, name: &'static str) -> Result<AnyPolicy, SettingError> {
        let builder = named!(self, self.builder(), name);
        Ok(match key_of(&self.key)? {
            Some(key) => AnyOf::ThrottleBy(keyed(builder.by(key), &self.key)?),
            None => AnyOf::Throttle(builder.build()?),
        })
    }
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
