use super::delay::Delay;
use crate::retry::methods::Methods;
use std::time::{Duration, Instant};

/// When a call is hedged, and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How long after one copy the next one is sent.
    pub(crate) delay: Duration,
    /// With the first one.
    pub(crate) attempts: u32,
    pub(crate) failures: Failures,
}

/// What failures mean to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failures {
    /// Another copy that is out may do better, and is waited for.
    Wait,
    /// These codes of gRPC, each a bit, send the next copy at once; others end the call.
    Codes(u32),
    /// The call has no plan: its answer is the answer, and no budget hears of it.
    AreFinal,
}

/// How calls come by their plans.
#[derive(Debug)]
pub(super) enum Plans {
    /// All calls have the same, and the delay may change.
    Same {
        delay: Delay,
        attempts: u32,
        failures: Failures,
    },
    /// Each method has its own, and those that are not named have none.
    #[cfg_attr(
        not(feature = "service-config"),
        expect(dead_code, reason = "only a service config names methods")
    )]
    ByMethod(Methods<Plan>),
}

impl Plans {
    /// A call's plan, if it may be hedged; and what failures mean to it in any case.
    #[inline]
    pub(super) fn of_call<'a>(
        &self,
        arrival: Option<Instant>,
        method: impl FnOnce() -> Option<&'a str>,
    ) -> (Option<Plan>, Failures) {
        match self {
            Self::Same {
                delay,
                attempts,
                failures,
            } => {
                let plan = delay.known(arrival).map(|delay| Plan {
                    delay,
                    attempts: *attempts,
                    failures: *failures,
                });
                (plan, *failures)
            }
            Self::ByMethod(methods) => {
                let plan = method()
                    .and_then(|method| methods.find(method))
                    .and_then(|index| methods.rules(index))
                    .copied();
                (plan, plan.map_or(Failures::AreFinal, |plan| plan.failures))
            }
        }
    }

    /// The delay, where there is one for all.
    pub(super) const fn delay(&self) -> Option<&Delay> {
        match self {
            Self::Same { delay, .. } => Some(delay),
            Self::ByMethod(_) => None,
        }
    }
}
