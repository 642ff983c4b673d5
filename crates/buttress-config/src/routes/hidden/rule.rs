use super::Hidden;
use crate::routes::Entry;
use crate::routes::conditions::{Rank, Wanted};
use crate::routes::host::Host;
use http::Method;

/// A rule as it is compared with others of its path.
pub(super) struct Rule<'a> {
    pub(super) number: usize,
    rank: Rank,
    pub(super) host: Option<&'a Host>,
    pub(super) headers: Vec<Wanted<'a>>,
    /// In order. None if they are any.
    pub(super) methods: Vec<Method>,
    /// How many of its conditions are about the method.
    pub(super) method_conditions: usize,
}

/// What was done: a step is a rule, a host, a header or a method that was looked at.
#[derive(Default)]
pub(super) struct Steps(usize);

impl Steps {
    pub(super) fn taken(&self) -> usize {
        self.0
    }

    pub(super) fn take(&mut self, steps: usize) {
        self.0 += steps;
    }
}

impl<'a> Rule<'a> {
    /// `None` if its conditions contradict each other: then it is in nobody's way.
    pub(super) fn of(number: usize, entry: &'a Entry) -> Option<Self> {
        let methods = entry.conditions.effective_methods()?;
        let mut methods: Vec<_> = methods.names().cloned().collect();
        methods.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        methods.dedup();
        Some(Self {
            number,
            rank: entry.conditions.rank(number),
            host: entry.conditions.host.as_ref(),
            headers: entry.conditions.headers_in_order(),
            methods,
            method_conditions: entry.conditions.count_of_methods(),
        })
    }

    /// Those that come before this rule and ask for no more, but maybe of the method.
    pub(super) fn wider_among<'b>(
        &self,
        rules: impl IntoIterator<Item = &'b Rule<'a>>,
        steps: &mut Steps,
    ) -> Vec<&'b Rule<'a>>
    where
        'a: 'b,
    {
        let rules = rules.into_iter();
        let wider = rules.filter(|other| {
            steps.take(1);
            other.comes_before(self) && other.host_covers(self) && other.headers_cover(self, steps)
        });
        wider.collect()
    }

    /// Whether it is hidden by these, which all come first and ask for no more but of the method.
    pub(super) fn hidden_by(&self, wider: &[&Self], steps: &mut Steps) -> Option<Hidden> {
        let numbers = |number| {
            Some(Hidden {
                rule: self.number,
                by: number,
            })
        };
        let alone = wider.iter().filter(|other| other.takes_all(self, steps));
        if let Some(number) = alone.map(|other| other.number).min() {
            return numbers(vec![number]);
        }
        let for_each = self.methods.iter().map(|method| {
            steps.take(wider.len());
            let names = wider.iter().filter(|other| other.names(method));
            names.map(|other| other.number).min()
        });
        let mut by = for_each.collect::<Option<Vec<_>>>()?;
        by.sort_unstable();
        by.dedup();
        (!by.is_empty()).then_some(Hidden {
            rule: self.number,
            by,
        })
    }

    pub(super) fn comes_before(&self, other: &Self) -> bool {
        self.rank < other.rank
    }

    fn host_covers(&self, other: &Self) -> bool {
        match (self.host, other.host) {
            (None, _) => true,
            (Some(host), Some(other)) => host.cover(other),
            (Some(_), None) => false,
        }
    }

    fn headers_cover(&self, other: &Self, steps: &mut Steps) -> bool {
        self.headers.iter().all(|(name, value)| {
            steps.take(1);
            let theirs = &other.headers;
            match value {
                Some(_) => theirs.binary_search(&(*name, *value)).is_ok(),
                None => theirs.binary_search_by_key(name, |(name, _)| *name).is_ok(),
            }
        })
    }

    /// Whether it is for all of the other's methods. Names are enough: what a rule for `GET` takes of
    /// `HEAD`, another one for `GET` takes as well.
    fn takes_all(&self, other: &Self, steps: &mut Steps) -> bool {
        steps.take(1);
        let mut theirs = other.methods.iter();
        let named = |method| {
            steps.take(1);
            self.names(method)
        };
        self.methods.is_empty() || (!other.methods.is_empty() && theirs.all(named))
    }

    fn names(&self, method: &Method) -> bool {
        let by_name = |mine: &Method| mine.as_str().cmp(method.as_str());
        self.methods.binary_search_by(by_name).is_ok()
    }
}
