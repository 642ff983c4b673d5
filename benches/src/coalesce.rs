//! Coalescing: calls that are alone, as most are, and the rival's.

use crate::inner;
use crate::measure::Runner;
use buttress::{Coalesce, Plain, by_fn};
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use tower::{Layer, Service};
use tower_resilience_coalesce::CoalesceLayer;

fn plain(number: u64) -> u64 {
    number
}

/// Ours, around a plain service.
pub fn ours() -> Runner {
    let coalesce = Coalesce::by(by_fn(|call: &u64| Ok(*call))).build().unwrap();
    Runner::new(coalesce.protocol(Plain::new()).layer(inner::Plain), plain)
}

/// Ours, around HTTP, with the default key.
pub fn ours_http() -> Runner {
    let coalesce = Coalesce::builder().build().unwrap();
    Runner::new(coalesce.layer(inner::Http), inner::request)
}

/// tower-resilience's, which needs an error that can be cloned.
pub fn resilience() -> Runner {
    #[derive(Clone)]
    struct Plain;
    #[derive(Clone, Debug)]
    struct NoError;
    impl Service<u64> for Plain {
        type Response = u64;
        type Error = NoError;
        type Future = Ready<Result<u64, NoError>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NoError>> {
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, request: u64) -> Self::Future {
            ready(Ok(request))
        }
    }
    let layer = CoalesceLayer::new(|call: &u64| *call);
    Runner::new(layer.layer(Plain), plain)
}
