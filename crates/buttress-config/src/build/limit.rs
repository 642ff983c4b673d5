use super::{set, set_flags};
use crate::policy::AnyLimit;
use crate::settings::{
    AdaptiveLimitSettings, AimdSettings, AlgorithmSettings, BoundsSettings, Gradient2Settings,
    LatencyQuantileSettings, VegasSettings,
};
use buttress::limit::{Aimd, Gradient2, LatencyQuantile, Vegas};

/// The bounds, which all algorithms have.
macro_rules! bounded {
    ($limit:ident; $bounds:expr) => {
        let bounds: &BoundsSettings = &$bounds;
        set!($limit; bounds.start => start, bounds.min => min, bounds.max => max);
    };
}

/// Shares, which are numbers to a builder.
macro_rules! set_shares {
    ($builder:ident; $($setting:expr => $method:ident),+ $(,)?) => {
        $( if let Some(share) = &$setting {
            $builder = $builder.$method(share.0);
        } )+
    };
}

pub(super) use set_shares;

impl AdaptiveLimitSettings {
    pub(crate) fn algorithm(&self) -> AnyLimit {
        match self.algorithm.as_deref() {
            None => AnyLimit::LatencyQuantile(LatencyQuantile::new()),
            Some(AlgorithmSettings::LatencyQuantile(limit)) => {
                AnyLimit::LatencyQuantile(limit.limit())
            }
            Some(AlgorithmSettings::Vegas(limit)) => AnyLimit::Vegas(limit.limit()),
            Some(AlgorithmSettings::Gradient2(limit)) => AnyLimit::Gradient2(limit.limit()),
            Some(AlgorithmSettings::Aimd(limit)) => AnyLimit::Aimd(limit.limit()),
        }
    }
}

impl LatencyQuantileSettings {
    pub(crate) fn limit(&self) -> LatencyQuantile {
        let mut limit = LatencyQuantile::new();
        bounded!(limit; self.bounds);
        set_shares!(limit; self.at_quantile => at_quantile);
        set!(limit;
            self.calls_per_sample => calls_per_sample,
            self.patience => patience,
            self.unhealthy_above => unhealthy_above,
        );
        limit
    }
}

impl VegasSettings {
    pub(crate) fn limit(&self) -> Vegas {
        let mut limit = Vegas::new();
        bounded!(limit; self.bounds);
        set!(limit; self.alpha => alpha, self.beta => beta, self.patience => patience);
        set_shares!(limit; self.smoothing => smoothing);
        set_flags!(limit; self.as_published => as_published);
        set!(limit; self.seed => seed);
        limit
    }
}

impl Gradient2Settings {
    pub(crate) fn limit(&self) -> Gradient2 {
        let mut limit = Gradient2::new();
        bounded!(limit; self.bounds);
        set!(limit;
            self.queue => queue,
            self.tolerance => tolerance,
            self.long_window => long_window,
            self.patience => patience,
        );
        set_shares!(limit; self.smoothing => smoothing);
        set_flags!(limit; self.as_published => as_published);
        limit
    }
}

impl AimdSettings {
    pub(crate) fn limit(&self) -> Aimd {
        let mut limit = Aimd::new();
        bounded!(limit; self.bounds);
        set_shares!(limit; self.backoff => backoff);
        set!(limit; self.too_slow => too_slow);
        limit
    }
}
