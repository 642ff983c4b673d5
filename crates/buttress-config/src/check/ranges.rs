//! Values that builders refuse.

use crate::problem::Reporter;
use crate::rules::Kind;
use crate::settings::{
    CriticalitySettings, ServerPolicies, Setting, Settings, SharedPolicies, Switch,
    TimeoutSettings, UpstreamSettings,
};
use crate::source::At;
use buttress::SettingError;

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

/// Policies of a route or an upstream, each with what builds it.
macro_rules! each {
    ($policies:ident, $report:ident; $($name:ident => $build:expr,)+) => {
        $( on(stringify!($name), $policies.$name.as_ref(), $report, $build); )+
    };
}

fn server_policies(policies: &ServerPolicies, report: &mut Reporter) {
    each!(policies, report;
        criticality => criticality,
        deadline => |settings| settings.layer().map(drop),
        attempt => |settings| settings.layer().map(drop),
        pressure => made,
        deadline_shedder => made,
        rate_limit => made,
        fair_share => made,
        bulkhead => made,
        adaptive_limit => made,
        pace => made,
        queue_delay => made,
        timeout => timeout,
    );
}

fn shared_policies(policies: &SharedPolicies, report: &mut Reporter) {
    one("rate_limit", policies.rate_limit.as_ref(), report, made);
    one("fair_share", policies.fair_share.as_ref(), report, made);
    one("bulkhead", policies.bulkhead.as_ref(), report, made);
    let adaptive_limit = policies.adaptive_limit.as_ref();
    one("adaptive_limit", adaptive_limit, report, made);
    one("pace", policies.pace.as_ref(), report, made);
}

fn client_policies(policies: &UpstreamSettings, report: &mut Reporter) {
    each!(policies, report;
        coalesce => |settings| settings.builder().build().map(drop),
        stale_if_error => |settings| settings.builder().build().map(drop),
        timeout => timeout,
        retry => |settings| settings.builder()?.build().map(drop),
        hedge => |settings| settings.builder()?.build().map(drop),
        circuit_breaker => made,
        throttle => made,
        rate_limit => made,
        bulkhead => made,
        adaptive_limit => made,
        pace => made,
        attempt_timeout => timeout,
        deadline_header => |settings| settings.layer().map(drop),
        criticality_header => |settings| settings.layer().map(drop),
    );
}

fn criticality(settings: &CriticalitySettings) -> Checked {
    settings.layer()?;
    let trusting = settings.trusting.as_ref();
    let networks = trusting.and_then(|trust| trust.networks());
    networks.transpose().map(drop)
}

fn timeout(settings: &TimeoutSettings) -> Checked {
    settings.headers_only(false)?;
    settings.with_body(false).map(drop)
}

/// What the rules of a file will make of it.
fn made<K: Kind>(settings: &K) -> Checked {
    settings.make("policy")?;
    match settings.priority() {
        Some(priority) => priority.builder(()).build().map(drop),
        None => Ok(()),
    }
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

/// Builders tell the first setting that makes no sense. What they tell is left out then, or something
/// else put there, and they are asked again.
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
        report.refuse(span);
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
