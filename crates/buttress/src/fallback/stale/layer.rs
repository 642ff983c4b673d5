use super::service::StaleIfErrorService;
use super::store::Store;
use crate::room::{MOST_BYTES, Room};
use buttress_core::SettingError;
use buttress_core::digest::Digester;
use buttress_core::setting::{check_duration, check_range};
use std::sync::Arc;
use std::time::Duration;
use tower_layer::Layer;

/// Answers with what the callee said when it was last well, if it is not well now. For HTTP.
///
/// It keeps answers to GET requests, and uses them only when the callee fails: with a 500, 502,
/// 503 or 504, with an error, or with the refusal of a layer further in. It is not a cache that
/// spares the callee anything: each request is made. (A body that breaks off comes too late: the
/// caller has the head already.)
///
/// # What is kept
///
/// Whole answers with status 200 that say `stale-if-error=N` in their `Cache-Control` (RFC 5861),
/// for their freshness (`s-maxage` or `max-age`; none if neither is there, also if they have
/// `Expires`, which is not read) and N seconds longer, but no longer than [`longest`](StaleIfErrorBuilder::longest).
/// Answers without it are kept only if [`unless_told`](StaleIfErrorBuilder::unless_told) says so.
///
/// Not kept is what RFC 9111 does not let a cache keep that serves everybody, and a little more
/// where that is simpler: answers to requests with `Authorization`, `Cookie`, a `Range`, a
/// condition or a body; answers that are `private`, `no-store`, `no-cache` or `must-revalidate`,
/// that set a cookie, or that vary with a header field by which requests are not told apart (`*`,
/// `User-Agent`); answers with trailers; bodies that break off, or are over
/// [`max_body`](StaleIfErrorBuilder::max_body). gRPC is left alone. There is one answer for each
/// URI and host, the latest one, and it goes only to requests with the same header fields, but for
/// those of traces and proxies.
///
/// A later answer takes its place, or just removes it if that one cannot be kept, as do a redirect,
/// a 404 and a 410, and any successful POST, PUT, PATCH or DELETE of the same URI.
///
/// # What the caller gets
///
/// The answer as it was, without the fields of the connection, with its `Age`: the one that it
/// came with, and the time since it was asked for (`Date` is not read). There is no `Warning`, which RFC 9111 has abolished. [`StoodIn`](crate::fallback::StoodIn) in its
/// extensions says what it stands in for. A request whose `Cache-Control` says `no-cache`,
/// `no-store` or `max-age=0` gets the failure; `max-age` and `stale-if-error` in a request bound
/// the age of what it gets.
///
/// # Memory
///
/// Bodies pass through while they are kept in mind, in shared parts; what is stored is a copy of
/// its exact size, because a part may be a small piece of a connection's large buffer. It is a
/// handle: clones share the store.
///
/// ```
/// use buttress::StaleIfError;
/// use std::time::Duration;
///
/// let stale = StaleIfError::builder()
///     .max_bytes(64 * 1024 * 1024)
///     .longest(Duration::from_secs(3_600))
///     .build()?;
/// # let _ = stale;
/// # Ok::<(), buttress::SettingError>(())
/// ```
///
/// # How it fails when misused
///
/// An answer that depends on something that is neither in the URI nor in a header field that is
/// compared is given to others: on the caller's address, on a client certificate, on what a layer
/// further out has put into the request's extensions. One handle stands for one callee, as with
/// [`Coalesce`](crate::coalesce).
#[derive(Clone, Debug)]
pub struct StaleIfError {
    pub(super) shared: Arc<Shared>,
}

/// What the clones share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) limits: Limits,
    pub(super) digester: Digester,
    pub(super) store: Store,
    /// For bodies on their way.
    pub(super) room: Arc<Room>,
}

/// How long answers may be used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) longest: Duration,
    pub(super) unless_told: Option<Duration>,
}

