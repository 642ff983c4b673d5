use buttress_core::SettingError;
use buttress_core::breaker::{Breaker, BreakerSettings, CancelledCounts};
use std::time::Duration;

/// The breaker between a fleet and its store.
///
/// It opens with the first failure: what waits for a store that is gone are the service's own
/// calls, and a limit that is decided locally for a moment costs nobody anything. Calls never
/// probe; the fleet does so in the background, so that finding out costs no call its deadline.
/// A store that answers the probes and then fails again is left alone for longer each time.
pub(crate) fn breaker() -> Result<Breaker, SettingError> {
    let mut settings = BreakerSettings::default();
    settings.consecutive_failures = Some(1);
    settings.failure_rate = None;
    settings.time_window = None;
    settings.open_time = FIRST_PAUSE;
    settings.longest_open_time = LONGEST_PAUSE;
    // Asks have a deadline of their own, and callers that leave say nothing about the store.
    settings.cancelled = CancelledCounts::AsNothing;
    // One of many, so that its changes are details: the fleet says what there is to say.
    Breaker::new("store-of-rate-limits", &settings).map(|breaker| breaker.fresh())
}

pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// So that limits hold again within a second of the store's return, even if it takes two probes to
/// find out that the connections are dead, and one more to use the new ones.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
