//! Hedges by a service config.

use super::policy::{HedgingPolicy, MethodName};
use super::{RetryThrottling, ServiceConfig};
use crate::hedge::plan::{Failures, Plan};
use crate::hedge::{Hedge, HedgeBuilder};
use crate::retry::Everything;
use crate::retry::methods::Methods;
use buttress_core::setting::LONGEST;
use buttress_core::{RetryBudget, SettingError};

impl ServiceConfig {
    /// Hedges for the methods that have a `hedgingPolicy`. Other methods are not hedged.
    ///
    /// There is no bound on the extra load but the budget, which is the config's `retryThrottling`,
    /// or without one the [usual budget](RetryBudget::new), where gRPC itself would have none. gRPC
    /// has one throttle for both: to share one with the [retries](Self::retry), give the
    /// [retry's](crate::Retry::budget) to [`hedge_with`](Self::hedge_with).
    ///
    /// ```
    /// use buttress::Hedge;
    /// use buttress::service_config::ServiceConfig;
    ///
    /// let config: ServiceConfig = r#"{
    ///     "methodConfig": [{
    ///         "name": [{ "service": "shop.Prices", "method": "Get" }],
    ///         "hedgingPolicy": {
    ///             "maxAttempts": 3,
    ///             "hedgingDelay": "0.05s",
    ///             "nonFatalStatusCodes": ["UNAVAILABLE"]
    ///         }
    ///     }]
    /// }"#
    /// .parse()?;
    /// let hedge = config.hedge();
    ///
    /// let retry = config.retry();
    /// let mut builder = Hedge::builder().repeats_all();
    /// if let Some(budget) = retry.budget() {
    ///     builder = builder.budget(budget.clone());
    /// }
    /// let shares = config.hedge_with(builder)?;
    /// # let _ = (hedge, shares);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn hedge(&self) -> Hedge<Everything> {
        let builder = Hedge::builder().repeats_all();
        builder.build_default_for(self.plans(), self.budget())
    }

    /// The same with settings that the config does not have: which requests may be repeated, the
    /// extra load, the budget, how much of a body is kept. What the config has (delay, attempts and
    /// codes) counts instead of the builder's. A builder without a budget gets the config's.
    ///
    /// # Errors
    ///
    /// Names the first of the builder's settings that makes no sense.
    pub fn hedge_with<R>(&self, builder: HedgeBuilder<R>) -> Result<Hedge<R>, SettingError> {
        builder.build_for(self.plans(), || self.budget())
    }

    fn budget(&self) -> RetryBudget {
        let throttling = self.throttling.as_ref();
        throttling.map_or_else(RetryBudget::new, RetryThrottling::budget)
    }

    fn plans(&self) -> Methods<Plan> {
        let mut methods = Methods::default();
        for config in &self.methods {
            let names = config.names().iter().map(MethodName::key);
            methods.add(names, config.hedging().map(HedgingPolicy::plan));
        }
        methods
    }
}

impl HedgingPolicy {
    fn plan(&self) -> Plan {
        Plan {
            // A config may have ten thousand years, which no clock has.
            delay: self.delay.min(LONGEST),
            attempts: self.attempts,
            failures: Failures::Codes(self.codes.bits()),
        }
    }
}
