//! Policies made of policies. Each is written once and works for all.

mod and;
mod key_map;
mod keyed;
mod missing;
mod option;
mod reloadable;
mod shadow;
mod shard;
#[cfg(all(test, not(loom)))]
mod tests;
mod tuple;

pub use and::{And, AndWaiting, Both};
pub use keyed::{DEFAULT_MAX_KEYS, Keyed, KeyedWaiting};
pub use missing::MissingKeyMeans;
pub(crate) use missing::{Instead, MissingKeys};
pub use reloadable::{OfPolicy, Reloadable};
pub use shadow::Shadow;
