use std::num::NonZeroU32;

/// What a call takes from the limit.
pub trait Cost<C: ?Sized> {
    /// The weight of `call`. At 0 the call is free; above the limit it never passes.
    fn cost(&self, call: &C) -> u32;
}

/// The same for each call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedCost(NonZeroU32);

impl FixedCost {
    /// One each.
    pub const ONE: Self = Self(NonZeroU32::MIN);

    /// `cost` each.
    pub const fn new(cost: NonZeroU32) -> Self {
        Self(cost)
    }
}

impl<C: ?Sized> Cost<C> for FixedCost {
    #[inline]
    fn cost(&self, _: &C) -> u32 {
        self.0.get()
    }
}

/// What a function says.
#[derive(Clone, Copy, Debug)]
pub struct CostBy<F>(
    /// Weighs a call.
    pub F,
);

impl<C: ?Sized, F: Fn(&C) -> u32> Cost<C> for CostBy<F> {
    fn cost(&self, call: &C) -> u32 {
        (self.0)(call)
    }
}
