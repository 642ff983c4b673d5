use super::Entry;
use super::conditions::{Conditions, Rank};
use super::host::{Host, host_of, with_and_without_port};
use super::methods::Head;
use super::template::{Segment, Template};
use hashbrown::HashMap;
use http::{Method, Request};

/// The rules by their paths, a node for each segment.
///
/// Going down it tries the more specific branch first and comes back if nothing there applies. How
/// often that is depends on the file alone: a path that is longer than any in the file is left
/// after as many segments as the file's longest has.
#[derive(Debug, Default)]
pub(super) struct Tree {
    root: Node,
    /// Rules without a path.
    anywhere: Leaf,
}

#[derive(Debug, Default)]
struct Node {
    fixed: HashMap<Box<str>, Node>,
    parameter: Option<Box<Node>>,
    /// Paths that end here.
    here: Leaf,
    /// Paths that go on from here with anything.
    wildcard: Leaf,
}

/// The rules with one path.
#[derive(Debug, Default)]
pub(super) struct Leaf {
    any: Vec<(Rank, usize)>,
    /// In a box, so that the nodes of a large tree are close together.
    hosts: Option<Box<Hosts>>,
}

/// Those that name a host.
#[derive(Debug, Default)]
struct Hosts {
    named: HashMap<Box<str>, Vec<(Rank, usize)>>,
    /// By what follows the star.
    under: HashMap<Box<str>, Vec<(Rank, usize)>>,
    /// How many dots the one of these with the most has.
    most_dots: usize,
}

impl Tree {
    pub(super) fn insert(&mut self, template: Option<&Template>, number: usize, all: &Conditions) {
        let Some(template) = template else {
            self.anywhere.insert(number, all);
            return;
        };
        let mut node = &mut self.root;
        for segment in &template.segments {
            node = match segment {
                Segment::Fixed(text) => node.fixed.entry(text.clone()).or_default(),
                Segment::Parameter => node.parameter.get_or_insert_default(),
                Segment::Wildcard => {
                    node.wildcard.insert(number, all);
                    return;
                }
            };
        }
        node.here.insert(number, all);
    }

    /// The first of what `choose` finds, from the most specific path on.
    #[inline]
    pub(super) fn find(
        &self,
        path: &str,
        mut choose: impl FnMut(&Leaf) -> Option<usize>,
    ) -> Option<usize> {
        let rest = path.strip_prefix('/').unwrap_or(path);
        self.root
            .find(Some(rest), &mut choose)
            .or_else(|| choose(&self.anywhere))
    }
}

impl Node {
    fn find(
        &self,
        rest: Option<&str>,
        choose: &mut impl FnMut(&Leaf) -> Option<usize>,
    ) -> Option<usize> {
        let Some(rest) = rest else {
            return choose(&self.here);
        };
        // Segments are short, so this is faster than to search as for a long text.
        let (first, next) = match rest.bytes().position(|byte| byte == b'/') {
            Some(slash) => (&rest[..slash], Some(&rest[slash + 1..])),
            None => (rest, None),
        };
        if let Some(node) = self.fixed.get(first)
            && let Some(found) = node.find(next, choose)
        {
            return Some(found);
        }
        if let Some(node) = &self.parameter
            && !first.is_empty()
            && let Some(found) = node.find(next, choose)
        {
            return Some(found);
        }
        if rest.is_empty() {
            return None;
        }
        choose(&self.wildcard)
    }
}

impl Leaf {
    pub(super) fn insert(&mut self, number: usize, all: &Conditions) {
        let list = match &all.host {
            None => &mut self.any,
            Some(host) => {
                let hosts = self.hosts.get_or_insert_default();
                match host {
                    Host::Fixed(host) => hosts.named.entry(host.clone()).or_default(),
                    Host::Under(end) => {
                        hosts.most_dots = hosts.most_dots.max(end.matches('.').count());
                        hosts.under.entry(end.clone()).or_default()
                    }
                }
            }
        };
        let entry = (all.rank(number), number);
        let place = list.partition_point(|other| *other < entry);
        list.insert(place, entry);
    }

    #[inline]
    pub(super) fn find<B>(&self, request: &Request<B>, entries: &[Entry]) -> Option<usize> {
        let head = if request.method() == Method::HEAD {
            self.head(request, entries)
        } else {
            Head::OfItsOwn
        };
        self.first(request, entries, |conditions| {
            conditions.hold_but_for_host(request, head)
        })
    }

    /// What a `HEAD` request is to the rules with this path.
    #[cold]
    fn head<B>(&self, request: &Request<B>, entries: &[Entry]) -> Head {
        let named = self.first(request, entries, |conditions| {
            conditions.name_head() && conditions.hold_but_for_host(request, Head::OfItsOwn)
        });
        named.map_or(Head::AsGet, |_| Head::OfItsOwn)
    }

    /// The first whose host is right and whose other conditions are well.
    #[inline]
    fn first<B>(
        &self,
        request: &Request<B>,
        entries: &[Entry],
        well: impl Fn(&Conditions) -> bool,
    ) -> Option<usize> {
        let first = |list: &[(Rank, usize)]| {
            let holds = |entry: &&(Rank, usize)| {
                let entry = entries.get(entry.1);
                entry.is_some_and(|entry| well(&entry.conditions))
            };
            list.iter().find(holds).copied()
        };
        let any = first(&self.any);
        let found = match &self.hosts {
            Some(hosts) => any.into_iter().chain(hosts.find(request, first)).min(),
            None => any,
        };
        found.map(|(_, number)| number)
    }
}

impl Hosts {
    fn find<B>(
        &self,
        request: &Request<B>,
        first: impl Fn(&[(Rank, usize)]) -> Option<(Rank, usize)>,
    ) -> Option<(Rank, usize)> {
        let host = host_of(request)?;
        let mut found = None;
        for host in with_and_without_port(&host) {
            if let Some(list) = self.named.get(host) {
                found = found.into_iter().chain(first(list)).min();
            }
            // From the end, and no further than the file's names go: whoever sends a host may give
            // it thousands of labels.
            for (dot, _) in host.rmatch_indices('.').take(self.most_dots) {
                if dot > 0
                    && let Some(list) = self.under.get(&host[dot..])
                {
                    found = found.into_iter().chain(first(list)).min();
                }
            }
        }
        found
    }
}
