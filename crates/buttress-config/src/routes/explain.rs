use super::{Condition, Routes, path_of};
use http::Request;

/// What one rule has to say to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explained {
    /// The rule's number.
    pub rule: usize,
    /// Why it does not apply; nothing for the one that does.
    pub why_not: Option<WhyNot>,
}

/// Why a rule does not apply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhyNot {
    /// Its path is another one.
    Path,
    /// Its path fits, and these conditions don't hold.
    Conditions(Vec<Condition>),
    /// It matches, and so does a rule that comes first by the order in the
    /// [module](super): this one.
    ComesAfter(usize),
}

impl Routes {
    /// What each rule has to say to `request`, in the file's order. It looks at every rule, and is
    /// for people.
    pub fn explain<B>(&self, request: &Request<B>) -> Vec<Explained> {
        let found = self.find(request);
        let entries = self.entries.iter().enumerate();
        let explained = entries.map(|(rule, entry)| {
            let path = path_of(request);
            let fits = (entry.template.as_ref()).is_none_or(|template| template.fits(path));
            let missing = entry.conditions.missing(request);
            let why_not = match found {
                Some(found) if found == rule => None,
                _ if !fits => Some(WhyNot::Path),
                Some(found) if missing.is_empty() => Some(WhyNot::ComesAfter(found)),
                _ => Some(WhyNot::Conditions(missing)),
            };
            Explained { rule, why_not }
        });
        explained.collect()
    }

    /// Rules that can never apply, each with the one that is always in its way: another has the very
    /// same path, and comes first whenever this one matches. (Several rules may be in the way
    /// together; that is not found.)
    pub fn never_apply(&self) -> Vec<(usize, usize)> {
        let mut never = Vec::new();
        let mut by_path: hashbrown::HashMap<String, Vec<usize>> = hashbrown::HashMap::new();
        for (number, entry) in self.entries.iter().enumerate() {
            let path = format!("{:?}", entry.template);
            by_path.entry(path).or_default().push(number);
        }
        let entry = |number: usize| self.entries.get(number);
        for same in by_path.into_values() {
            for later in &same {
                let in_the_way = same.iter().find(|first| {
                    let (Some(one), Some(other)) = (entry(**first), entry(*later)) else {
                        return false;
                    };
                    let (one, other) = (&one.conditions, &other.conditions);
                    first != &later && one.rank(**first) < other.rank(*later) && one.cover(other)
                });
                never.extend(in_the_way.map(|first| (*later, *first)));
            }
        }
        never.sort_unstable();
        never
    }
}
