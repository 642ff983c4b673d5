/// A number by which others are divided again and again. Multiplying by what is as good as its
/// inverse takes a fraction of the time of a division.
#[derive(Clone, Copy, Debug)]
pub(super) struct Divisor {
    by: u64,
    /// 2⁶⁴ ÷ `by`, rounded down, or 1 less.
    inverse: u64,
}

impl Divisor {
    /// `by` is at least 1.
    pub(super) const fn new(by: u64) -> Self {
        let by = if by == 0 { 1 } else { by };
        Self {
            by,
            inverse: u64::MAX / by,
        }
    }

    /// The quotient and the remainder.
    #[inline]
    pub(super) const fn divide(self, number: u64) -> (u64, u64) {
        // At most 1 too little, since `number` ÷ 2⁶⁴ is less than 1.
        let quotient = ((number as u128 * self.inverse as u128) >> 64) as u64;
        let remainder = number - quotient * self.by;
        if remainder < self.by {
            (quotient, remainder)
        } else {
            (quotient + 1, remainder - self.by)
        }
    }

    pub(super) const fn by(self) -> u64 {
        self.by
    }
}
