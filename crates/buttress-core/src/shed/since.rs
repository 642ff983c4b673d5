use std::sync::OnceLock;
use std::time::Instant;

/// Instants as numbers that fit into an atomic: nanoseconds since the first one that anybody told.
#[derive(Debug, Default)]
pub(super) struct Since(OnceLock<Instant>);

impl Since {
    #[inline]
    pub(super) fn nanos(&self, now: Instant) -> u64 {
        let first = *self.0.get_or_init(|| now);
        // Five hundred years fit.
        now.saturating_duration_since(first).as_nanos() as u64
    }
}
