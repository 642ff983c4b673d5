//! Accepting work now and running it later.
//!
//! Some work need not be answered while its caller waits: a report, an import, a mail to a thousand
//! people. Under load such calls hold connections and slots that others need, and their callers time
//! out and ask again. [`RunLater`] answers them at once with `202 Accepted` and a status URL, puts
//! the work into a bounded queue, and runs it so many at a time. The status URL says how it is going,
//! and in the end gives the answer, for a while.
//!
//! | asking the status URL | answers |
//! | --- | --- |
//! | while the job waits or runs | `202 Accepted`, `Retry-After`, `{"state":"queued"}` or `{"state":"running"}` |
//! | when it is done | the service's own response: status, header fields and body |
//! | when it failed: it panicked, or its answer was too large | 500 |
//! | when it waited too long in the queue | 503 |
//! | when the result has been forgotten, or never was | 404 |
//!
//! A `DELETE` there ends the job, if it is not done yet, and forgets it: 204.
//!
//! # How it fails when misused
//!
//! The queue is in memory: a process that dies takes its jobs with it. [Drain](RunLater::drain) it
//! before the process ends, and let only such work run later that its caller asks for again if the
//! status URL knows nothing of it. Whoever knows a status URL can read the result and end the job:
//! its last part cannot be guessed, and is as secret as you keep it. And a long queue hides that a
//! service can do less than it is asked to: watch [`queued`](RunLater::queued).
//!
//! # Memory
//!
//! It is bounded by the settings, multiplied, and the default bounds are not small:
//!
//! | what | bytes | by default |
//! | --- | --- | --- |
//! | calls that are read or wait | `queue` × `max_body`, and twice that while they are read, since a body grows into spare room | 63 MiB, or 125 MiB |
//! | jobs that run | `at_once` × three times `max_body`: a request, and a result that grows | 3 MiB |
//! | results | `keep_results` × (`max_body` and 16 KiB of header fields) | 78 MiB |
//!
//! So count on 206 MiB at the worst, and to that add the heads of the requests, `queue` + `at_once` of
//! them. Each is as long as your server allows: with hyper, by default, 16 KiB in HTTP/2 and 400 KiB in
//! HTTP/1, which may stay in use whole, and what your layers put into extensions. Header fields are
//! counted by the letters of their names and values: many very short ones take many times as much.
//!
//! ```
//! use axum::{Router, routing::post};
//! use buttress::RunLater;
//! use std::time::Duration;
//!
//! # async fn report() {}
//! let later = RunLater::builder("/jobs/")
//!     .at_once(4)
//!     .queue(200, Duration::from_secs(15 * 60))
//!     .keep_results(Duration::from_secs(60 * 60), 1_000)
//!     .build()?;
//! let app: Router = Router::new()
//!     .route("/reports", post(report).layer(later.clone()))
//!     .route_service("/jobs/{id}", later.status());
//! # let _ = app;
//!
//! // When the server has stopped accepting connections:
//! # async fn shut_down(later: RunLater) {
//! let _ = tokio::time::timeout(Duration::from_secs(30), later.drain()).await;
//! # }
//! # Ok::<(), buttress::SettingError>(())
//! ```
//!
//! `buttress-health` takes a process down in order, and waits for the jobs after the last call, which
//! may have added one:
//!
//! ```text
//! let finishing = drain.finishing();
//! drain.spawn("jobs", async move {
//!     finishing.await;
//!     later.drain().await;
//! })?;
//! ```

mod answer;
mod future;
mod job;
mod layer;
mod service;
mod status;
mod store;

pub use answer::KeptBody;
pub use future::LaterFuture;
pub use layer::{RunLater, RunLaterBuilder};
pub use service::LaterService;
pub use status::Status;
