//! The rules that are in force.

mod compile;
mod compiled;
mod current;
mod difference;
mod kinds;
mod maker;
#[cfg(test)]
mod meanwhile_tests;
mod news;
mod registry;
mod reload;
mod reloaded;
mod state;
mod status;
mod turn;
mod unknown;
mod watch;

pub(crate) use compiled::Compiled;
pub(crate) use current::{Current, OfRoute};
pub(crate) use kinds::Kind;
#[cfg(feature = "admin")]
pub(crate) use registry::Handle;
pub(crate) use registry::Registry;
pub use reload::Reload;
pub(crate) use reloaded::Reloaded;
#[cfg(feature = "admin")]
pub(crate) use reloaded::brief;
pub use status::PolicyStatus;
#[cfg(feature = "admin")]
pub(crate) use turn::said;
pub use unknown::UnknownUpstream;

use crate::problem::Problems;
use crate::server::Server;
use crate::settings::Settings;
use crate::source::{Document, Format};
use crate::upstream::UpstreamLayer;
use reload::{parse, read, unexpected};
use state::{InForce, State};
use std::fmt;
use std::path::{Path, PathBuf};

/// The rules of a file, in force. It is a handle: clones share them.
///
/// ```
/// use buttress_config::Rules;
///
/// let rules = Rules::from_toml(
///     r#"
///     [[server.route]]
///     match = { path = "/search/{term}" }
///     bulkhead = 64
///     timeout = "300ms"
///
///     [upstream.payments]
///     retry = { attempts = 2 }
///     "#,
/// )?;
/// let around_the_router = rules.server();
/// let around_the_client = rules.upstream("payments")?;
/// # let _ = (around_the_router, around_the_client);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What survives a reload
///
/// Policies are known by where they stand: a shared one by its name, a route's by what the route
/// matches, an upstream's by the upstream's name. One whose settings did not change is the same one
/// after a reload, with all that it has counted and learnt, and the calls that it holds. One whose
/// settings changed keeps what they did not make untrue: the calls under way stay counted, what a rate
/// limit has given away stays given, a breaker that is open stays open.
///
/// Calls that began before go by the rules of then to their end. But where one comes to a policy that
/// was replaced meanwhile, the one in its place decides.
///
/// What that is for each kind of policy is said in the repository's `docs/configuration.md`, "What a
/// reload does".
#[derive(Clone)]
pub struct Rules {
    current: Current,
}

impl Rules {
    /// Reads a file. Its ending says what it is written in, see [`Format::of`]. It must be a regular
    /// one, of at most [4 MiB](crate::source::LONGEST_FILE).
    ///
    /// # Errors
    ///
    /// All that is wrong with the file, or that it cannot be read.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Problems> {
        let path = path.as_ref();
        let text = read(path)?;
        let document = parse(path, &text)?;
        Self::of(document, Some(path.to_owned()), Some(text))
    }

    /// The same, and goes by what the file says whenever it changes, for as long as there is a layer
    /// or a service that goes by it.
    ///
    /// What is watched is the file's directory. So it does not matter whether the file is written
    /// in place or another is renamed to its name, as editors do it, nor whether the directory of
    /// which it is a part is exchanged by a symbolic link, as Kubernetes does it with a `ConfigMap`.
    /// Changes that follow one another within 50 ms are one, for a second at most. Every ten seconds the file is looked at
    /// in any case, since not every file system tells.
    ///
    /// A file that something is wrong with changes nothing, nor does one that became
    /// [empty](Self::reload). It is reported once, as an event of
    /// `tracing`, and watching goes on.
    ///
    /// # Errors
    ///
    /// All that is wrong with the file now, or that it cannot be watched.
    pub fn watch(path: impl AsRef<Path>) -> Result<Self, Problems> {
        let rules = Self::load(path)?;
        watch::watch(&rules)?;
        Ok(rules)
    }

    /// Reads a text in TOML.
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub fn from_toml(text: &str) -> Result<Self, Problems> {
        Self::new(Document::parse("rules", text, Format::Toml)?)
    }

    /// The rules of a document that has been read.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn new(document: Document) -> Result<Self, Problems> {
        Self::of(document, None, None)
    }

    fn of(
        document: Document,
        path: Option<PathBuf>,
        text: Option<String>,
    ) -> Result<Self, Problems> {
        let generation = 1;
        let before = Registry::default();
        let made = compile::compile(document.settings(), &before, generation)
            .map_err(|failure| unexpected(document.file(), failure))?;
        for change in made.changes {
            change();
        }
        let registry = made.registry;
        let in_force = InForce { document, registry };
        Ok(Self {
            current: Current::new(made.compiled, in_force, path, State::new(text)),
        })
    }

    /// The layer for servers. Requests of which no route says anything have the defaults.
    pub fn server(&self) -> Server {
        Server::new(self.current.clone())
    }

    /// The layer for the client of an upstream.
    ///
    /// # Errors
    ///
    /// There is no upstream of that name; the error says which ones have a similar one.
    pub fn upstream(&self, name: &str) -> Result<UpstreamLayer, UnknownUpstream> {
        let mut state = self.current.shared.state.lock();
        let in_force = self.current.in_force();
        let upstreams = in_force.document.settings().upstream.as_ref();
        let names: Vec<&str> = upstreams.iter().flat_map(|all| all.names()).collect();
        if names.contains(&name) {
            return Ok(UpstreamLayer::new(self.current.clone(), state.layer(name)));
        }
        Err(UnknownUpstream::new(name, &names))
    }

    /// The same for an upstream that is known to be there.
    pub(crate) fn layer_of(&self, name: &str) -> UpstreamLayer {
        let name = self.current.shared.state.lock().layer(name);
        UpstreamLayer::new(self.current.clone(), name)
    }

    /// What is in force.
    pub fn settings(&self) -> Settings {
        self.current.in_force().document.settings().clone()
    }

    /// What was hardly meant in what is in force.
    pub fn warnings(&self) -> Problems {
        self.current.in_force().document.warnings().clone()
    }

    /// The file that the rules are from.
    pub fn path(&self) -> Option<PathBuf> {
        self.current.shared.path.clone()
    }

    /// How each policy is doing, in the order of their names.
    pub fn policies(&self) -> Vec<PolicyStatus> {
        PolicyStatus::all(&self.current.in_force().registry)
    }

    /// How often rules have been put into force, the first ones included.
    pub fn generation(&self) -> u64 {
        self.current.generation()
    }

    /// Changes by hand what is in force, and tells of it. No reload puts anything else into force
    /// meanwhile, by which the change would be lost or the events come in another order. It waits for
    /// one that is under way, and so may block for a moment.
    #[cfg(feature = "admin")]
    pub(crate) fn by_hand<T>(&self, change: impl FnOnce(&Registry) -> T) -> T {
        let _no_reload = self.current.shared.reload.lock();
        change(&self.current.in_force().registry)
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}
