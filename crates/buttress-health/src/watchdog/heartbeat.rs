use super::check_standstill;
use super::ladder::Silence;
use buttress::SettingError;
use buttress_core::setting::check_name;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Shows a [`Watchdog`](crate::Watchdog) that something of your own goes on.
///
/// Dropping it is no excuse: a task that panics drops it, too, and is then missed.
/// [`retire`](Self::retire) says that it has ended as it should.
#[derive(Debug)]
#[must_use = "what does not beat is taken for stuck"]
pub struct Heartbeat {
    beats: Arc<AtomicU64>,
    heartbeats: Arc<Heartbeats>,
}

impl Heartbeat {
    /// It goes on. One addition to an atomic number; call it as often as you like.
    #[inline]
    pub fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// It has ended as it should, and is not watched any more.
    pub fn retire(self) {
        let mut watched = self.heartbeats.watched.lock();
        watched.retain(|other| !Arc::ptr_eq(&other.beats, &self.beats));
    }
}

/// All heartbeats that are watched: one of each name.
#[derive(Debug, Default)]
pub(super) struct Heartbeats {
    watched: Mutex<Vec<Watched>>,
}

#[derive(Debug)]
struct Watched {
    name: &'static str,
    beats: Arc<AtomicU64>,
    silence: Silence,
    /// Whether it has not been looked at, so that what passed is not its own.
    is_new: bool,
}

impl Watched {
    /// Whether whoever should beat still could.
    fn is_held(&self) -> bool {
        // One is our own.
        Arc::strong_count(&self.beats) > 1
    }
}

impl Heartbeats {
    pub(super) fn add(
        self: &Arc<Self>,
        name: &'static str,
        longest_silence: Duration,
    ) -> Result<Heartbeat, SettingError> {
        let name = check_name("name", name)?;
        let allowed = check_standstill("longest_silence", longest_silence)?;
        let beats = Arc::new(AtomicU64::new(0));
        let watched = Watched {
            name,
            beats: Arc::clone(&beats),
            silence: Silence::new(allowed, 0),
            is_new: true,
        };
        let mut all = self.watched.lock();
        if all
            .iter()
            .any(|other| other.name == name && other.is_held())
        {
            return Err(SettingError::new(
                "name",
                format_args!("{name:?}"),
                "a name that no other heartbeat has, until that is dropped or retired",
            ));
        }
        all.retain(|other| other.name != name);
        all.push(watched);
        drop(all);
        Ok(Heartbeat {
            beats,
            heartbeats: Arc::clone(self),
        })
    }

    /// Looks at each after so much time more, and shows its name and silence.
    pub(super) fn look(&self, passed: Duration, mut each: impl FnMut(&'static str, &Silence)) {
        for watched in self.watched.lock().iter_mut() {
            let beats = watched.beats.load(Ordering::Relaxed);
            let is_new = std::mem::take(&mut watched.is_new);
            let passed = if is_new { Duration::ZERO } else { passed };
            watched.silence.observe(passed, beats);
            each(watched.name, &watched.silence);
        }
    }

    /// The shortest silence that any may keep.
    pub(super) fn shortest(&self) -> Option<Duration> {
        let watched = self.watched.lock();
        watched
            .iter()
            .map(|watched| watched.silence.allowed())
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_heartbeat_is_not_blamed_for_the_time_before_it() {
        let heartbeats = Arc::new(Heartbeats::default());
        let silence = Duration::from_millis(50);
        let heartbeat = heartbeats.add("consumer", silence).unwrap();
        let look = |passed| {
            let mut noticed = Vec::new();
            heartbeats.look(passed, |_, silence| noticed.push(silence.too_long_for()));
            noticed
        };
        assert_eq!(look(Duration::from_secs(1)), [None]);
        assert_eq!(look(silence), [Some(Duration::ZERO)]);
        heartbeat.beat();
        assert_eq!(look(silence), [None]);
        heartbeat.retire();
        assert_eq!(look(silence), []);
    }
}
