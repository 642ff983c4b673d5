//! Policies per route from a file.

pub mod routes;
