use super::state::Word;

/// What a breaker must know of a call when it is over, in one number, so that a permit is two
/// registers wide while the layers hand it around. From the top:
///
/// - when the call began, in units of 1 024 ns (45 bits, which start over after 417 days: a call that
///   runs for half as long is taken for a short one);
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
/// After how many nanoseconds the beginnings start over.
const PERIOD: u64 = 1 << (u64::BITS - START + UNIT);

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

    /// For how many nanoseconds the call has run, or up to a unit more.
    #[inline]
    pub(super) const fn ran(self, at: u64) -> u64 {
        let ran = at.wrapping_sub((self.0 >> START) << UNIT) & (PERIOD - 1);
        // Time that went backwards did not pass.
        if ran < PERIOD / 2 { ran } else { 0 }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_tells_how_long_a_call_ran_however_old_the_breaker_is(
            start in 0..u64::MAX / 2,
            ran in 0..PERIOD / 2 - 1_024,
        ) {
            let told = Ticket::new(Word::START, start).ran(start + ran);
            prop_assert!((ran..ran + 1_024).contains(&told));
        }
    }

    #[test]
    fn it_is_of_the_word_that_made_it() {
        let word = Word::START;
        let next = word.next(word.mode(), word.phase());
        let ticket = Ticket::new(word, 5_000).answered();
        assert!(ticket.is_of(word) && !ticket.is_of(next) && !ticket.is_probe());
        assert_eq!(ticket.age(next), Some(1));
        assert_eq!(ticket.ran(0), 0);
        assert!(!Ticket::NONE.is_of(word));
        assert!(Ticket::probe(word, 0).is_probe());
    }
}
