//! Policies with names: that all names are known, and that all are used.

use super::mentions::Mentions;
use crate::problem::Reporter;
use crate::settings::Settings;
use crate::source::At;
use std::collections::HashSet;

pub(super) fn check(settings: &Settings, mentions: &Mentions<'_>, report: &mut Reporter) {
    let mut names = Names::of(settings, mentions);
    if let Some(server) = &settings.server {
        report.field("server", |report| {
            if let Some(defaults) = &server.defaults {
                report.field("defaults", |report| {
                    names.look_at(defaults.uses.as_ref(), report);
                });
            }
            let routes = server.route.iter().flat_map(|routes| routes.iter());
            for (index, route) in routes.enumerate() {
                let index = report.number(route.span(), index);
                report.field("route", |report| {
                    report.item(index, |report| {
                        names.look_at(route.policies.uses.as_ref(), report);
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
                names.look_at(upstream.uses.as_ref(), report);
                for (name, shared) in settings.used(upstream.uses.as_ref()) {
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
        if !names.meant.contains(name.as_str()) && !mentions.may_use(name) {
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

/// The names in the lists of what is used.
struct Names<'a> {
    settings: &'a Settings,
    mentions: &'a Mentions<'a>,
    /// Those of policies that were probably meant by a name that there is not.
    meant: HashSet<&'a str>,
    /// How many more names may be compared with each other.
    comparisons: usize,
}

impl<'a> Names<'a> {
    fn of(settings: &'a Settings, mentions: &'a Mentions<'a>) -> Self {
        Self {
            settings,
            mentions,
            meant: HashSet::new(),
            comparisons: MOST_COMPARISONS,
        }
    }

    fn look_at(&mut self, uses: Option<&At<Vec<At<String>>>>, report: &mut Reporter) {
        let mut here = HashSet::new();
        for (index, name) in uses.into_iter().flat_map(|uses| uses.iter()).enumerate() {
            let (what, meant) = if !self.mentions.may_have(name) {
                let meant = self.nearest(name, report);
                ("and there is no policy of that name", meant)
            } else if here.insert(name.as_str()) {
                continue;
            } else {
                ("which is there twice", None)
            };
            let index = report.number(name.span(), index);
            report.field("use", |report| {
                report.item(index, |report| {
                    let what = format!("is {:?}, {what}", **name);
                    report.error(name.span(), what).meant(meant);
                });
            });
        }
    }

    /// A file may have thousands of policies, and thousands of names that there are not.
    fn nearest(&mut self, name: &str, report: &Reporter) -> Option<&'a str> {
        let policies = self.settings.policy.as_ref()?;
        self.comparisons = self.comparisons.checked_sub(policies.len())?;
        let names: Vec<_> = policies.names().collect();
        let meant = report.nearest(name, names)?;
        self.meant.insert(meant);
        Some(meant)
    }
}

const MOST_COMPARISONS: usize = 20_000;
