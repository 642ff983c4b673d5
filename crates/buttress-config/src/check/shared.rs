//! Policies with names: that all names are known, that all are used, and that none is too many.

use super::used;
use crate::problem::{Reporter, nearest};
use crate::settings::{Settings, Switch};
use crate::source::At;
use std::collections::HashSet;

/// Reports what nothing uses only if the file could be read completely.
pub(super) fn check(settings: &Settings, complete: bool, report: &mut Reporter) {
    let mut seen = HashSet::new();
    if let Some(server) = &settings.server {
        report.field("server", |report| {
            if let Some(defaults) = &server.defaults {
                report.field("defaults", |report| {
                    names(settings, defaults.uses.as_ref(), &mut seen, report);
                });
            }
            let routes = server.route.iter().flat_map(|routes| routes.iter());
            for (index, route) in routes.enumerate() {
                let index = report.number(route.span(), index);
                report.field("route", |report| {
                    report.item(index, |report| {
                        names(settings, route.policies.uses.as_ref(), &mut seen, report);
                        on_server(settings, route, report);
                    });
                });
            }
        });
    }
    for (name, upstream) in settings
        .upstream
        .iter()
        .flat_map(|upstreams| upstreams.iter())
    {
        report.field("upstream", |report| {
            report.field(name, |report| {
                names(settings, upstream.uses.as_ref(), &mut seen, report);
                on_client(settings, upstream, report);
            });
        });
    }
    for (name, _) in settings.policy.iter().flat_map(|policies| policies.iter()) {
        if complete && !seen.contains(name.as_str()) {
            report.field("policy", |report| {
                report.field(name, |report| {
                    report.error(name.span(), "is used by no route and no upstream");
                });
            });
        }
    }
}

fn names<'a>(
    settings: &'a Settings,
    uses: Option<&'a At<Vec<At<String>>>>,
    seen: &mut HashSet<&'a str>,
    report: &mut Reporter,
) {
    let Some(uses) = uses else { return };
    let mut here = HashSet::new();
    for (index, name) in uses.iter().enumerate() {
        let mut refuse = |what: &str, meant: Option<&str>| {
            report.field("use", |report| {
                report.item(index, |report| {
                    report
                        .error(name.span(), format!("is {:?}, {what}", **name))
                        .meant(meant);
                });
            });
        };
        let known = settings
            .policy
            .as_ref()
            .and_then(|policies| policies.get(name));
        if known.is_none() {
            let all: Vec<_> = settings.policy.iter().flat_map(|all| all.names()).collect();
            refuse(
                "and there is no policy of that name",
                nearest(name, all.iter()),
            );
        } else if !here.insert(name.as_str()) {
            refuse("which is there twice", None);
        }
        seen.insert(name.as_str());
    }
}

/// A stack has a place for so many of each kind.
const MOST_RATE_LIMITS: usize = 2;
const MOST_LIMITS: usize = 2;

fn on_server(
    settings: &Settings,
    route: &At<crate::settings::RouteSettings>,
    report: &mut Reporter,
) {
    let policies = settings.effective_route(route);
    let mut counts = Counts::of(settings, policies.uses.as_ref());
    counts.rate_limits += is_on(&policies.rate_limit);
    counts.limits += is_on(&policies.bulkhead) + is_on(&policies.adaptive_limit);
    counts.fair_shares += is_on(&policies.fair_share);
    counts.paces += is_on(&policies.pace);
    counts.report(policies.uses.as_ref(), route.span(), report);
}

fn on_client(
    settings: &Settings,
    upstream: &At<crate::settings::UpstreamSettings>,
    report: &mut Reporter,
) {
    let standard = crate::settings::UpstreamSettings::standard();
    let policies = upstream.or(&standard);
    let mut counts = Counts::of(settings, policies.uses.as_ref());
    if counts.fair_shares > 0 {
        let span = policies.uses.as_ref().map_or(upstream.span(), At::span);
        report.field("use", |report| {
            report.error(span, "names a `fair_share`, which is for servers");
        });
        counts.fair_shares = 0;
    }
    counts.rate_limits += is_on(&policies.rate_limit);
    counts.limits += is_on(&policies.bulkhead) + is_on(&policies.adaptive_limit);
    counts.paces += is_on(&policies.pace);
    counts.report(policies.uses.as_ref(), upstream.span(), report);
}

/// How many of each kind there are in a stack.
#[derive(Default)]
struct Counts {
    rate_limits: usize,
    limits: usize,
    fair_shares: usize,
    paces: usize,
}

impl Counts {
    fn of(settings: &Settings, uses: Option<&At<Vec<At<String>>>>) -> Self {
        let mut counts = Self::default();
        for (_, shared) in used(settings, uses) {
            counts.rate_limits += usize::from(shared.rate_limit.is_some());
            counts.limits += usize::from(shared.bulkhead.is_some());
            counts.limits += usize::from(shared.adaptive_limit.is_some());
            counts.fair_shares += usize::from(shared.fair_share.is_some());
            counts.paces += usize::from(shared.pace.is_some());
        }
        counts
    }

    fn report(
        &self,
        uses: Option<&At<Vec<At<String>>>>,
        otherwise: crate::source::Span,
        report: &mut Reporter,
    ) {
        let kinds = [
            (self.rate_limits, MOST_RATE_LIMITS, "rate limits"),
            (self.limits, MOST_LIMITS, "bulkheads and adaptive limits"),
            (self.fair_shares, 1, "fair shares"),
            (self.paces, 1, "paces"),
        ];
        let span = uses
            .filter(|uses| uses.is_written())
            .map_or(otherwise, At::span);
        for (count, most, kind) in kinds {
            if count > most {
                let what = format!("has {count} {kind}, with those that are shared");
                report.error(span, what).must_be(format!("{most} at most"));
            }
        }
    }
}

fn is_on<T>(policy: &Option<At<Switch<T>>>) -> usize {
    usize::from(policy.as_ref().is_some_and(|policy| policy.on().is_some()))
}
