//! From a file's text to a tree of values that know where they stand.
//!
//! A file in TOML, YAML or JSON becomes the same tree, so everything after this is written once.
//! Parsing is bounded: a file is at most [4 MiB](LONGEST_FILE) long and 64 levels deep, and YAML's
//! aliases, by which a few lines stand for gigabytes, are refused.

mod document;
mod format;
mod json;
mod node;
mod open;
mod span;
mod toml;
#[cfg(feature = "yaml")]
mod yaml;

pub use document::Document;
pub use format::Format;
pub use node::{Node, Table};
pub(crate) use open::{read, read_regular};
#[cfg(all(test, feature = "yaml"))]
pub(crate) use yaml::parse as yaml;
#[cfg(test)]
pub(crate) use {json::parse as json, toml::parse as toml};

pub use span::{At, Span};

/// The longest file that is read, in bytes.
pub const LONGEST_FILE: usize = 4 * 1024 * 1024;

/// The deepest that values may be nested.
pub const DEEPEST: usize = 64;
