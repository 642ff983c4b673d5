//! Services that run.
