//! Policies with names: that all names are known, and that all are used.

use super::used;
use crate::problem::{Reporter, nearest};
use crate::settings::Settings;
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
                    });
                });
            }
        });
    }
    for (kind, name) in names_of(settings) {
        let printable = name.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if !printable || !(1..=64).contains(&name.len()) {
            report.field(kind, |report| {
                report.field(name, |report| {
                    let problem =
                        report.error(name.span(), "has a name that refusals cannot carry");
                    problem.must_be("1 to 64 printable ASCII characters");
                });
            });
        }
    }
    for (name, upstream) in settings
        .upstream
        .iter()
        .flat_map(|upstreams| upstreams.iter())
    {
        report.field("upstream", |report| {
            report.field(name, |report| {
                names(settings, upstream.uses.as_ref(), &mut seen, report);
                for (name, shared) in used(settings, upstream.uses.as_ref()) {
                    if shared.fair_share.is_some() {
                        let span = upstream.uses.as_ref().map_or(upstream.span(), At::span);
                        report.field("use", |report| {
                            let what = format!("names {name:?}, whose `fair_share` is for servers");
                            report.error(span, what);
                        });
                    }
                }
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

/// The names that the file gives.
fn names_of(settings: &Settings) -> impl Iterator<Item = (&'static str, &At<String>)> {
    let policies = settings.policy.iter().flat_map(|all| all.iter());
    let upstreams = settings.upstream.iter().flat_map(|all| all.iter());
    let policies = policies.map(|(name, _)| ("policy", name));
    policies.chain(upstreams.map(|(name, _)| ("upstream", name)))
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
