//! What is compared with what.

use crate::measure::Runner;
use crate::{adaptive, breaker, coalesce, configured, hedge, ours, retry, rivals, stack_client};

/// A job that ours and a rival do.
pub struct Subject {
    /// The job.
    pub name: &'static str,
    /// The rival.
    pub peer: &'static str,
    /// Makes ours.
    pub ours: fn() -> Runner,
    /// Makes the rival's.
    pub theirs: fn() -> Runner,
    /// What both do without any layer: its allocations are not the layers'.
    pub bare: fn() -> Runner,
    /// Whether calls share state, so that it is measured from two threads, too.
    pub shared: bool,
}

macro_rules! subjects {
    ($($name:literal, $peer:literal: $ours:path, $theirs:path, $bare:ident, $shared:literal;)*) => {
        &[$(Subject {
            name: $name,
            peer: $peer,
            ours: $ours,
            theirs: $theirs,
            bare: ours::$bare,
            shared: $shared,
        }),*]
    };
}

/// All of them.
pub const SUBJECTS: &[Subject] = subjects! {
    "configured_stack", "code": configured::ours, configured::in_code, bare_http, true;
    "configured_client", "code": configured::client, configured::client_in_code, bare_http, true;
    "bulkhead", "tower": ours::bulkhead, rivals::tower_bulkhead, bare, true;
    "bulkhead", "tower-resilience": ours::bulkhead, rivals::resilience_bulkhead, bare, true;
    "rate_limit", "tower": ours::rate_limit, rivals::tower_rate_limit, bare, false;
    "rate_limit", "tower-resilience": ours::rate_limit, rivals::resilience_rate_limit, bare, true;
    "rate_limit", "tower_governor": ours::rate_limit_http, rivals::governor_rate_limit, bare_http, true;
    "rate_limit_keyed", "tower_governor": ours::rate_limit_keyed, rivals::governor_rate_limit_keyed, bare_http, true;
    "rate_limit_keyed", "governor": ours::rate_limit_keyed_plain, rivals::governor_keyed_plain, bare, true;
    "adaptive", "tower-resilience": adaptive::adaptive, adaptive::resilience_vegas, bare, true;
    "adaptive_vegas", "tower-resilience": adaptive::adaptive_vegas, adaptive::resilience_vegas, bare, true;
    "refusal_adaptive", "bare": adaptive::refusal, ours::bare, bare, true;
    "refusal_adaptive_room", "bare": adaptive::refusal_full_room, ours::bare, bare, true;
    "timeout_ready", "tower": ours::timeout_ready, rivals::tower_timeout_ready, bare, false;
    "timeout_ready", "tower-http": ours::timeout_ready_http, rivals::tower_http_timeout_ready, bare_http, false;
    "timeout_ready", "tower-resilience": ours::timeout_ready, rivals::resilience_timeout_ready, bare, false;
    "timeout_pending", "tower": ours::timeout_pending, rivals::tower_timeout_pending, bare, false;
    "timeout_pending", "tower-resilience": ours::timeout_pending, rivals::resilience_timeout_pending, bare, false;
    "deadlines_pending", "tower": ours::deadlines_pending, rivals::tower_deadlines_pending, bare, false;
    "deadlines_pending", "tower-resilience": ours::deadlines_pending, rivals::resilience_deadlines_pending, bare, false;
    "stack_client", "tower-resilience": stack_client::ours, stack_client::resilience, bare, true;
    "hedge", "tower": hedge::hedge, hedge::tower_hedge, bare, false;
    "hedge", "tower-resilience": hedge::hedge_fixed, hedge::resilience_hedge, bare, true;
    "throttle", "bare": hedge::throttle, ours::bare, bare, true;
    "stack_server", "tower-resilience": ours::stack_server, rivals::resilience_stack_server, bare, true;
    "retry", "tower": retry::ours, retry::tower, bare, true;
    "retry", "tower-resilience": retry::ours, retry::resilience, bare, true;
    "coalesce", "tower-resilience": coalesce::ours, coalesce::resilience, bare, true;
    "coalesce", "bare": coalesce::ours, ours::bare, bare, true;
    "coalesce_http", "bare": coalesce::ours_http, ours::bare_http, bare_http, true;
    "refusal_plain", "bare": ours::refusal_plain, ours::bare, bare, true;
    "refusal_plain", "tower": ours::refusal_bulkhead, rivals::tower_refusal, bare, true;
    "refusal_plain", "tower-resilience": ours::refusal_plain, rivals::resilience_refusal, bare, true;
    "refusal_http", "bare": ours::refusal_http, ours::bare_http, bare_http, true;
    "refusal_http", "tower_governor": ours::refusal_http, rivals::governor_refusal, bare_http, true;
    "breaker", "recloser": breaker::defaults, breaker::recloser_count, bare, true;
    "breaker", "tower-resilience": breaker::defaults, breaker::resilience_count, bare, true;
    "breaker_count", "recloser": breaker::count, breaker::recloser_count, bare, true;
    "breaker_count", "failsafe": breaker::count, breaker::failsafe_count, bare, true;
    "breaker_count", "tower-resilience": breaker::count, breaker::resilience_count, bare, true;
    "breaker_latency", "tower-resilience": breaker::latency, breaker::resilience_latency, bare, true;
    "breaker_time_100k", "tower-resilience": breaker::time_100k, breaker::resilience_time_100k, bare, false;
    "breaker_open", "recloser": breaker::open, breaker::recloser_open, bare, true;
    "breaker_open", "failsafe": breaker::open, breaker::failsafe_open, bare, true;
    "breaker_open", "tower-resilience": breaker::open, breaker::resilience_open, bare, false;
};
