//! One rate limit for a whole fleet, counted on Redis or Valkey.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod ask;
mod build;
mod count;
mod digest;
mod entry;
mod fleet;
mod fuse;
mod leased;
mod limit;
mod link;
mod memory;
mod permit;
mod redis;
mod rule;
mod share;
mod shared;
mod store;
mod synchronised;
mod waiting;

pub use ask::{Action, Answer, Ask};
pub use build::BuildOn;
pub use count::Count;
pub use fleet::{Fleet, FleetBuilder};
pub use limit::{Everyone, FleetLimit, FleetWaiting};
pub use memory::Memory;
pub use permit::FleetPermit;
pub use redis::{ConnectError, RedisBuilder, RedisStore};
pub use rule::{Countable, Rule};
pub use share::{Share, WhenUnreachable};
pub use store::{Answering, Store, StoreError};
