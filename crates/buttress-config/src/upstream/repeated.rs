//! A service that is called again, by a retry or by a hedge, or not.

use super::alternatives::alternatives;

alternatives!(Repeated, RepeatedFuture, RepeatedBody: Retry BR, Hedge BH, Once BO);
