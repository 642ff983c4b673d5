//! Policies per route and per upstream from a file.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod build;
mod check;
pub mod problem;
pub mod routes;
pub mod settings;
pub mod source;

pub use problem::{Problem, Problems, Severity};
pub use settings::Settings;
pub use source::{Document, Format};
