//! What an upstream may have besides.

use super::names::HeaderName;
use super::units::Size;
use std::time::Duration;

settings! {
    /// Tells the callee how critical requests are.
    #[derive(Default)]
    pub struct CriticalityHeaderSettings {
        shorthand header;
        /// The header; `x-criticality` by default.
        optional header: HeaderName,
    }

    /// Lets identical calls that are under way share one.
    #[derive(Default)]
    pub struct CoalesceSettings {
        /// The most different calls under way at a time; 10 000 by default.
        optional max_keys: u32,
        /// The longest body that is read for several callers; 1 MiB by default.
        optional max_body: Size,
        /// What all such bodies may take together; 64 MiB by default.
        optional max_memory: Size,
        /// How long followers wait for the end of the body; 1 s by default.
        optional body_wait: Duration,
    }

    /// Answers with what the callee said when it was last well, if it is not well now.
    #[derive(Default)]
    pub struct StaleIfErrorSettings {
        /// What all answers may take together; 16 MiB by default.
        optional max_bytes: Size,
        /// The most answers; 1 000 by default.
        optional max_entries: u32,
        /// The longest body that is kept; 256 KiB by default.
        optional max_body: Size,
        /// For how long an answer may be used after it is stale, whatever it says: a day by default.
        optional longest: Duration,
        /// For how long an answer may be used that does not say so. By default it is not kept.
        optional unless_told: Duration,
    }
}

choices! {
    /// In which header the callee is told how much time is left.
    pub enum DeadlineHeaderSettings {
        /// `grpc-timeout`.
        Grpc = "grpc",
        /// A header with milliseconds, as in `"header:x-request-timeout-ms"`.
        Header(HeaderName) = "header",
    }
}

impl CoalesceSettings {
    /// How long the end of an answer is waited for.
    pub(crate) fn body_wait(&self) -> Duration {
        let wait = self.body_wait.as_ref();
        wait.map_or(Self::BODY_WAIT, |wait| **wait)
    }

    /// The default of [`buttress::Coalesce`].
    pub(super) const BODY_WAIT: Duration = Duration::from_secs(1);
}
