//! The codes with which this crate ends a process, so that its supervisor and whoever reads the
//! log can tell why. They collide neither with the codes of `sysexits.h` (64 to 78) nor with those
//! of shells (126 and up).

/// A second signal came while the process was draining.
pub const HURRIED: i32 = 80;

/// A watchdog that was asked to ended the process.
pub const STUCK: i32 = 81;
