//! Checks that are ready to use.

mod blocking;
mod breaker;
#[cfg(unix)]
mod disk;
mod http_get;
mod saturation;
mod tcp;

pub use blocking::Blocking;
pub use breaker::BreakerState;
#[cfg(unix)]
pub use disk::DiskSpace;
pub use http_get::HttpGet;
pub use saturation::{BulkheadSaturation, Load, Saturation};
pub use tcp::TcpConnect;
