use super::{interned, set, set_flags};
use crate::settings::{
    AdaptiveLimitSettings, BulkheadSettings, DisciplineSettings, FairShareSettings, PaceSettings,
    PolicyName, PrioritySettings, RateLimitSettings,
};
use crate::source::At;
use buttress::limit::Limit;
use buttress::{
    AdaptiveLimit, AdaptiveLimitBuilder, Bulkhead, BulkheadBuilder, Carried, Discipline, FairShare,
    FairShareBuilder, Pace, PaceBuilder, Prioritized, PrioritizedBuilder, RateLimit,
    RateLimitBuilder,
};

pub(super) fn name_of(name: Option<&At<PolicyName>>) -> Option<&'static str> {
    interned(name?.as_str())
}

impl RateLimitSettings {
    /// By cells; whether it is by a window is for the caller to see.
    pub(crate) fn builder(&self) -> RateLimitBuilder {
        let mut builder = RateLimit::per(self.rate.calls, self.rate.period);
        set!(builder; self.burst => burst, self.cost => cost, self.wait_at_most => wait_at_most);
        set_flags!(builder; self.announced => announced);
        match name_of(self.name.as_ref()) {
            Some(name) => builder.named(name),
            None => builder,
        }
    }
}

impl FairShareSettings {
    pub(crate) fn builder<K>(&self, key: K) -> FairShareBuilder<K> {
        let mut builder = FairShare::builder(*self.limit, key);
        if let Some(share) = &self.largest_share {
            builder = builder.largest_share(share.0);
        }
        if let Some(missing) = &self.missing_key {
            builder = builder.missing_key(missing.means());
        }
        match name_of(self.name.as_ref()) {
            Some(name) => builder.named(name),
            None => builder,
        }
    }
}

impl BulkheadSettings {
    /// For all calls; whether it is for keys or sharded is for the caller to see.
    pub(crate) fn builder(&self) -> BulkheadBuilder<Carried> {
        let mut builder = Bulkhead::builder(*self.limit).looking(Carried);
        if let Some(room) = &self.waiting_room {
            builder = builder.waiting_room(*room.places, *room.longest_wait);
        }
        if let Some(discipline) = &self.discipline {
            builder = builder.discipline(discipline.discipline());
        }
        match name_of(self.name.as_ref()) {
            Some(name) => builder.named(name),
            None => builder,
        }
    }
}

impl AdaptiveLimitSettings {
    pub(crate) fn builder<L: Limit>(&self, algorithm: L) -> AdaptiveLimitBuilder<L> {
        let mut builder = AdaptiveLimit::builder().algorithm(algorithm);
        if let Some(room) = &self.waiting_room {
            builder = builder.waiting_room(*room.places, *room.longest_wait);
        }
        match name_of(self.name.as_ref()) {
            Some(name) => builder.named(name),
            None => builder,
        }
    }
}

impl PaceSettings {
    pub(crate) fn builder(&self) -> PaceBuilder<Carried> {
        let mut builder = Pace::per(self.rate.calls, self.rate.period).looking(Carried);
        if let Some(room) = &self.waiting_room {
            builder = builder.waiting_room(*room.places, *room.longest_wait);
        }
        match name_of(self.name.as_ref()) {
            Some(name) => builder.named(name),
            None => builder,
        }
    }
}

impl PrioritySettings {
    pub(crate) fn builder<P>(&self, policy: P) -> PrioritizedBuilder<P, Carried> {
        let mut builder = Prioritized::builder(policy, Carried);
        set!(builder; self.window => window);
        builder
    }
}

impl DisciplineSettings {
    pub(crate) fn discipline(&self) -> Discipline {
        match self {
            Self::Fifo => Discipline::Fifo,
            Self::Priority => Discipline::Priority,
            Self::AdaptiveLifo(settings) => match &settings.after {
                Some(after) => Discipline::AdaptiveLifo { after: **after },
                None => Discipline::adaptive_lifo(),
            },
            Self::CoDel(settings) => match Discipline::codel() {
                Discipline::CoDel { target, interval } => Discipline::CoDel {
                    target: settings.target.as_ref().map_or(target, |given| **given),
                    interval: settings.interval.as_ref().map_or(interval, |given| **given),
                },
                other => other,
            },
        }
    }
}
