//! Resilience per route and per upstream from a file, checked as a whole and reloaded while running.
//!
//! Limits and timeouts are numbers that nobody knows when the code is written. Who operates a service
//! learns them, at night and one after the other, and should not need a build for each.
//!
//! ```
//! use buttress_config::Rules;
//!
//! // `Rules::watch("resilience.toml")` follows a file.
//! let rules = Rules::from_toml(
//!     r#"
//!     [server.defaults]
//!     deadline = "10s"
//!
//!     [[server.route]]
//!     match = { method = "GET", path = "/search/{term}" }
//!     timeout = "300ms"
//!     bulkhead = 64
//!     rate_limit = { rate = "100/s", by = "header:x-tenant" }
//!
//!     [upstream.payments]
//!     timeout = "3s"
//!     attempt_timeout = "800ms"
//!     retry = { attempts = 3 }
//!     "#,
//! )?;
//! # let _ = rules;
//! # Ok::<(), buttress_config::Problems>(())
//! ```
//!
//! | | |
//! | --- | --- |
//! | [`Rules`] | a file in force: layers for servers and upstreams |
//! | [`Document`] | a file that was read and checked, and [`Problems`], all that is wrong with one |
//! | [`Settings`] | what a file says |
//! | [`routes`] | which rule applies to a request |
//! | [`explain`], [`schema()`] | what a file means, and what it may look like; also as the program `buttress-config` |
//! | [`standard_server`], [`standard_client`] | the safe defaults, without a file |
//!
//! # How it fails when misused
//!
//! A file that anybody may write is code that anybody may deploy. Let it go through the same review,
//! and `buttress-config check` it before it is rolled out. And a limit in `[server.defaults]` is one
//! for *each* route: what all routes together may have, they share by name.
//!
//! # Features
//!
//! - `axum` (default): routes by the whole path in nested routers of axum's, and the peer's address
//!   from its `ConnectInfo`.
//! - `admin`: a router for operators, who look at policies and change them by hand.
//! - `yaml` (default): files in YAML, beside TOML and JSON.
//! - `cli`: the program `buttress-config`, which checks and explains files.

#[cfg(feature = "admin")]
pub mod admin;
mod build;
mod check;
pub mod explain;
#[allow(unreachable_pub, reason = "public types are made of what is in it")]
mod policy;
pub mod problem;
pub mod routes;
#[allow(unreachable_pub, reason = "public types are made of what is in it")]
mod rules;
mod schema;
#[allow(unreachable_pub, reason = "public types are made of what is in it")]
mod server;
pub mod settings;
pub mod source;
mod standard;
#[allow(unreachable_pub, reason = "public types are made of what is in it")]
mod upstream;

#[cfg(feature = "admin")]
pub use admin::Admin;
pub use problem::{Problem, Problems, Severity};
pub use rules::{PolicyStatus, Reload, Rules, UnknownUpstream};
pub use schema::schema;
pub use server::{Server, ServerFuture, ServerService};
pub use settings::Settings;
pub use source::{Document, Format};
pub use standard::{standard_client, standard_server};
pub use upstream::{UpstreamLayer, UpstreamService};