impl StaleIfError {
    /// Settings to be changed: 16 MiB, 1 000 answers, bodies of 256 KiB at most, used for a day at
    /// most after they are stale.
    pub fn builder() -> StaleIfErrorBuilder {
        StaleIfErrorBuilder {
            max_bytes: 16 * 1024 * 1024,
            max_entries: 1_000,
            max_body: 256 * 1024,
            longest: Duration::from_secs(24 * 60 * 60),
            unless_told: None,
        }
    }

    /// How many answers are kept.
    pub fn len(&self) -> usize {
        self.shared.store.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes the answers that are kept count.
    pub fn bytes(&self) -> u64 {
        self.shared.store.bytes()
    }

    /// Forgets all answers.
    pub fn clear(&self) {
        self.shared.store.clear();
    }
}

impl<S> Layer<S> for StaleIfError {
    type Service = StaleIfErrorService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        StaleIfErrorService::new(inner, self.clone())
    }
}

/// The settings of a [`StaleIfError`].
#[derive(Clone, Copy, Debug)]
#[must_use = "call `build`"]
pub struct StaleIfErrorBuilder {
    max_bytes: u64,
    max_entries: u32,
    max_body: u64,
    longest: Duration,
    unless_told: Option<Duration>,
}

impl StaleIfErrorBuilder {
    /// What all answers may take together, in bytes, from twice [`max_body`](Self::max_body) to
    /// 2⁴⁰; 16 MiB by default. An answer counts its body, its header fields, and what it takes to
    /// keep them. As much again may be on its way at a time: answers for which there is no room
    /// pass through and are not kept.
    pub fn max_bytes(self, max_bytes: u64) -> Self {
        Self { max_bytes, ..self }
    }

    /// The most answers, from 1 to 2³² − 1; 1 000 by default. Small answers count as if they had
    /// the average size that the two bounds leave them.
    pub fn max_entries(self, max_entries: u32) -> Self {
        Self {
            max_entries,
            ..self
        }
    }

    /// The longest body that is kept, in bytes, from 1 to 2³⁹; 256 KiB by default. Each of its
    /// frames counts 64 bytes more.
    pub fn max_body(self, max_body: u64) -> Self {
        Self { max_body, ..self }
    }

    /// For how long an answer may be used after it is stale, whatever it says itself; more than 0
    /// and at most a year, a day by default.
    pub fn longest(self, longest: Duration) -> Self {
        Self { longest, ..self }
    }

    /// For how long an answer may be used that does not say so; more than 0 and at most
    /// [`longest`](Self::longest). By default such answers are not kept. RFC 9111 (section 4.2.4)
    /// lets a cache do that where it was agreed on with whoever is responsible for the callee.
    pub fn unless_told(self, unless_told: Duration) -> Self {
        Self {
            unless_told: Some(unless_told),
            ..self
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed.
    pub fn build(self) -> Result<StaleIfError, SettingError> {
        let max_body = check_range("max_body", self.max_body, 1..=MOST_BYTES / 2)?;
        let max_bytes = check_range("max_bytes", self.max_bytes, 2 * max_body..=MOST_BYTES)?;
        let max_entries = check_range("max_entries", self.max_entries, 1..=u32::MAX)?;
        let longest = check_duration("longest", self.longest)?;
        if let Some(unless_told) = self.unless_told {
            check_duration("unless_told", unless_told)?;
            if unless_told > longest {
                let value = format_args!("{unless_told:?}");
                let allowed = format!("at most `longest`, {longest:?}");
                return Err(SettingError::new("unless_told", value, allowed));
            }
        }
        Ok(StaleIfError {
            shared: Arc::new(Shared {
                limits: Limits {
                    longest,
                    unless_told: self.unless_told,
                },
                digester: Digester::new(),
                store: Store::new(max_bytes, max_entries, max_body),
                room: Arc::new(Room::new(max_bytes, max_body)),
            }),
        })
    }
}
