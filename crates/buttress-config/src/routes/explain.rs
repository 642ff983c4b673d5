use super::methods::Head;
use super::{Condition, Routes, path_of};
use hashbrown::HashSet;
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
        let path = path_of(request);
        let namers = self.entries.iter().filter(|entry| {
            let conditions = &entry.conditions;
            conditions.name_head() && conditions.missing(request, Head::OfItsOwn).is_empty()
        });
        let head_is_named: HashSet<_> = namers.map(|entry| &entry.template).collect();
        let entries = self.entries.iter().enumerate();
        let explained = entries.map(|(rule, entry)| {
            let fits = (entry.template.as_ref()).is_none_or(|template| template.fits(path));
            let head = if head_is_named.contains(&entry.template) {
                Head::OfItsOwn
            } else {
                Head::AsGet
            };
            let missing = entry.conditions.missing(request, head);
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
}
