//! Adaptive limits, ours and tower-resilience's.

use crate::inner;
use crate::measure::Runner;
use buttress::limit::Vegas;
use buttress::{AdaptiveLimit, Admission, Now, Plain, Policy};
use std::time::{Duration, Instant};
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

/// A limit that is used up: what it costs to say so.
pub fn refusal() -> Runner {
    used_up(AdaptiveLimit::builder())
}

/// The same with a waiting room that is full.
pub fn refusal_full_room() -> Runner {
    used_up(AdaptiveLimit::builder().waiting_room(1, Duration::from_secs(3_600)))
}

fn used_up(builder: buttress::AdaptiveLimitBuilder) -> Runner {
    let vegas = Vegas::new().start(1).max(1);
    let limit = builder.algorithm(vegas).build().unwrap();
    let now = Now::at(Instant::now());
    for _ in 0..2 {
        match limit.admit(&0_u64, &now) {
            // For as long as the process lives.
            Admission::Admitted(permit) => std::mem::forget(permit),
            Admission::Wait(turn) => std::mem::forget(turn),
            Admission::Refused(_) => {}
        }
    }
    Runner::new(limit.protocol(Plain::new()).layer(inner::Plain), plain)
}

/// tower-resilience's Vegas.
pub fn resilience_vegas() -> Runner {
    // A limit that cannot fall so low that it is not ready.
    let vegas = ResilienceVegas::builder().initial_limit(200);
    let vegas = vegas.min_limit(200).max_limit(1_000).build().unwrap();
    Runner::new(AdaptiveLimiterLayer::new(vegas).layer(inner::Plain), plain)
}
