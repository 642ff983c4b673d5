use buttress::SettingError;
use buttress::limit::{Aimd, Gradient2, LatencyQuantile, Limit, Sample, Vegas};
use std::time::Instant;

/// How an adaptive limit is found, as a file says it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AnyLimit {
    /// The default.
    LatencyQuantile(LatencyQuantile),
    /// TCP Vegas's.
    Vegas(Vegas),
    /// Netflix's.
    Gradient2(Gradient2),
    /// TCP Reno's.
    Aimd(Aimd),
}

macro_rules! of_each {
    ($limit:expr, $each:ident => $value:expr) => {
        match $limit {
            AnyLimit::LatencyQuantile($each) => $value,
            AnyLimit::Vegas($each) => $value,
            AnyLimit::Gradient2($each) => $value,
            AnyLimit::Aimd($each) => $value,
        }
    };
}

impl Limit for AnyLimit {
    fn limit(&self) -> u32 {
        of_each!(self, limit => limit.limit())
    }

    fn update(&mut self, sample: &Sample, now: Instant) -> u32 {
        of_each!(self, limit => limit.update(sample, now))
    }

    fn samples(&self) -> u32 {
        of_each!(self, limit => limit.samples())
    }

    fn begin_at(&mut self, limit: u32) {
        of_each!(self, each => each.begin_at(limit));
    }

    fn quantile(&self) -> Option<f64> {
        of_each!(self, limit => limit.quantile())
    }

    fn check(&self) -> Result<(), SettingError> {
        of_each!(self, limit => limit.check())
    }
}
