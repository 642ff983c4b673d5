use crate::check::{Fault, Inspect};
use buttress::{CircuitBreaker, CircuitState};

/// Whether a circuit breaker lets calls through.
///
/// Half-open is good: if it were not, a hard check would keep the calls away that alone can close
/// the breaker again.
///
/// ```
/// use buttress::CircuitBreaker;
/// use buttress_health::{BreakerState, Check};
///
/// let payments = CircuitBreaker::new("payments")?;
/// let check = Check::readiness("payments", BreakerState::of(&payments));
/// # let _ = check;
/// # Ok::<(), buttress::SettingError>(())
/// ```
#[derive(Clone, Debug)]
pub struct BreakerState {
    breaker: CircuitBreaker,
}

impl BreakerState {
    /// Fails while the breaker is open, by itself or by force.
    pub fn of(breaker: &CircuitBreaker) -> Self {
        Self {
            breaker: breaker.clone(),
        }
    }
}

impl Inspect for BreakerState {
    const IS_DEPENDENCY: bool = true;

    async fn inspect(&self) -> Result<(), Fault> {
        let state = self.breaker.state();
        if matches!(state, CircuitState::Open | CircuitState::ForcedOpen) {
            return Err(Fault::new(format_args!("the circuit is {}", state.name())));
        }
        Ok(())
    }
}
