use super::conditions::{Rank, Wanted};
use super::host::Host;
use super::methods::Methods;
use super::template::Template;
use super::{Entry, Routes};
use hashbrown::{HashMap, HashSet};
use http::Method;

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

impl Routes {
    /// Rules that can never apply, each with those in its way: rules with the very same path that
    /// come first whenever it matches, be it one that does for all of its methods, or several that
    /// do for some each. What several hide by their hosts or headers together is not found, nor what
    /// one hides that asks for less than a rule with more than six headers.
    ///
    /// It takes time by the number of rules, also where all have one path.
    pub fn never_apply(&self) -> Vec<Hidden> {
        let mut alike: HashMap<_, Alike> = HashMap::new();
        for (number, entry) in self.entries.iter().enumerate() {
            // A rule whose conditions contradict each other is in nobody's way.
            if let Some(methods) = entry.conditions.effective_methods() {
                let key = Key {
                    template: entry.template.as_ref(),
                    host: entry.conditions.host.clone(),
                    headers: entry.conditions.headers_in_order(),
                };
                let extra = entry.conditions.count_of_methods();
                alike.entry(key).or_default().add(number, extra, &methods);
            }
        }
        let hidden = self.entries.iter().enumerate().filter_map(|(rule, entry)| {
            let by = self.in_the_way(rule, entry, &alike)?;
            Some(Hidden { rule, by })
        });
        hidden.collect()
    }

    /// Those that hide a rule, if it is hidden.
    fn in_the_way(
        &self,
        rule: usize,
        entry: &Entry,
        alike: &HashMap<Key<'_>, Alike>,
    ) -> Option<Vec<usize>> {
        let methods = entry.conditions.effective_methods()?;
        let rank = entry.conditions.rank(rule);
        let comes_first = |number: usize| self.rank(number).is_some_and(|other| other < rank);
        let wider = wider(entry);
        let wider: Vec<_> = wider.iter().filter_map(|key| alike.get(key)).collect();
        let alone = wider
            .iter()
            .filter_map(|alike| alike.covers(&methods, comes_first));
        if let Some(number) = alone.min() {
            return Some(vec![number]);
        }
        if methods.is_any() {
            return None;
        }
        let for_each = methods.names().map(|method| {
            let first = wider.iter();
            first
                .filter_map(|alike| alike.names(method, comes_first))
                .min()
        });
        let mut by = for_each.collect::<Option<Vec<_>>>()?;
        by.sort_unstable();
        by.dedup();
        Some(by)
    }

    fn rank(&self, number: usize) -> Option<Rank> {
        let entry = self.entries.get(number)?;
        Some(entry.conditions.rank(number))
    }
}

/// What rules ask for besides methods.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key<'a> {
    template: Option<&'a Template>,
    host: Option<Host>,
    headers: Vec<Wanted<'a>>,
}

/// What rules that cover this one may ask for.
fn wider(entry: &Entry) -> Vec<Key<'_>> {
    let wider = entry.conditions.host.iter().flat_map(|host| {
        let wider = host.wider().into_iter();
        wider.filter(|wider| wider.cover(host))
    });
    let hosts: Vec<_> = wider.map(Some).chain([None]).collect();
    let headers = fewer(entry.conditions.headers_in_order());
    let keys = hosts.iter().flat_map(|host| {
        headers.iter().map(|headers| Key {
            template: entry.template.as_ref(),
            host: host.clone(),
            headers: headers.clone(),
        })
    });
    keys.collect()
}

/// These headers, each with its value or any. A rule with fewer comes later, unless it has a condition
/// more: that of gRPC, beside that of the method. So one of them may be missing.
fn fewer(headers: Vec<Wanted<'_>>) -> Vec<Vec<Wanted<'_>>> {
    if headers.len() > MOST_HEADERS {
        return vec![headers];
    }
    let mut all = vec![headers.clone()];
    for missing in 0..headers.len() {
        let mut others = headers.clone();
        others.remove(missing);
        all.push(others);
    }
    for place in 0..headers.len() {
        for before in 0..all.len() {
            let mut any = all[before].clone();
            if let Some((_, value)) = any.get_mut(place)
                && value.take().is_some()
            {
                all.push(any);
            }
        }
    }
    all
}

/// With so many, 256 sets of them are looked for.
const MOST_HEADERS: usize = 6;

/// Rules that differ by their methods only.
#[derive(Default)]
struct Alike {
    /// The first that is for any method.
    any: Option<usize>,
    /// The others, but for those that ask for the same as one before, by how many conditions their
    /// methods are: none, one, or two. Of those with as many, the first comes first.
    named: [Named; 3],
}

/// Rules for some methods.
#[derive(Default)]
struct Named {
    rules: Vec<(usize, HashSet<Method>)>,
    /// The places of those that name a method, in their order.
    by_method: HashMap<Method, Vec<usize>>,
    known: HashSet<Vec<Method>>,
}

impl Alike {
    fn add(&mut self, number: usize, conditions: usize, methods: &Methods) {
        if methods.is_any() {
            self.any.get_or_insert(number);
        } else if let Some(named) = self.named.get_mut(conditions) {
            named.add(number, methods);
        }
    }

    /// The first that comes first and is for all of these methods.
    fn covers(&self, methods: &Methods, comes_first: impl Fn(usize) -> bool) -> Option<usize> {
        let any = self.any.filter(|number| comes_first(*number));
        let named = self.named.iter().filter(|_| !methods.is_any());
        let named = named.filter_map(|named| named.covers(methods, &comes_first));
        named.chain(any).min()
    }

    /// The first that comes first and is for this method, by its name.
    fn names(&self, method: &Method, comes_first: impl Fn(usize) -> bool) -> Option<usize> {
        let named = self.named.iter();
        let first = named.filter_map(|named| named.with(method).next());
        first
            .map(|(number, _)| *number)
            .filter(|number| comes_first(*number))
            .min()
    }
}

impl Named {
    fn add(&mut self, number: usize, methods: &Methods) {
        let mut in_order: Vec<_> = methods.names().cloned().collect();
        in_order.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        in_order.dedup();
        if !self.known.insert(in_order.clone()) {
            return;
        }
        let place = self.rules.len();
        for method in &in_order {
            self.by_method
                .entry(method.clone())
                .or_default()
                .push(place);
        }
        self.rules.push((number, in_order.into_iter().collect()));
    }

    fn with(&self, method: &Method) -> impl Iterator<Item = &(usize, HashSet<Method>)> {
        let places = self.by_method.get(method).into_iter().flatten();
        places.filter_map(|place| self.rules.get(*place))
    }

    fn covers(&self, methods: &Methods, comes_first: impl Fn(usize) -> bool) -> Option<usize> {
        // Whoever names all names that which the fewest do.
        let count = |method: &&Method| self.by_method.get(*method).map_or(0, Vec::len);
        let rarest = methods.names().min_by_key(count)?;
        let mut first = self
            .with(rarest)
            .take_while(|(number, _)| comes_first(*number));
        // Names are enough: what a rule for `GET` takes of `HEAD`, another one for `GET` takes as
        // well.
        let covering =
            first.find(|(_, theirs)| methods.names().all(|method| theirs.contains(method)));
        covering.map(|(number, _)| *number)
    }
}
