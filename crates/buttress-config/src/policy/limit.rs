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

impl AnyLimit {
    /// Whether two that have yet to see a sample are the same. Of those that draw numbers nobody knows.
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::LatencyQuantile(one), Self::LatencyQuantile(other)) => one == other,
            (Self::Gradient2(one), Self::Gradient2(other)) => one == other,
            (Self::Aimd(one), Self::Aimd(other)) => one == other,
            _ => false,
        }
    }
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

#[cfg(test)]
mod tests {
    use crate::rules::Kind;
    use crate::settings::AdaptiveLimitSettings;
    use crate::{Document, Format};

    fn settings(text: &str) -> AdaptiveLimitSettings {
        let text = format!("[server.defaults]\nadaptive_limit = {{ {text} }}");
        let document = Document::parse("test", &text, Format::Toml).unwrap();
        let defaults = document.settings().defaults();
        defaults.adaptive_limit.unwrap().on().unwrap().clone()
    }

    #[test]
    fn a_default_that_is_written_out_is_no_other_algorithm() {
        let algorithm = |one: &str, other: &str| {
            let [one, other] = [one, other].map(|algorithm| match algorithm {
                "" => settings("name = \"no algorithm\""),
                algorithm => settings(&format!("algorithm = {{ {algorithm} }}")),
            });
            one.differs(&other).algorithm
        };
        for (one, other) in [
            ("", "latency_quantile = {}"),
            ("latency_quantile = { start = 20, at_quantile = 0.9 }", ""),
            ("aimd = { min = 20 }", "aimd = {}"),
            ("gradient2 = { max = 200 }", "gradient2 = {}"),
            ("vegas = { seed = 1 }", "vegas = { seed = 1 }"),
        ] {
            assert!(!algorithm(one, other), "{one}, {other}");
        }
        for (one, other) in [
            ("", "latency_quantile = { start = 21 }"),
            ("", "aimd = {}"),
            ("aimd = { start = 21 }", "aimd = {}"),
            ("vegas = {}", "vegas = { alpha = 3 }"),
        ] {
            assert!(algorithm(one, other), "{one}, {other}");
        }
    }
}
