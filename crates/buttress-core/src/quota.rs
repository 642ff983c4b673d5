use std::time::Duration;

/// What a rate limit tells its callers: the values of the `RateLimit` and `RateLimit-Policy`
/// header fields (IETF draft-ietf-httpapi-ratelimit-headers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quota {
    /// The name of the limit, as the fields carry it.
    pub policy: &'static str,
    /// How much may be used in one window (`q`): calls, weighted by their cost.
    pub limit: u32,
    /// The window's length in seconds (`w`), at least 1.
    pub window: u32,
    /// What is left right now (`r`).
    pub remaining: u32,
    /// Seconds until the limit is whole again, or, on a refusal, until the call would pass (`t`).
    /// Rounded up.
    pub reset: u32,
}

impl Quota {
    /// What a limit counted outside this crate announces. Times are rounded up to whole seconds.
    pub fn new(
        policy: &'static str,
        limit: u32,
        window: Duration,
        remaining: u32,
        reset: Duration,
    ) -> Self {
        Self {
            policy,
            limit,
            window: seconds_field(window),
            remaining,
            reset: seconds_field(reset),
        }
    }
}

/// Whole seconds, rounded up: a client that waits them waits long enough.
pub(crate) fn seconds_rounded_up(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// The same, for a field of 32 bits.
pub(crate) fn seconds_field(duration: Duration) -> u32 {
    u32::try_from(seconds_rounded_up(duration)).unwrap_or(u32::MAX)
}
