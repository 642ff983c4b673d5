//! What takes the place of a policy whose settings changed.

use super::{AnyKey, AnyOf, AnyPolicy};
use buttress::circuit_breaker::CircuitState;
use buttress::limit::AdaptiveSlots;
use buttress::{Keyed, RateLimitSnapshot, Slots};
use buttress_core::Pacer;

/// The policy that takes another one's place.
pub(crate) enum Successor {
    /// The same one, once it has been told of its new settings.
    Same(Change),
    /// Another one.
    Other(AnyPolicy, Carry),
}

/// What of a policy stays true for another one in its place.
#[derive(Default)]
pub(crate) struct Carry {
    /// Done while calls still go to the one before.
    pub(crate) before: Option<Change>,
    /// Done when they go to the other one: for what has come meanwhile.
    pub(crate) after: Option<Change>,
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
    /// How an adaptive limit is found, or how a throttle counts.
    pub(crate) algorithm: bool,
}

impl Successor {
    pub(crate) fn same(change: impl FnOnce() + 'static) -> Self {
        Self::Same(Box::new(change))
    }

    /// One that knows nothing of the one before.
    pub(crate) fn afresh(next: AnyPolicy) -> Self {
        Self::Other(next, Carry::default())
    }

    pub(crate) fn other(next: AnyPolicy, change: impl FnOnce() + 'static) -> Self {
        let before: Option<Change> = Some(Box::new(change));
        Self::Other(
            next,
            Carry {
                before,
                after: None,
            },
        )
    }

    /// One that remembers the same keys, with the very policies that they had.
    fn other_map<P: Clone + 'static>(
        next: AnyPolicy,
        (before, known): (Keyed<AnyKey, P>, Keyed<AnyKey, P>),
        is_held: impl Fn(&P) -> bool + Clone + 'static,
        follow: impl Fn(&Keyed<AnyKey, P>) + Clone + 'static,
    ) -> Self {
        let carry = move || {
            carry_over(&before, &known, &is_held);
            follow(&known);
        };
        let carry_on: Change = Box::new(carry.clone());
        let carry = Carry {
            before: Some(carry_on),
            after: Some(Box::new(carry)),
        };
        Self::Other(next, carry)
    }

    /// What takes the place of `before`, where `next` was made by the new settings: it keeps whatever
    /// they did not make untrue.
    pub(crate) fn of(before: &AnyPolicy, next: AnyPolicy, differs: Differs) -> Self {
        if differs.keys {
            return match begin_in_the_mode_of(before, &next) {
                Some(change) => Self::other(next, change),
                None => Self::afresh(next),
            };
        }
        let known = next.clone();
        match (before.clone(), known) {
            (AnyOf::Bulkhead(before), AnyOf::Bulkhead(next)) => {
                Self::same(move || before.follow(&next))
            }
            (AnyOf::BulkheadBy(before), AnyOf::BulkheadBy(known)) if differs.map => {
                let is_held = |slots: &Slots<_>| slots.taken() > 0 || slots.waiting() > 0;
                Self::other_map(next, (before, known), is_held, |known| known.follow(known))
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
                let is_held =
                    |slots: &AdaptiveSlots<_, _>| slots.taken() > 0 || slots.waiting() > 0;
                Self::other_map(next, (before, known), is_held, move |known| {
                    known.follow(known, differs.algorithm);
                })
            }
            (AnyOf::AdaptiveBy(before), AnyOf::AdaptiveBy(next)) => {
                Self::same(move || before.follow(&next, differs.algorithm))
            }
            (AnyOf::Pace(before), AnyOf::Pace(next)) => Self::same(move || before.follow(&next)),
            (AnyOf::PaceBy(before), AnyOf::PaceBy(known)) if differs.map => {
                let is_held = |pacer: &Pacer<_>| pacer.waiting() > 0;
                Self::other_map(next, (before, known), is_held, |known| known.follow(known))
            }
            (AnyOf::PaceBy(before), AnyOf::PaceBy(next)) => {
                Self::same(move || before.follow(&next))
            }
            (AnyOf::ThrottleBy(before), AnyOf::ThrottleBy(known)) if !differs.algorithm => {
                Self::other_map(next, (before, known), |_| false, |_| {})
            }
            (before, known) => {
                let carry = Carry {
                    after: take_over_again(&before, &known),
                    before: take_over(before, known),
                };
                Self::Other(next, carry)
            }
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

/// The same once more, for what has come to the one before while it was taken over: keys that were new
/// then, a breaker that opened, and what a limit gave away, where taking that over again counts nothing
/// twice.
fn take_over_again(before: &AnyPolicy, next: &AnyPolicy) -> Option<Change> {
    match (before.clone(), next.clone()) {
        (AnyOf::Breaker(before), AnyOf::Breaker(next)) => Some(Box::new(move || {
            if before.state() == CircuitState::Open && next.state() == CircuitState::Closed {
                next.take_over(&before);
            }
        })),
        (AnyOf::RateLimit(before), AnyOf::RateLimit(next)) => {
            let is_alike = counts_like(&before.snapshot(), &next.snapshot());
            is_alike.then(|| -> Change { Box::new(move || next.take_over(&before)) })
        }
        (AnyOf::WindowLimit(before), AnyOf::WindowLimit(next)) => {
            let is_alike = counts_like(&before.snapshot(), &next.snapshot());
            is_alike.then(|| -> Change { Box::new(move || next.take_over(&before)) })
        }
        (AnyOf::RateLimit(_) | AnyOf::WindowLimit(_), _) => None,
        // Keys that are known already stay as they are.
        (before, next) => take_over(before, next),
    }
}

fn counts_like(one: &RateLimitSnapshot, other: &RateLimitSnapshot) -> bool {
    (one.limit, one.window) == (other.limit, other.window)
}

/// Who put a breaker into a mode by hand meant all of its calls, by whatever they are told apart.
fn begin_in_the_mode_of(before: &AnyPolicy, next: &AnyPolicy) -> Option<Change> {
    macro_rules! begins_in {
        ($(($before:ident, $next:ident)),+) => {
            match (before.clone(), next.clone()) {
                $((AnyOf::$before(before), AnyOf::$next(next)) => Some(Box::new(move || {
                    if let Some(mode) = before.mode() {
                        next.begin_in(mode);
                    }
                })),)+
                _ => None,
            }
        };
    }
    begins_in!(
        (Breaker, BreakerBy),
        (BreakerBy, Breaker),
        (BreakerBy, BreakerBy)
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
