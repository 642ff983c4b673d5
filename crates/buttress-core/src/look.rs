use crate::criticality::Criticality;
use std::time::Instant;

/// Sees in a call how critical it is, and how long its caller waits.
///
/// A closure from the call to a [`Criticality`] is one, and so is a `Criticality`, for calls that
/// are all alike: those of one route.
///
/// ```
/// use buttress_core::{Criticality, Look};
///
/// struct Job { nightly: bool }
///
/// let look = |job: &Job| match job.nightly {
///     true => Criticality::Sheddable,
///     false => Criticality::Critical,
/// };
/// assert_eq!(look.criticality(&Job { nightly: true }), Criticality::Sheddable);
/// assert_eq!(Criticality::CriticalPlus.criticality(&"any call"), Criticality::CriticalPlus);
/// ```
pub trait Look<C: ?Sized> {
    /// How critical the call is: as critical as any, unless told otherwise.
    fn criticality(&self, call: &C) -> Criticality {
        let _ = call;
        Criticality::default()
    }

    /// When the call's caller stops waiting, if that is known.
    fn deadline(&self, call: &C) -> Option<Instant> {
        let _ = call;
        None
    }
}

/// Doesn't look: all calls are alike, and nobody knows how long their callers wait.
#[derive(Clone, Copy, Debug, Default)]
pub struct Blind;

impl<C: ?Sized> Look<C> for Blind {}

impl<C: ?Sized> Look<C> for Criticality {
    fn criticality(&self, _: &C) -> Criticality {
        *self
    }
}

impl<C: ?Sized, F: Fn(&C) -> Criticality> Look<C> for F {
    fn criticality(&self, call: &C) -> Criticality {
        self(call)
    }
}
