use super::service::Farewell;
use super::{Drain, Gate};
use buttress::{Guard, Http, guard};
use std::sync::Arc;
use tower_layer::Layer;

impl<S> Layer<S> for Drain {
    type Service = Farewell<Guard<S, Gate, Http>>;

    fn layer(&self, inner: S) -> Self::Service {
        let guarded = guard(self.gate()).protocol(Http::new()).layer(inner);
        Farewell::new(guarded, Arc::clone(self.inner.health.shared()))
    }
}
