//! What a file means, for people: which policies a route and an upstream end up with, how bad it
//! can get, and which rule applies to a request.

mod request;
mod stack;

pub use request::{explain, method_meant};
pub use stack::stacks;
