//! Adaptive limits, ours and tower-resilience's.

use crate::inner;
use crate::measure::Runner;
use buttress::limit::Vegas;
use buttress::{AdaptiveLimit, Plain};
use tower::Layer;
use tower_resilience_adaptive::{AdaptiveLimiterLayer, Vegas as ResilienceVegas};

fn plain(number: u64) -> u64 {
    number
}

/// With the default algorithm.
pub fn adaptive() -> Runner {
    let layer = AdaptiveLimit::new().unwrap().protocol(Plain::new());
    Runner::new(layer.layer(inner::Plain), plain)
}

/// With the algorithm of the same name as the rival's.
pub fn adaptive_vegas() -> Runner {
    let limit = AdaptiveLimit::builder().algorithm(Vegas::new());
    let layer = limit.build().unwrap().protocol(Plain::new());
    Runner::new(layer.layer(inner::Plain), plain)
}

/// tower-resilience's Vegas.
pub fn resilience_vegas() -> Runner {
    // A limit that cannot fall so low that it is not ready.
    let vegas = ResilienceVegas::builder().initial_limit(200);
    let vegas = vegas.min_limit(200).max_limit(1_000).build().unwrap();
    Runner::new(AdaptiveLimiterLayer::new(vegas).layer(inner::Plain), plain)
}
