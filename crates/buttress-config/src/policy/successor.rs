//! What takes the place of a policy whose settings changed.

use super::{AnyKey, AnyOf, AnyPolicy};
use buttress::Keyed;

/// The policy that takes another one's place.
pub(crate) enum Successor {
    /// The same one, once it has been told of its new settings.
    Same(Change),
    /// Another one. What stays true is carried over, if there is anything.
    Other(AnyPolicy, Option<Change>),
}

/// What is done to policies that are in use, when all else is well.
pub(crate) type Change = Box<dyn FnOnce()>;

/// What differs of what cannot be changed while calls run, or need not be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Differs {
    /// Calls are told apart by something else.
    pub(crate) keys: bool,
    /// How many keys are remembered, what becomes of calls without one, or the name for those.
    pub(crate) map: bool,
    /// How an adaptive limit is found.
    pub(crate) algorithm: bool,
}

impl Successor {
    pub(crate) fn same(change: impl FnOnce() + 'static) -> Self {
        Self::Same(Box::new(change))
    }

    pub(crate) fn other(next: AnyPolicy, change: impl FnOnce() + 'static) -> Self {
        Self::Other(next, Some(Box::new(change)))
    }

    /// What takes the place of `before`, where `next` was made by the new settings: it keeps whatever
    /// they did not make untrue.
    pub(crate) fn of(before: &AnyPolicy, next: AnyPolicy, differs: Differs) -> Self {
        if differs.keys {
            return Self::Other(next, None);
        }
        let known = next.clone();
        match (before.clone(), known) {
            (AnyOf::Bulkhead(before), AnyOf::Bulkhead(next)) => {
                Self::same(move || before.follow(&next))
            }
            (AnyOf::BulkheadBy(before), AnyOf::BulkheadBy(known)) if differs.map => {
                Self::other(next, move || {
                    carry_over(&before, &known, |slots| {
                        slots.taken() > 0 || slots.waiting() > 0
                    });
                    known.follow(&known);
                })
            }
            (AnyOf::BulkheadBy(before), AnyOf::BulkheadBy(next)) => {
                Self::same(move || before.follow(&next))
            }
            (AnyOf::Adaptive(before), AnyOf::Adaptive(next)) => Self::same(move || {
                before.follow(&next);
                if differs.algorithm {
                    before.go_by(next.algorithm());
                }
            }),
            (AnyOf::AdaptiveBy(before), AnyOf::AdaptiveBy(known)) if differs.map => {
                Self::other(next, move || {
                    carry_over(&before, &known, |slots| {
                        slots.taken() > 0 || slots.waiting() > 0
                    });
                    known.follow(&known, differs.algorithm);
                })
            }
            (AnyOf::AdaptiveBy(before), AnyOf::AdaptiveBy(next)) => {
                Self::same(move || before.follow(&next, differs.algorithm))
            }
            (AnyOf::Pace(before), AnyOf::Pace(next)) => Self::same(move || before.follow(&next)),
            (AnyOf::PaceBy(before), AnyOf::PaceBy(known)) if differs.map => {
                Self::other(next, move || {
                    carry_over(&before, &known, |pacer| pacer.waiting() > 0);
                    known.follow(&known);
                })
            }
            (AnyOf::PaceBy(before), AnyOf::PaceBy(next)) => {
                Self::same(move || before.follow(&next))
            }
            (before, known) => match take_over(before, known) {
                Some(change) => Self::Other(next, Some(change)),
                None => Self::Other(next, None),
            },
        }
    }
}

/// For policies that cannot follow new settings, what a new one takes of the one before.
fn take_over(before: AnyPolicy, next: AnyPolicy) -> Option<Change> {
    macro_rules! takes_over {
        ($(($before:ident, $next:ident)),+) => {
            match (before, next) {
                $((AnyOf::$before(before), AnyOf::$next(next)) => {
                    Some(Box::new(move || next.take_over(&before)))
                })+
                _ => None,
            }
        };
    }
    takes_over!(
        (Breaker, Breaker),
        (BreakerBy, BreakerBy),
        (RateLimit, RateLimit),
        (RateLimit, WindowLimit),
        (WindowLimit, RateLimit),
        (WindowLimit, WindowLimit),
        (RateLimitBy, RateLimitBy),
        (RateLimitBy, WindowLimitBy),
        (WindowLimitBy, RateLimitBy),
        (WindowLimitBy, WindowLimitBy)
    )
}

/// The keys' policies themselves. If there is no room for all of them, first those that calls hold.
fn carry_over<P: Clone>(
    before: &Keyed<AnyKey, P>,
    next: &Keyed<AnyKey, P>,
    is_held: impl Fn(&P) -> bool,
) {
    next.carry_over(before, |policy| is_held(policy).then(|| policy.clone()));
    next.carry_over(before, |policy| Some(policy.clone()));
}
