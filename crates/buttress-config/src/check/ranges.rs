//! Values that builders refuse.

use crate::problem::Reporter;
use crate::settings::{
    AdaptiveLimitSettings, AlgorithmSettings, BulkheadSettings, FairShareSettings, KeyBy,
    KeySettings, PaceSettings, PrioritySettings, RateAlgorithm, RateLimitSettings, ServerPolicies,
    Setting, Settings, SharedPolicies, Switch, TimeoutSettings, UpstreamSettings,
};
use crate::source::At;
use buttress::limit::Limit;
use buttress::{SettingError, by_fn};

type Checked = Result<(), SettingError>;

pub(super) fn check(settings: &Settings, report: &mut Reporter) {
    if let Some(server) = &settings.server {
        report.field("server", |report| {
            if let Some(defaults) = &server.defaults {
                report.field("defaults", |report| server_policies(defaults, report));
            }
            let routes = server.route.iter().flat_map(|routes| routes.iter());
            for (index, route) in routes.enumerate() {
                let index = report.number(route.span(), index);
                report.field("route", |report| {
                    report.item(index, |report| server_policies(&route.policies, report));
                });
            }
        });
    }
    for (name, shared) in settings.policy.iter().flat_map(|policies| policies.iter()) {
        report.field("policy", |report| {
            report.field(name, |report| shared_policies(shared, report));
        });
    }
    for (name, upstream) in settings
        .upstream
        .iter()
        .flat_map(|upstreams| upstreams.iter())
    {
        report.field("upstream", |report| {
            report.field(name, |report| client_policies(upstream, report));
        });
    }
}

fn server_policies(policies: &ServerPolicies, report: &mut Reporter) {
    on("deadline", policies.deadline.as_ref(), report, |settings| {
        settings.layer().map(drop)
    });
    on("attempt", policies.attempt.as_ref(), report, |settings| {
        settings.layer().map(drop)
    });
    on(
        "criticality",
        policies.criticality.as_ref(),
        report,
        |settings| {
            settings.layer()?;
            let trusting = settings
                .trusting
                .as_ref()
                .and_then(|trust| trust.networks());
            trusting.transpose().map(drop)
        },
    );
    on("pressure", policies.pressure.as_ref(), report, |settings| {
        settings.builder().build()?;
        priority(settings.priority.as_ref())
    });
    on(
        "deadline_shedder",
        policies.deadline_shedder.as_ref(),
        report,
        |settings| {
            settings.builder().build()?;
            priority(settings.priority.as_ref())
        },
    );
    on(
        "rate_limit",
        policies.rate_limit.as_ref(),
        report,
        rate_limit,
    );
    on(
        "fair_share",
        policies.fair_share.as_ref(),
        report,
        fair_share,
    );
    on("bulkhead", policies.bulkhead.as_ref(), report, bulkhead);
    on(
        "adaptive_limit",
        policies.adaptive_limit.as_ref(),
        report,
        adaptive_limit,
    );
    on("pace", policies.pace.as_ref(), report, pace);
    on(
        "queue_delay",
        policies.queue_delay.as_ref(),
        report,
        |settings| {
            settings.builder().build()?;
            priority(settings.priority.as_ref())
        },
    );
    on("timeout", policies.timeout.as_ref(), report, timeout);
}

fn shared_policies(policies: &SharedPolicies, report: &mut Reporter) {
    one(
        "rate_limit",
        policies.rate_limit.as_ref(),
        report,
        rate_limit,
    );
    one(
        "fair_share",
        policies.fair_share.as_ref(),
        report,
        fair_share,
    );
    one("bulkhead", policies.bulkhead.as_ref(), report, bulkhead);
    one(
        "adaptive_limit",
        policies.adaptive_limit.as_ref(),
        report,
        adaptive_limit,
    );
    one("pace", policies.pace.as_ref(), report, pace);
}

fn client_policies(policies: &UpstreamSettings, report: &mut Reporter) {
    on("coalesce", policies.coalesce.as_ref(), report, |settings| {
        settings.builder().build().map(drop)
    });
    on(
        "stale_if_error",
        policies.stale_if_error.as_ref(),
        report,
        |settings| settings.builder().build().map(drop),
    );
    on("timeout", policies.timeout.as_ref(), report, timeout);
    on("retry", policies.retry.as_ref(), report, |settings| {
        settings.builder()?.build().map(drop)
    });
    on("hedge", policies.hedge.as_ref(), report, |settings| {
        settings.builder()?.build().map(drop)
    });
    on(
        "circuit_breaker",
        policies.circuit_breaker.as_ref(),
        report,
        |settings| {
            settings.builder("circuit-breaker").build()?;
            keyed(&settings.key)
        },
    );
    on("throttle", policies.throttle.as_ref(), report, |settings| {
        settings.builder().build()?;
        keyed(&settings.key)
    });
    on(
        "rate_limit",
        policies.rate_limit.as_ref(),
        report,
        rate_limit,
    );
    on("bulkhead", policies.bulkhead.as_ref(), report, bulkhead);
    on(
        "adaptive_limit",
        policies.adaptive_limit.as_ref(),
        report,
        adaptive_limit,
    );
    on("pace", policies.pace.as_ref(), report, pace);
    on(
        "attempt_timeout",
        policies.attempt_timeout.as_ref(),
        report,
        timeout,
    );
    on(
        "deadline_header",
        policies.deadline_header.as_ref(),
        report,
        |settings| settings.layer().map(drop),
    );
    on(
        "criticality_header",
        policies.criticality_header.as_ref(),
        report,
        |settings| settings.layer().map(drop),
    );
}

