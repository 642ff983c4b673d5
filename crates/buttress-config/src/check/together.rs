//! Settings of one policy, or of one stack, that exclude or need each other.

use crate::problem::Reporter;
use crate::settings::{
    BackoffSettings, BudgetSettings, BulkheadSettings, Fields, KeySettings, ServerPolicies,
    Settings, SharedPolicies, Switch, UpstreamSettings, on,
};
use crate::source::{At, Span};

pub(super) fn check(settings: &Settings, report: &mut Reporter) {
    if let Some(server) = &settings.server {
        report.field("server", |report| {
            if let Some(defaults) = &server.defaults {
                report.field("defaults", |report| of_server(defaults, report));
            }
            let routes = server.route.iter().flat_map(|routes| routes.iter());
            for (index, route) in routes.enumerate() {
                let index = report.number(route.span(), index);
                report.field("route", |report| {
                    report.item(index, |report| of_server(&route.policies, report));
                });
            }
        });
    }
    for (name, shared) in settings.policy.iter().flat_map(|policies| policies.iter()) {
        report.field("policy", |report| {
            report.field(name, |report| of_shared(shared, report));
        });
    }
    for (name, upstream) in settings
        .upstream
        .iter()
        .flat_map(|upstreams| upstreams.iter())
    {
        report.field("upstream", |report| {
            report.field(name, |report| of_upstream(upstream, report));
        });
    }
}

fn of_server(policies: &ServerPolicies, report: &mut Reporter) {
    if let Some(limit) = on(policies.rate_limit.as_ref()) {
        report.field("rate_limit", |report| keys(&limit.key, true, report));
    }
    if let Some(bulkhead) = on(policies.bulkhead.as_ref()) {
        report.field("bulkhead", |report| of_bulkhead(bulkhead, report));
    }
    if let Some(limit) = on(policies.adaptive_limit.as_ref()) {
        report.field("adaptive_limit", |report| keys(&limit.key, true, report));
    }
    if let Some(pace) = on(policies.pace.as_ref()) {
        report.field("pace", |report| keys(&pace.key, true, report));
    }
}

fn of_shared(policies: &At<SharedPolicies>, report: &mut Reporter) {
    let mut names = SharedPolicies::names().iter();
    let unread = names.any(|name| report.is_unread(policies.span(), name));
    if **policies == SharedPolicies::default() && !unread {
        report.error(policies.span(), "has no policy that could be shared");
    }
    if let Some(limit) = &policies.rate_limit {
        report.field("rate_limit", |report| keys(&limit.key, true, report));
    }
    if let Some(bulkhead) = &policies.bulkhead {
        report.field("bulkhead", |report| of_bulkhead(bulkhead, report));
    }
    if let Some(limit) = &policies.adaptive_limit {
        report.field("adaptive_limit", |report| keys(&limit.key, true, report));
    }
    if let Some(pace) = &policies.pace {
        report.field("pace", |report| keys(&pace.key, true, report));
    }
}

fn of_upstream(policies: &UpstreamSettings, report: &mut Reporter) {
    if let (Some(retry), Some(hedge)) = (&policies.retry, &policies.hedge)
        && retry.on().is_some()
        && hedge.on().is_some()
    {
        report.field("hedge", |report| {
            let what = "stands beside `retry`, and an upstream has one of them";
            report.error(hedge.span(), what);
        });
    }
    if let Some(retry) = on(policies.retry.as_ref()) {
        report.field("retry", |report| {
            if let Some(backoff) = &retry.backoff {
                report.field("backoff", |report| of_backoff(backoff, report));
            }
            if let Some(Switch::On(budget)) = retry.budget.as_deref() {
                report.field("budget", |report| of_budget(budget, report));
            }
        });
    }
    if let Some(budget) = on(policies.hedge.as_ref()).and_then(|hedge| hedge.budget.as_ref()) {
        report.field("hedge", |report| {
            report.field("budget", |report| of_budget(budget, report));
        });
    }
    if let Some(breaker) = on(policies.circuit_breaker.as_ref()) {
        report.field("circuit_breaker", |report| keys(&breaker.key, true, report));
    }
    if let Some(throttle) = on(policies.throttle.as_ref()) {
        report.field("throttle", |report| keys(&throttle.key, true, report));
    }
    if let Some(limit) = on(policies.rate_limit.as_ref()) {
        report.field("rate_limit", |report| keys(&limit.key, true, report));
    }
    if let Some(bulkhead) = on(policies.bulkhead.as_ref()) {
        report.field("bulkhead", |report| of_bulkhead(bulkhead, report));
    }
    if let Some(limit) = on(policies.adaptive_limit.as_ref()) {
        report.field("adaptive_limit", |report| keys(&limit.key, true, report));
    }
    if let Some(pace) = on(policies.pace.as_ref()) {
        report.field("pace", |report| keys(&pace.key, true, report));
    }
}

fn of_bulkhead(bulkhead: &BulkheadSettings, report: &mut Reporter) {
    let sharded = bulkhead.shuffle_sharded.as_ref();
    keys(&bulkhead.key, sharded.is_none(), report);
    if let (Some(sharded), None) = (sharded, &bulkhead.key.by) {
        report.field("shuffle_sharded", |report| {
            report.error(
                sharded.span(),
                "needs `by`, which says whose compartments they are",
            );
        });
    }
}

/// `mapped` if there is a map of keys, whose size can be set.
fn keys(settings: &KeySettings, mapped: bool, report: &mut Reporter) {
    let mut useless = |name: &str, span: Option<Span>, why: &str| {
        if let Some(span) = span {
            report.field(name, |report| _ = report.error(span, why));
        }
    };
    let most = settings.max_keys.as_ref().map(At::span);
    if settings.by.is_none() {
        let missing = settings.missing_key.as_ref().map(At::span);
        useless("max_keys", most, "says nothing without `by`");
        useless("missing_key", missing, "says nothing without `by`");
    } else if !mapped {
        useless(
            "max_keys",
            most,
            "says nothing beside `shuffle_sharded`, which remembers no keys",
        );
    }
}

fn of_backoff(backoff: &BackoffSettings, report: &mut Reporter) {
    if backoff.constant.is_none() {
        return;
    }
    let others = [
        ("base", backoff.base.as_ref().map(At::span)),
        ("cap", backoff.cap.as_ref().map(At::span)),
        ("factor", backoff.factor.as_ref().map(At::span)),
        ("jitter", backoff.jitter.as_ref().map(At::span)),
        (
            "base_if_overloaded",
            backoff.base_if_overloaded.as_ref().map(At::span),
        ),
    ];
    excluded(others, "constant", report);
}

fn of_budget(budget: &BudgetSettings, report: &mut Reporter) {
    if budget.tokens.is_none() {
        return;
    }
    let others = [
        ("share", budget.share.as_ref().map(At::span)),
        ("at_least", budget.at_least.as_ref().map(At::span)),
    ];
    excluded(others, "tokens", report);
}

fn excluded<const N: usize>(others: [(&str, Option<Span>); N], by: &str, report: &mut Reporter) {
    for (name, span) in others {
        if let Some(span) = span {
            report.field(name, |report| {
                report.error(span, format_args!("says nothing beside `{by}`"));
            });
        }
    }
}
