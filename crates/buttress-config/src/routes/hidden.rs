use super::conditions::Rank;
use super::host::Host;
use super::methods::Methods;
use super::{Entry, Routes};
use hashbrown::HashMap;

/// A rule that can never apply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hidden {
    /// The rule's number.
    pub rule: usize,
    /// Those that are in its way: one of them always comes first. In the file's order, and one
    /// alone where one is enough.
    pub by: Vec<usize>,
}

/// The rules with one path, by their hosts.
type ByHost = HashMap<Option<Host>, Vec<usize>>;

impl Routes {
    /// Rules that can never apply, each with those in its way: rules with the very same path that
    /// come first whenever it matches, be it one that does for all of its methods, or several that
    /// do for some each. What several hide by their hosts or headers together is not found.
    pub fn never_apply(&self) -> Vec<Hidden> {
        let mut by_path: HashMap<_, ByHost> = HashMap::new();
        for (number, entry) in self.entries.iter().enumerate() {
            let by_host = by_path.entry(&entry.template).or_default();
            let host = entry.conditions.host.clone();
            by_host.entry(host).or_default().push(number);
        }
        let hidden = self.entries.iter().enumerate().filter_map(|(rule, entry)| {
            let by = self.in_the_way(rule, entry, by_path.get(&entry.template)?)?;
            Some(Hidden { rule, by })
        });
        hidden.collect()
    }

    /// Those that hide a rule, if it is hidden.
    fn in_the_way(&self, rule: usize, entry: &Entry, others: &ByHost) -> Option<Vec<usize>> {
        let methods = entry.conditions.effective_methods()?;
        let rank = entry.conditions.rank(rule);
        let wider = entry.conditions.host.iter().flat_map(Host::wider);
        let hosts = wider.map(Some).chain([None]);
        let numbers = hosts.filter_map(|host| others.get(&host));
        let mut first: Vec<_> = numbers
            .flatten()
            .filter_map(|number| Some((*number, self.comes_first(*number, rank, entry)?)))
            .collect();
        first.sort_unstable_by_key(|(number, _)| *number);
        let alone = first.iter().find(|(_, theirs)| covers(theirs, &methods));
        if let Some((number, _)) = alone {
            return Some(vec![*number]);
        }
        if methods.is_any() {
            return None;
        }
        let for_each = methods.names().map(|method| {
            let mut first = first.iter();
            first
                .find(|(_, theirs)| theirs.name(method))
                .map(|(number, _)| *number)
        });
        let mut by = for_each.collect::<Option<Vec<_>>>()?;
        by.sort_unstable();
        by.dedup();
        Some(by)
    }

    /// The methods for which the rule of that number comes before this entry whenever that matches.
    fn comes_first(&self, number: usize, rank: Rank, entry: &Entry) -> Option<Methods> {
        let other = &self.entries.get(number)?.conditions;
        let first = other.rank(number) < rank && other.cover_but_for_methods(&entry.conditions);
        first.then(|| other.effective_methods()).flatten()
    }
}

/// Whether all of the others are among these. Names are enough: what a rule for `GET` takes of
/// `HEAD`, another one for `GET` takes as well.
fn covers(these: &Methods, others: &Methods) -> bool {
    these.is_any() || (!others.is_any() && others.names().all(|method| these.name(method)))
}