fn rate_limit(settings: &RateLimitSettings) -> Checked {
    match settings.algorithm.as_deref() {
        Some(RateAlgorithm::SlidingWindow) => settings.builder().sliding_window().build().map(drop),
        _ => settings.builder().build().map(drop),
    }?;
    keyed(&settings.key)
}

fn fair_share(settings: &FairShareSettings) -> Checked {
    settings.builder(any_key()).build()?;
    key(&settings.by)?;
    priority(settings.priority.as_ref())
}

fn bulkhead(settings: &BulkheadSettings) -> Checked {
    settings.builder().build()?;
    if let Some(sharded) = &settings.shuffle_sharded {
        let (compartments, per_key) = (*sharded.compartments, *sharded.per_key);
        let builder = settings
            .builder()
            .shuffle_sharded(compartments, per_key, any_key());
        builder.build()?;
    }
    keyed(&settings.key)?;
    priority(settings.priority.as_ref())
}

fn adaptive_limit(settings: &AdaptiveLimitSettings) -> Checked {
    match settings.algorithm.as_deref() {
        Some(AlgorithmSettings::LatencyQuantile(limit)) => limit.limit().check(),
        Some(AlgorithmSettings::Vegas(limit)) => limit.limit().check(),
        Some(AlgorithmSettings::Gradient2(limit)) => limit.limit().check(),
        Some(AlgorithmSettings::Aimd(limit)) => limit.limit().check(),
        None => Ok(()),
    }?;
    settings
        .builder(buttress::limit::LatencyQuantile::new())
        .build()?;
    keyed(&settings.key)?;
    priority(settings.priority.as_ref())
}

fn pace(settings: &PaceSettings) -> Checked {
    settings.builder().build()?;
    keyed(&settings.key)
}

fn timeout(settings: &TimeoutSettings) -> Checked {
    settings.headers_only(false)?;
    settings.with_body(false).map(drop)
}

fn priority(settings: Option<&At<Switch<PrioritySettings>>>) -> Checked {
    match settings.and_then(|settings| settings.on()) {
        Some(settings) => settings.builder(()).build().map(drop),
        None => Ok(()),
    }
}

fn keyed(settings: &KeySettings) -> Checked {
    if let Some(most) = &settings.max_keys {
        let one = buttress::Bulkhead::builder(1)
            .by(any_key())
            .max_keys(**most);
        one.build()?;
    }
    settings.by.as_deref().map_or(Ok(()), key)
}

fn key(by: &KeyBy) -> Checked {
    match by {
        KeyBy::Peer(settings) => settings.key().map(drop),
        KeyBy::ClientAddr(settings) => settings.key().map(drop),
        KeyBy::Header(name) => name.key().map(drop),
        KeyBy::PathTemplate | KeyBy::Authority | KeyBy::GrpcMethod | KeyBy::Method => Ok(()),
    }
}

/// Some key: whatever it is, the same numbers make sense.
fn any_key() -> impl buttress::Key<()> + Clone {
    by_fn(|(): &()| Ok(()))
}

fn on<T: Setting + Clone>(
    name: &str,
    policy: Option<&At<Switch<T>>>,
    report: &mut Reporter,
    build: impl Fn(&T) -> Checked,
) {
    if let Some(at) = policy
        && let Switch::On(settings) = &**at
    {
        let at = At::at(settings.clone(), at.span());
        one(name, Some(&at), report, build);
    }
}

/// Builders tell the first setting that makes no sense. What they tell is left out then, and they
/// are asked again.
fn one<T: Setting + Clone>(
    name: &str,
    policy: Option<&At<T>>,
    report: &mut Reporter,
    build: impl Fn(&T) -> Checked,
) {
    let Some(policy) = policy else { return };
    let mut settings = policy.clone();
    for _ in 0..MOST_FIELDS {
        let Err(error) = build(&settings) else { return };
        let found = settings.find(error.field());
        let (path, span) = found.unwrap_or_else(|| (String::new(), policy.span()));
        report.field(name, |report| {
            report.below(&path, |report| {
                let what = if path.is_empty() {
                    // It is about something that the file does not say.
                    format!("makes no sense: {} is {}", error.field(), error.value())
                } else {
                    format!("is {}", error.value())
                };
                report.error(span, what).must_be(error.allowed());
            });
        });
        if !settings.value_mut().forget(&path) {
            return;
        }
    }
}

/// More than any policy has.
const MOST_FIELDS: usize = 64;
