use super::Blocking;
use crate::check::{Fault, Inspect};
use std::path::PathBuf;

/// Whether a file system has enough space left for the process. Unix only.
///
/// ```
/// use buttress_health::{Check, DiskSpace};
///
/// let spool = Check::readiness("spool", DiskSpace::at_least(1 << 30, "/var/spool")).hard();
/// # let _ = spool;
/// ```
#[derive(Debug)]
pub struct DiskSpace {
    statistics: Blocking<()>,
}

impl DiskSpace {
    /// Fails when the file system of `path` has fewer than `bytes` left that an ordinary user may
    /// use, and when it cannot be asked.
    pub fn at_least(bytes: u64, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let ask = move || {
            let found = rustix::fs::statvfs(&path).map_err(Fault::new)?;
            let left = found.f_bavail.saturating_mul(found.f_frsize);
            if left < bytes {
                return Err(Fault::new(format_args!(
                    "{left} bytes left, fewer than {bytes}"
                )));
            }
            Ok(())
        };
        Self {
            // A file system over a network may hang.
            statistics: Blocking::new(ask),
        }
    }
}

impl Inspect for DiskSpace {
    async fn inspect(&self) -> Result<(), Fault> {
        self.statistics.ask().await
    }
}
