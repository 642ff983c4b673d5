//! The rules that are in force.

mod compiled;
mod current;

pub(crate) use compiled::Compiled;
pub(crate) use current::{Current, OfRoute};
