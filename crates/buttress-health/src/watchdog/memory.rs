use super::ladder::Excess;
use super::thread::now;
use buttress::SettingError;
use buttress::shed::{ProcessUse, Source};
use buttress_core::setting::check_range;
use std::time::Duration;

/// A bound on memory, and what is known of how it is kept.
pub(super) struct MemoryLimit {
    /// What is wrong when it is broken.
    what: String,
    read: Box<Reader>,
    /// What was read last.
    value: f64,
    excess: Excess,
    since_read: Duration,
    was_unreadable: bool,
}

type Reader = dyn FnMut() -> Option<f64> + Send;

impl MemoryLimit {
    /// On the bytes that the process has resident.
    pub(super) fn of_resident(bytes: u64) -> Result<Self, SettingError> {
        if bytes == 0 {
            return Err(SettingError::new("memory_limit", bytes, "1 or more"));
        }
        let what = format!("the process has more than {bytes} bytes of memory");
        let read = || resident().map(|bytes| bytes as f64);
        let limit = Self::new(what, bytes as f64, Box::new(read));
        limit.ok_or_else(|| SettingError::new("memory_limit", bytes, READABLE))
    }

    /// On the share of the memory that the process's cgroup may use.
    pub(super) fn of_share(share: f64) -> Result<Self, SettingError> {
        let range = f64::MIN_POSITIVE..=1.0;
        let refused = |_| SettingError::new("memory_share", share, "more than 0 and at most 1");
        check_range("memory_share", share, range).map_err(refused)?;
        let what = format!("more than {share} of the memory that may be used is used");
        let mut source = ProcessUse::new();
        let limit = Self::new(what, share, Box::new(move || source.read(now()).memory));
        limit.ok_or_else(|| SettingError::new("memory_share", share, READABLE))
    }

    /// `None` if nothing can be read.
    fn new(what: String, limit: f64, mut read: Box<Reader>) -> Option<Self> {
        let value = read()?;
        Some(Self {
            what,
            read,
            value,
            excess: Excess::new(limit),
            since_read: Duration::ZERO,
            was_unreadable: false,
        })
    }

    pub(super) fn what(&self) -> &str {
        &self.what
    }

    /// Looks after so much time more, and says whether it could not read for the first time. What
    /// cannot be read counts as what it was: it is when all goes wrong that files cannot be opened.
    pub(super) fn observe(&mut self, passed: Duration) -> bool {
        let before = self.was_unreadable;
        self.since_read = self.since_read.saturating_add(passed);
        if self.since_read >= READ_AGAIN {
            self.since_read = Duration::ZERO;
            match (self.read)() {
                Some(value) => self.value = value,
                None => self.was_unreadable = true,
            }
        }
        self.excess.observe(passed, self.value);
        self.was_unreadable && !before
    }

    pub(super) fn broken_for(&self) -> Option<Duration> {
        self.excess.broken_for()
    }
}

/// A heartbeat may have the thread look a thousand times a second, and files cost more than that.
const READ_AGAIN: Duration = Duration::from_millis(250);

const READABLE: &str = "left out, except on Linux with /proc";

/// Bytes of this process that are in memory.
#[cfg(target_os = "linux")]
pub(super) fn resident() -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = pages.split(' ').nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(rustix::param::page_size() as u64))
}

/// There is no safe and cheap way to know.
#[cfg(not(target_os = "linux"))]
pub(super) fn resident() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(readings: &'static [Option<f64>]) -> MemoryLimit {
        let mut readings = readings.iter().copied();
        let read = Box::new(move || readings.next().flatten());
        MemoryLimit::new("too much".to_owned(), 1_000.0, read).unwrap()
    }

    #[test]
    fn what_cannot_be_read_is_what_it_was_and_told_once() {
        let mut limit = of(&[Some(1.0), Some(2_000.0), None, None, Some(1.0), None]);
        let mut seen = Vec::new();
        for _ in 0..5 {
            let told = limit.observe(Duration::from_secs(1));
            seen.push((told, limit.broken_for().map(|time| time.as_secs())));
        }
        let expected = [
            (false, Some(0)),
            (true, Some(1)),
            (false, Some(2)),
            (false, None),
            (false, None),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn files_are_not_read_as_often_as_a_heartbeat_is_looked_at() {
        let mut limit = of(&[Some(1.0), Some(2_000.0)]);
        for _ in 1..250 {
            limit.observe(Duration::from_millis(1));
            assert_eq!(limit.broken_for(), None);
        }
        limit.observe(Duration::from_millis(1));
        assert_eq!(limit.broken_for(), Some(Duration::ZERO));
    }
}
