//! Which rules others hide.
//!
//! Files are checked before they come into force, also by a program that is running. So what may be
//! written into a file must not keep the check busy, and a rule that nobody says is hidden does less
//! harm than a reload that hangs. Rules are compared only with those of the very same path: few of them
//! each with each, and many by [looking up](table) those that can be in the way. Each step of that is
//! counted, and after [`MOST_STEPS`] it ends with what is found by then.

mod rule;
mod table;

use super::Routes;
use hashbrown::HashMap;
use rule::{Rule, Steps};
use table::Table;

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

/// So many rules of one path are compared each with each.
pub(super) const FEW: usize = 64;

/// After so many steps nothing more is looked for. It is far from what an ordinary file takes: five
/// thousand rules of one path that differ by a header, or by their hosts, take less than a hundredth.
pub(super) const MOST_STEPS: usize = 5_000_000;

impl Routes {
    /// Rules that can never apply, each with those in its way: rules with the very same path that
    /// come first whenever it matches, be it one that does for all of its methods, or several that
    /// do for some each. What several hide by their hosts or headers together is not found.
    ///
    /// It costs next to nothing for paths with one rule, and is bounded for any file: where thousands
    /// of rules have one path and differ in ways that make them slow to compare (by hundreds of sets of
    /// methods, say), it stops, and what is hidden among the rest of them is not found.
    pub fn never_apply(&self) -> Vec<Hidden> {
        self.hidden_within(FEW, MOST_STEPS).0
    }

    /// What is found with these limits, and the steps that it took.
    pub(super) fn hidden_within(&self, few: usize, most: usize) -> (Vec<Hidden>, usize) {
        let mut steps = Steps::default();
        let mut hidden = Vec::new();
        for numbers in self.by_path() {
            let rules = numbers.into_iter().filter_map(|number| {
                let entry = self.entries.get(number)?;
                Rule::of(number, entry)
            });
            let rules: Vec<_> = rules.collect();
            let table = (rules.len() > few).then(|| Table::of(&rules));
            for rule in &rules {
                if steps.taken() >= most {
                    break;
                }
                let wider = match &table {
                    None => rule.wider_among(&rules, &mut steps),
                    Some(table) => table.wider(rule, &mut steps),
                };
                hidden.extend(rule.hidden_by(&wider, &mut steps));
            }
        }
        hidden.sort_unstable_by_key(|hidden: &Hidden| hidden.rule);
        (hidden, steps.taken())
    }

    /// The numbers of rules that have a path together. Few come first, so that many on one path
    /// don't use up the steps of the others.
    fn by_path(&self) -> Vec<Vec<usize>> {
        let mut by_path: HashMap<_, Vec<usize>> = HashMap::new();
        for (number, entry) in self.entries.iter().enumerate() {
            by_path
                .entry(entry.template.as_ref())
                .or_default()
                .push(number);
        }
        let groups = by_path.into_values().filter(|numbers| numbers.len() > 1);
        let mut groups: Vec<_> = groups.collect();
        groups.sort_unstable_by_key(|numbers| (numbers.len(), numbers.first().copied()));
        groups
    }
}
