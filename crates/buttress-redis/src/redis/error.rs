use crate::store::StoreError;
use buttress_core::SettingError;
use redis::RedisError;
use std::fmt;

/// Why there is no fleet.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// A setting makes no sense.
    Setting(SettingError),
    /// The address is none, or of a kind that this build does not speak.
    Address(RedisError),
    /// The server does not answer, or does not let this client in.
    Unreachable(StoreError),
}

impl ConnectError {
    pub(super) fn address(error: RedisError) -> Self {
        Self::Address(error)
    }
}

impl From<SettingError> for ConnectError {
    fn from(error: SettingError) -> Self {
        Self::Setting(error)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(error) => error.fmt(f),
            Self::Address(error) => write!(f, "the address of Redis cannot be used: {error}"),
            Self::Unreachable(error) => write!(f, "Redis cannot be reached: {error}"),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Setting(error) => Some(error),
            Self::Address(error) => Some(error),
            Self::Unreachable(error) => Some(error),
        }
    }
}
