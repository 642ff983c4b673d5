use crate::routes::Routes;
use crate::server::Route;
use crate::upstream::Upstream;
use buttress_core::Spread;
use hashbrown::HashMap;

/// A file, made into what calls go by. It never changes: a reload makes a new one.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) routes: Routes,
    /// The route's number is one less than the place; the first is for requests without a rule.
    pub(crate) stacks: Vec<Route>,
    /// With those that left the file while somebody had a layer of them.
    pub(crate) upstreams: HashMap<Box<str>, Spread<Upstream>>,
    pub(crate) generation: u64,
}
