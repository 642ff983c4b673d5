//! What is read from requests, and how long they may take.

use super::names::{HeaderName, PolicyName};
use crate::source::At;
use buttress::Criticality;
use std::time::Duration;

settings! {
    /// Reads the caller's deadline, and enforces it.
    pub struct DeadlineSettings {
        shorthand at_most;
        /// Deadlines are at most so far away, whatever the caller says. Up to a year.
        required at_most: Duration,
        /// The header in which HTTP requests carry the milliseconds that they have.
        optional header: HeaderName,
        /// The name that refusals carry.
        optional name | "named": PolicyName,
    }

    /// Reads how many attempts there were before a request.
    #[derive(Default)]
    pub struct AttemptSettings {
        shorthand header;
        /// The header that says it, beside `grpc-previous-rpc-attempts`.
        optional header: HeaderName,
        /// The header that marks answers; `x-should-retry` by default.
        optional marker: HeaderName,
    }

    /// Says how critical requests are.
    #[derive(Default)]
    pub struct CriticalitySettings {
        shorthand otherwise;
        /// How critical requests are of which no believed header says it.
        optional otherwise: Criticality,
        /// The header that trusted callers set; `x-criticality` by default.
        optional header: HeaderName,
        /// Whose header is believed: nobody's, by default.
        optional trusting | "peers_in": TrustSettings,
    }

    /// Bounds how long a call may take.
    pub struct TimeoutSettings {
        shorthand headers;
        /// At most so long from the call to the response's headers.
        required headers | "timeout": Duration,
        /// At most so long for each wait for the body's next frame.
        optional idle_body: Duration,
        /// At most so long from the call to the end of the body.
        optional whole_body: Duration,
        /// Gives a request without a deadline one.
        optional sets_deadline: bool,
        /// The name that refusals carry.
        optional name | "named": PolicyName,
    }
}

choices! {
    /// Whose header is believed.
    pub enum TrustSettings {
        /// Nobody's.
        Nobody = "nobody",
        /// Everybody's: for services that only your own can reach.
        Everybody = "everybody",
        /// That of callers in some networks, as `10.0.0.0/8` or single addresses.
        PeersIn(Vec<At<String>>) = "peers_in",
    }
}
