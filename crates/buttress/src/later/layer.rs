use super::service::LaterService;
use super::status::Status;
use super::store::Store;
use buttress_core::setting::{check_duration, check_name, check_range};
use buttress_core::{SettingError, Slots};
use http::HeaderValue;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tower_layer::Layer;

/// Accepts calls at once and runs them later; see the [module](crate::later) for what callers see.
///
/// It is a handle: its clones, and the services that it is put around, share one queue. A call is
/// accepted when its body has been read and its job is in the queue; one that finds the queue full
/// is refused with 503, and so is every call once it is being drained. A caller that goes away
/// before has done nothing; after that, the job runs without it, and its
/// [`Deadline`](crate::Deadline) does not count for the job. A request that
/// [`MarkArrival`](crate::shed::MarkArrival) has marked [arrives](crate::shed::Arrived) when its job
/// starts. Trailers of the request are not kept.
///
/// A call takes its place in the queue when it comes, before its body is read, and a sender that
/// sends slowly keeps it: put a [`Timeout`](crate::Timeout) outside. Jobs run meanwhile. gRPC requests
/// are refused with `UNIMPLEMENTED`, since gRPC has no way to be told "later".
///
/// Jobs are tasks of tokio's runtime.
#[derive(Clone)]
pub struct RunLater {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) slots: Slots,
    pub(super) store: Store,
    pub(super) max_body: usize,
    pub(super) name: &'static str,
    prefix: &'static str,
}

impl RunLater {
    /// Jobs whose status URL is `prefix` and the job's name, for instance `/jobs/`. Serve
    /// [`status`](Self::status) there.
    ///
    /// It is sent as it is, so below a nested router it is the whole path that clients see, such as
    /// `/api/jobs/`. A relative one counts from the URL that was asked: `jobs/` and a call to
    /// `/api/reports` make `/api/jobs/…`.
    pub fn builder(prefix: &'static str) -> RunLaterBuilder {
        RunLaterBuilder {
            prefix,
            at_once: 16,
            queue: (1_000, Duration::from_secs(60 * 60)),
            results: (Duration::from_secs(10 * 60), 1_000),
            max_body: 64 * 1024,
            name: "run-later",
        }
    }

    /// The service that answers at status URLs. It looks at the last part of the path only.
    pub fn status(&self) -> Status {
        Status::new(&self.shared)
    }

    /// How many jobs wait in the queue.
    pub fn queued(&self) -> usize {
        self.shared.slots.waiting()
    }

    /// How many jobs are neither done nor have failed.
    pub fn unfinished(&self) -> usize {
        self.shared.store.unfinished()
    }

    /// How many results are remembered.
    pub fn results(&self) -> usize {
        self.shared.store.results()
    }

    /// Accepts nothing more, and waits until all jobs are done. Results are still there to be asked
    /// for afterwards.
    ///
    /// # Cancellation
    ///
    /// Dropping the future ends the wait, and nothing else: it may be put under a timeout, and called
    /// again.
    pub async fn drain(&self) {
        self.shared.store.drain().await;
    }
}

impl<S: Clone> Layer<S> for RunLater {
    type Service = LaterService<S>;

    fn layer(&self, inner: S) -> LaterService<S> {
        LaterService::new(inner, Arc::clone(&self.shared))
    }
}

impl fmt::Debug for RunLater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunLater")
            .field("name", &self.shared.name)
            .field("queued", &self.queued())
            .field("unfinished", &self.unfinished())
            .field("results", &self.results())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Where to ask about a job.
    pub(super) fn location(&self, id: u128) -> HeaderValue {
        // The prefix was checked, and hexadecimal digits are a header's value anyway.
        HeaderValue::try_from(format!("{}{id:032x}", self.prefix))
            .unwrap_or_else(|_| HeaderValue::from_static(self.prefix))
    }
}

/// The settings of a [`RunLater`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct RunLaterBuilder {
    prefix: &'static str,
    at_once: u32,
    queue: (u32, Duration),
    results: (Duration, u32),
    max_body: u32,
    name: &'static str,
}

impl RunLaterBuilder {
    /// How many jobs run at once: from 1 to 2³² − 1, 16 by default.
    pub fn at_once(mut self, jobs: u32) -> Self {
        self.at_once = jobs;
        self
    }

    /// How many jobs may wait, from 1 to 1 000 000, and how long each (up to a year): 1000 and an
    /// hour by default. One that has waited for longer fails with 503.
    pub fn queue(mut self, places: u32, longest_wait: Duration) -> Self {
        self.queue = (places, longest_wait);
        self
    }

    /// How long results are kept (up to a year), and how many at most, from 1 to 1 000 000: ten
    /// minutes and 1000 by default. When there are more, the oldest is forgotten.
    pub fn keep_results(mut self, time: Duration, results: u32) -> Self {
        self.results = (time, results);
        self
    }

    /// The most bytes of a request's or a result's body: 1 to 2³⁰, 64 KiB by default. A larger
    /// request is answered with 413; a larger result is a failure, and so is one with more than 16 KiB
    /// of header fields.
    pub fn max_body(mut self, bytes: u32) -> Self {
        self.max_body = bytes;
        self
    }

    /// The name that refusals carry: 1 to 64 printable ASCII characters, `"run-later"` by default.
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed.
    pub fn build(self) -> Result<RunLater, SettingError> {
        let of_a_path = |byte: u8| (0x21..0x7f).contains(&byte) && !b"?#".contains(&byte);
        if !self.prefix.ends_with('/') || !self.prefix.bytes().all(of_a_path) {
            return Err(SettingError::new(
                "prefix",
                format_args!("{:?}", self.prefix),
                "a path or URL of printable ASCII characters, without a query, that ends with a slash",
            ));
        }
        let (places, longest_wait) = self.queue;
        let name = check_name("named", self.name)?;
        check_range("at_once", self.at_once, 1..=u32::MAX)?;
        check_range("queue.places", places, 1..=1_000_000)?;
        check_duration("queue.longest_wait", longest_wait)?;
        let slots = Slots::new(self.at_once)?.named(name)?;
        let (time, results) = self.results;
        let keep = check_duration("keep_results.time", time)?;
        let results = check_range("keep_results.results", results, 1..=1_000_000)?;
        let max_body = check_range("max_body", self.max_body, 1..=1 << 30)?;
        Ok(RunLater {
            shared: Arc::new(Shared {
                slots: slots.waiting_room(places, longest_wait)?,
                store: Store::new(
                    u64::from(self.at_once) + u64::from(places),
                    keep,
                    results as usize,
                ),
                max_body: max_body as usize,
                name,
                prefix: self.prefix,
            }),
        })
    }
}
