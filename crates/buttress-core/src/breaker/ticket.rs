use super::state::Word;

/// What a breaker must know of a call when it is over, in one number, so that a permit is two
/// registers wide while the layers hand it around. From the top:
///
/// - when the call began, in units of 1 024 ns (45 bits: 400 days);
/// - the generation that admitted it (16 bits: it would take 65 536 changes of the state during one
///   call to take it for another);
/// - whether the call counts, whether it is a probe, and whether its answer has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

const ANSWERED: u64 = 1;
const PROBE: u64 = 1 << 1;
const COUNTS: u64 = 1 << 2;
const GENERATION: u32 = 3;
const START: u32 = GENERATION + 16;
/// A unit of time is this power of two, in nanoseconds.
const UNIT: u32 = 10;

impl Ticket {
    /// A call that counts nowhere.
    pub(super) const NONE: Self = Self(0);

    #[inline]
    pub(super) const fn new(word: Word, start: u64) -> Self {
        let generation = word.generation() as u16;
        Self((start >> UNIT) << START | (generation as u64) << GENERATION | COUNTS)
    }

    pub(super) const fn probe(word: Word, start: u64) -> Self {
        Self(Self::new(word, start).0 | PROBE)
    }

    /// How many changes ago the call was admitted; `None` if it counts nowhere.
    #[inline]
    pub(super) const fn age(self, word: Word) -> Option<u16> {
        if self.0 & COUNTS == 0 {
            return None;
        }
        let generation = (self.0 >> GENERATION) as u16;
        Some((word.generation() as u16).wrapping_sub(generation))
    }

    /// Whether the state is the one that admitted the call.
    #[inline]
    pub(super) const fn is_of(self, word: Word) -> bool {
        matches!(self.age(word), Some(0))
    }

    #[inline]
    pub(super) const fn is_probe(self) -> bool {
        self.0 & PROBE != 0
    }

    #[inline]
    pub(super) const fn is_answered(self) -> bool {
        self.0 & ANSWERED != 0
    }

    pub(super) const fn answered(self) -> Self {
        Self(self.0 | ANSWERED)
    }

    /// For how many nanoseconds the call has run; it may be one unit less.
    #[inline]
    pub(super) const fn ran(self, at: u64) -> u64 {
        at.saturating_sub((self.0 >> START) << UNIT)
    }
}
