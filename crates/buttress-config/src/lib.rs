//! Policies per route and per upstream from a file.

#[cfg(feature = "admin")]
pub mod admin;
mod layers;
pub mod policy;
pub mod routes;
mod rules;
mod server;
mod standard;
mod upstream;
pub use server::{Server, ServerFuture, ServerService};
pub use upstream::{UpstreamLayer, UpstreamService};
mod build;
mod check;
pub mod explain;
pub mod problem;
mod schema;
pub mod settings;
pub mod source;

#[cfg(feature = "admin")]
pub use admin::Admin;
pub use problem::{Problem, Problems, Severity};
pub use rules::{PolicyStatus, Reload, Rules, UnknownUpstream};
pub use schema::schema;
pub use settings::Settings;
pub use source::{Document, Format};
pub use standard::{standard_client, standard_server};
