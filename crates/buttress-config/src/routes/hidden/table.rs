//! Many rules of one path, by what they ask for.
//!
//! A rule that asks for fewer conditions comes later. So one that is in another's way has as many: it
//! names the same headers, each with the same value or any, and its host is that one or a wider one of
//! its kind, for one with a star comes later than a fixed one. Both are looked up, as far as there are
//! rules with them: the ends of the host, and the ways in which those who name these headers want
//! values of them. The one exception are rules for gRPC that name the method as well, which have a
//! condition more for nothing. They are rare, and compared with each rule.

use super::rule::{Rule, Steps};
use crate::routes::conditions::Wanted;
use crate::routes::host::{Host, with_and_without_port};
use hashbrown::{HashMap, HashSet};
use http::Method;

pub(super) struct Table<'r, 'a> {
    by_host: HashMap<HostKey<'a>, ByHeaders<'r, 'a>>,
    /// Those that ask for the method twice.
    twice: Vec<&'r Rule<'a>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum HostKey<'a> {
    Any,
    Fixed(&'a str),
    Under(&'a str),
}

#[derive(Default)]
struct ByHeaders<'r, 'a> {
    /// Which headers must have a value, of those of these names: all ways that there are.
    values: HashMap<Vec<&'a str>, HashSet<Vec<bool>>>,
    rules: HashMap<Vec<Wanted<'a>>, Alike<'r, 'a>>,
}

/// Rules that differ by their methods only.
#[derive(Default)]
struct Alike<'r, 'a> {
    /// But for those that ask for the same as one before.
    rules: Vec<&'r Rule<'a>>,
    known: HashSet<(usize, &'r [Method])>,
}

impl<'r, 'a> Table<'r, 'a> {
    pub(super) fn of(rules: &'r [Rule<'a>]) -> Self {
        let mut by_host: HashMap<_, ByHeaders<'r, 'a>> = HashMap::new();
        for rule in rules {
            by_host.entry(HostKey::of(rule.host)).or_default().add(rule);
        }
        let twice = rules.iter().filter(|rule| rule.method_conditions > 1);
        Self {
            twice: twice.collect(),
            by_host,
        }
    }

    /// Those that come before a rule and ask for no more, but maybe of the method.
    pub(super) fn wider(&self, rule: &Rule<'a>, steps: &mut Steps) -> Vec<&'r Rule<'a>> {
        let mut wider = Vec::new();
        for host in wider_hosts(rule.host) {
            steps.take(1);
            if let Some(by_headers) = self.by_host.get(&host) {
                by_headers.find(rule, &mut wider, steps);
            }
        }
        if rule.method_conditions == 1 {
            wider.extend(rule.wider_among(self.twice.iter().copied(), steps));
        }
        wider
    }
}

impl<'a> HostKey<'a> {
    fn of(host: Option<&'a Host>) -> Self {
        match host {
            None => Self::Any,
            Some(Host::Fixed(host)) => Self::Fixed(host),
            Some(Host::Under(end)) => Self::Under(end),
        }
    }
}

impl<'r, 'a> ByHeaders<'r, 'a> {
    fn add(&mut self, rule: &'r Rule<'a>) {
        let values = rule.headers.iter().map(|(_, value)| value.is_some());
        let ways = self.values.entry(names(rule)).or_default();
        ways.insert(values.collect());
        let alike = self.rules.entry(rule.headers.clone()).or_default();
        if alike
            .known
            .insert((rule.method_conditions, &rule.methods[..]))
        {
            alike.rules.push(rule);
        }
    }

    fn find(&self, rule: &Rule<'a>, wider: &mut Vec<&'r Rule<'a>>, steps: &mut Steps) {
        let looked_at = 1 + rule.headers.len();
        steps.take(looked_at);
        for with_values in self.values.get(&names(rule)).into_iter().flatten() {
            steps.take(looked_at);
            let headers = rule.headers.iter().zip(with_values);
            let headers = headers.map(|((name, value), with)| (*name, value.filter(|_| *with)));
            if let Some(alike) = self.rules.get(&headers.collect::<Vec<_>>()) {
                steps.take(alike.rules.len());
                let rules = alike.rules.iter().copied();
                wider.extend(rules.filter(|other| other.comes_before(rule)));
            }
        }
    }
}

fn names<'a>(rule: &Rule<'a>) -> Vec<&'a str> {
    rule.headers.iter().map(|(name, _)| *name).collect()
}

/// No name has more. Of longer ends, only so much is looked up.
const MOST_LABELS: usize = 128;

/// The hosts of rules that may be in the way: those that cover this one, and don't come later anyway.
fn wider_hosts(host: Option<&Host>) -> Vec<HostKey<'_>> {
    match host {
        None => vec![HostKey::Any],
        Some(Host::Fixed(host)) => with_and_without_port(host).map(HostKey::Fixed).collect(),
        Some(Host::Under(end)) => {
            let dots = end.rmatch_indices('.').take(MOST_LABELS);
            dots.map(|(dot, _)| HostKey::Under(&end[dot..])).collect()
        }
    }
}
