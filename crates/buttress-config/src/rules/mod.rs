//! The rules that are in force.

mod compile;
mod compiled;
mod current;
mod kinds;
mod registry;
mod status;
mod watch;

pub(crate) use compiled::Compiled;
pub(crate) use current::{Current, OfRoute};
pub(crate) use kinds::Kind;
#[cfg(feature = "admin")]
pub(crate) use registry::Handle;
pub(crate) use registry::Registry;
pub use status::PolicyStatus;

use crate::problem::{Problem, Problems, Severity};
use crate::server::Server;
use crate::settings::Settings;
use crate::source::{self, Document, Format};
use crate::upstream::UpstreamLayer;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

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
/// after a reload, with all that it has counted and learnt, and the calls that it holds.
///
/// Of those whose settings changed,
///
/// - a bulkhead and a fair share follow a new limit while calls run;
/// - a circuit breaker keeps its state: one that is open stays open for as long as it would have
///   been, and one that is in a mode by hand stays in it. Its windows start afresh;
/// - a policy that only goes into shadow, or out of it, is the same one;
/// - all others start afresh.
///
/// A switch by hand, as by the admin router, stays until the file changes what it says about it.
#[derive(Clone)]
pub struct Rules {
    current: Current,
}

struct State {
    path: Option<PathBuf>,
    /// What was read the last time, whether or not it could be used.
    text: Option<String>,
    document: Document,
    registry: Registry,
    generation: u64,
    /// The upstreams of which somebody may still have a layer.
    layers: BTreeMap<Box<str>, Weak<str>>,
}

impl State {
    /// The name that all layers of an upstream share, by which it is known whether there are any.
    fn layer(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.layers.get(name).and_then(Weak::upgrade) {
            return known;
        }
        self.layers.retain(|_, layer| layer.strong_count() > 0);
        let layer = Arc::from(name);
        self.layers.insert(name.into(), Arc::downgrade(&layer));
        layer
    }
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
        let state = State {
            path,
            text,
            document,
            registry: made.registry,
            generation,
            layers: BTreeMap::new(),
        };
        Ok(Self {
            current: Current::new(made.compiled, state),
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
        let upstreams = state.document.settings().upstream.as_ref();
        let names: Vec<&str> = upstreams.iter().flat_map(|all| all.names()).collect();
        if names.contains(&name) {
            return Ok(UpstreamLayer::new(self.current.clone(), state.layer(name)));
        }
        Err(UnknownUpstream {
            name: name.chars().take(64).collect(),
            nearest: crate::problem::nearest(name, &names).map(ToString::to_string),
        })
    }

    /// The same for an upstream that is known to be there.
    pub(crate) fn layer_of(&self, name: &str) -> UpstreamLayer {
        let name = self.current.shared.state.lock().layer(name);
        UpstreamLayer::new(self.current.clone(), name)
    }

    /// Reads the file again, and puts what it says into force. If there is something wrong with it,
    /// nothing changes.
    ///
    /// An empty file changes nothing either, and is an error, unless nothing is what was in force:
    /// who writes a file in place empties it first, and all state would be lost at that moment. A
    /// file that has a comment only is meant to say nothing, and does.
    ///
    /// It reads a file, so it may block for a moment. Of reloads at the same time, one waits for the
    /// other.
    ///
    /// # Errors
    ///
    /// All that is wrong with the file; or that the rules are not from a file.
    pub fn reload(&self) -> Result<Reload, Problems> {
        let Some(path) = self.path() else {
            return Err(one_problem("rules", "", "are not from a file".to_owned()));
        };
        // Before reading, so that nobody puts a newer text into force before an older one.
        let _one_at_a_time = self.current.shared.reload.lock();
        let text = read(&path)?;
        self.reload_from(&path, text)
    }

    /// Puts another document into force.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn replace(&self, document: Document) -> Result<Reload, Problems> {
        let _one_at_a_time = self.current.shared.reload.lock();
        self.put(&mut self.current.shared.state.lock(), document)
    }

