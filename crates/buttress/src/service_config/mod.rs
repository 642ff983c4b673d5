//! Retries and hedges as a gRPC service config states them.
//!
//! gRPC's clients in other languages get their retries from a service config: JSON that a name
//! server or a configuration file holds, for each method (gRFC A6). [`ServiceConfig`] reads the same
//! one, so that a Rust client does what its neighbours do.
//!
//! # How it fails when misused
//!
//! A method with a `retryPolicy` is retried after the codes that it lists, and nobody asks whether
//! that is safe: whoever writes the config says so.
//!
//! # What is read
//!
//! `methodConfig` with `name`, `retryPolicy` and `hedgingPolicy`, and `retryThrottling`. Everything
//! else is ignored, as gRPC does. Nonsense is refused with the place where it stands.
//!
//! ```
//! use buttress::service_config::ServiceConfig;
//!
//! let config: ServiceConfig = r#"{
//!     "methodConfig": [{
//!         "name": [{ "service": "shop.Orders" }],
//!         "retryPolicy": {
//!             "maxAttempts": 4,
//!             "initialBackoff": "0.1s",
//!             "maxBackoff": "1s",
//!             "backoffMultiplier": 2,
//!             "retryableStatusCodes": ["UNAVAILABLE"]
//!         }
//!     }],
//!     "retryThrottling": { "maxTokens": 10, "tokenRatio": 0.1 }
//! }"#
//! .parse()?;
//! let retry = config.retry();
//! # let _ = retry;
//!
//! let error = r#"{ "retryThrottling": { "maxTokens": 0, "tokenRatio": 0.1 } }"#
//!     .parse::<ServiceConfig>()
//!     .unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "retryThrottling.maxTokens is 0, but must be more than 0 and at most 1000"
//! );
//! # Ok::<(), buttress::service_config::ServiceConfigError>(())
//! ```

mod codes;
mod error;
mod hedge;
mod node;
mod policy;
mod read;

#[cfg(test)]
mod tests;

pub use codes::StatusCodes;
pub use error::ServiceConfigError;
pub use policy::{HedgingPolicy, MethodConfig, MethodName, RetryPolicy, RetryThrottling};

use crate::retry::methods::Methods;
use crate::retry::{Everything, Retry, RetryBuilder};
use buttress_core::SettingError;
use buttress_core::setting::LONGEST;
use std::str::FromStr;

/// What a gRPC service config says about trying again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceConfig {
    methods: Vec<MethodConfig>,
    throttling: Option<RetryThrottling>,
}

impl ServiceConfig {
    /// What there is for single methods, in the order of the text.
    pub fn methods(&self) -> &[MethodConfig] {
        &self.methods
    }

    /// What holds for a method by its path, as `/shop.Orders/Find`: its own, or else its service's,
    /// or else the default.
    pub fn method(&self, path: &str) -> Option<&MethodConfig> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let (service, method) = path.rsplit_once('/').unwrap_or((path, ""));
        let named = |service: &str, method: &str| {
            self.methods
                .iter()
                .find(|config| config.names().iter().any(|name| name.is(service, method)))
        };
        named(service, method)
            .or_else(|| named(service, ""))
            .or_else(|| named("", ""))
    }

    /// The throttle that all methods share.
    pub fn throttling(&self) -> Option<RetryThrottling> {
        self.throttling
    }

    /// Retries for the methods that have a `retryPolicy`. Other methods are not retried. Each call of
    /// this makes a new one with a budget of its own, so hand out clones.
    ///
    /// The budget is the config's `retryThrottling`, or without one the [usual
    /// budget](crate::RetryBudget::new), where gRPC itself would have none. Waits are bounded by the
    /// request's deadline only, as in gRPC.
    pub fn retry(&self) -> Retry<Everything> {
        let mut builder = Retry::builder().repeats_all().longest_wait(LONGEST);
        if let Some(throttling) = &self.throttling {
            builder = builder.budget(throttling.budget());
        }
        builder.build_default_for(self.rules())
    }

    /// The same with settings that the config does not have. Those that it has count instead of the
    /// builder's: attempts, backoff, after which answers, and the budget if there is
    /// `retryThrottling`.
    ///
    /// # Errors
    ///
    /// Names the first of the builder's settings that makes no sense.
    pub fn retry_with<R>(&self, builder: RetryBuilder<R>) -> Result<Retry<R>, SettingError> {
        let builder = match &self.throttling {
            Some(throttling) => builder.budget(throttling.budget()),
            None => builder,
        };
        builder.build_for(self.rules())
    }

    fn rules(&self) -> Methods {
        let mut methods = Methods::default();
        for config in &self.methods {
            let names = config.names().iter().map(MethodName::key);
            methods.add(names, config.retry().map(RetryPolicy::rules));
        }
        methods
    }
}

impl FromStr for ServiceConfig {
    type Err = ServiceConfigError;

    /// Reads a service config of at most a mebibyte.
    ///
    /// # Errors
    ///
    /// It is longer, or no JSON, or something in it makes no sense.
    fn from_str(text: &str) -> Result<Self, ServiceConfigError> {
        read::read(text)
    }
}
