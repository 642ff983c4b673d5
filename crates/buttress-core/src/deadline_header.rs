//! Stand-in.
use http::HeaderValue;
use std::time::Duration;
/// Malformed.
#[derive(Debug, Clone, Copy)]
pub struct MalformedDeadline;
/// x
pub fn parse_grpc_timeout(_: &[u8]) -> Result<Duration, MalformedDeadline> {
    Err(MalformedDeadline)
}
/// x
pub fn parse_milliseconds(_: &[u8]) -> Result<Duration, MalformedDeadline> {
    Err(MalformedDeadline)
}
/// x
pub fn write_grpc_timeout(_: Duration) -> HeaderValue {
    HeaderValue::from_static("1S")
}
/// x
pub fn write_milliseconds(_: Duration) -> HeaderValue {
    HeaderValue::from_static("1")
}