    fn put(&self, state: &mut State, document: Document) -> Result<Reload, Problems> {
        if document.settings() == state.document.settings() {
            state.document = document;
            return Ok(Reload::Unchanged);
        }
        let generation = state.generation + 1;
        let mut made = compile::compile(document.settings(), &state.registry, generation)
            .map_err(|failure| unexpected(document.file(), failure))?;
        for change in made.changes {
            change();
        }
        self.keep_those_that_left(state, &mut made.compiled);
        self.current.replace(made.compiled);
        state.registry = made.registry;
        state.generation = generation;
        state.document = document;
        Ok(Reload::Changed)
    }

    /// An upstream that the file no longer has goes on for those who have a layer of it. They must
    /// not be without any protection.
    fn keep_those_that_left(&self, state: &State, next: &mut Compiled) {
        for (name, upstream) in &self.current.here().upstreams {
            let layer = state.layers.get(name);
            if layer.is_some_and(|layer| layer.strong_count() > 0) {
                let kept = next.upstreams.entry(name.clone());
                kept.or_insert_with(|| upstream.clone());
            }
        }
    }

    /// What is in force.
    pub fn settings(&self) -> Settings {
        self.current.shared.state.lock().document.settings().clone()
    }

    /// What was hardly meant in what is in force.
    pub fn warnings(&self) -> Problems {
        self.current.shared.state.lock().document.warnings().clone()
    }

    /// The file that the rules are from.
    pub fn path(&self) -> Option<PathBuf> {
        self.current.shared.state.lock().path.clone()
    }

    /// Who calls it holds the lock of reloads.
    fn reload_from(&self, path: &Path, text: String) -> Result<Reload, Problems> {
        let document = parse(path, &text)?;
        let mut state = self.current.shared.state.lock();
        let same = document.settings() == state.document.settings();
        if text.trim().is_empty() && !same {
            let what = "is empty, and may be in the middle of being written".to_owned();
            return Err(one_problem(&path.to_string_lossy(), "", what));
        }
        let reload = self.put(&mut state, document)?;
        state.text = Some(text);
        Ok(reload)
    }

    /// How each policy is doing, in the order of their names.
    pub fn policies(&self) -> Vec<PolicyStatus> {
        let registry = self.registry();
        let policies = registry.iter();
        policies
            .map(|(id, handle)| PolicyStatus::of(id, handle))
            .collect()
    }

    /// How often rules have been put into force, the first ones included.
    pub fn generation(&self) -> u64 {
        self.current.generation()
    }

    /// Changes by hand what is in force. No reload puts anything else into force meanwhile, by which
    /// the change would be lost.
    #[cfg(feature = "admin")]
    pub(crate) fn by_hand<T>(&self, change: impl FnOnce(&Registry) -> T) -> T {
        change(&self.current.shared.state.lock().registry)
    }

    /// What there is with a state, by name.
    pub(crate) fn registry(&self) -> Registry {
        self.current.shared.state.lock().registry.clone()
    }
}

/// What came of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// New rules are in force.
    Changed,
    /// The file says what was in force already.
    Unchanged,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

/// There is no upstream of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownUpstream {
    name: String,
    nearest: Option<String>,
}

impl UnknownUpstream {
    /// The name that there is not.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of an upstream that may have been meant.
    pub fn did_you_mean(&self) -> Option<&str> {
        self.nearest.as_deref()
    }
}

impl fmt::Display for UnknownUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no upstream `{}`", self.name)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for UnknownUpstream {}

fn read(path: &Path) -> Result<String, Problems> {
    let refuse = |what| one_problem(&path.to_string_lossy(), "", what);
    let failed = |error| refuse(format!("cannot be read: {error}"));
    // A pipe that nobody writes to would keep the one who opens it for ever.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(refuse("is no regular file".to_owned()));
    }
    source::read(path).map_err(failed)
}

fn parse(path: &Path, text: &str) -> Result<Document, Problems> {
    Document::parse(&path.to_string_lossy(), text, Format::of(path))
}

/// A document that was checked cannot be made into rules: that is for us to mend, and no reason to
/// stop a service.
fn unexpected(file: &str, (path, what): compile::Failure) -> Problems {
    one_problem(file, &path, what)
}

fn one_problem(file: &str, path: &str, what: String) -> Problems {
    let problem = Problem {
        severity: Severity::Error,
        file: file.to_owned(),
        line: 0,
        column: 0,
        path: path.to_owned(),
        what,
        allowed: None,
        did_you_mean: None,
        excerpt: None,
    };
    Problems::from_iter([problem])
}
