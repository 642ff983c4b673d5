use super::ladder::Excess;
use buttress::SettingError;

/// A bound on the memory that the process has resident.
#[derive(Debug)]
pub(super) struct MemoryLimit {
    pub(super) bytes: u64,
    pub(super) excess: Excess,
}

impl MemoryLimit {
    pub(super) fn new(bytes: u64) -> Result<Self, SettingError> {
        if bytes == 0 {
            return Err(SettingError::new("memory_limit", bytes, "1 or more"));
        }
        if resident().is_none() {
            return Err(SettingError::new(
                "memory_limit",
                bytes,
                "left out, except on Linux with /proc",
            ));
        }
        let excess = Excess::new(bytes);
        Ok(Self { bytes, excess })
    }
}

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
