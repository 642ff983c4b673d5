//! Policies made of policies. Each is written once and works for all.

mod and;
mod key_map;
mod keyed;
mod option;
mod reloadable;
#[cfg(all(test, not(loom)))]
mod tests;
mod tuple;

pub use and::{And, AndWaiting, Both};
pub use keyed::{DEFAULT_MAX_KEYS, Keyed, KeyedWaiting, MissingKeyMeans};
pub use reloadable::{OfPolicy, Reloadable};
