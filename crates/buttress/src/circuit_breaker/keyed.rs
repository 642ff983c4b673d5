//! One breaker for each key, by hand.

use super::{Breaker, CircuitState, now};
use crate::keyed::Keyed;
use buttress_core::Now;
use std::collections::HashMap;

/// By hand, the breakers of all keys are put into a mode together: keys are not known by what they
/// are, and whoever forces a breaker open means the next caller, too. So keys that are new, and those
/// that are met again after they were forgotten, begin in that mode. What their breakers decide by
/// themselves is each one's own.
impl<K> Keyed<K, Breaker> {
    /// Refuses every call of every key from now on, until somebody says otherwise.
    pub fn force_open(&self) {
        self.by_hand(Breaker::force_open);
    }

    /// Closes the breakers of all keys, whatever they were. From then on each counts and decides by
    /// itself again.
    pub fn force_close(&self) {
        self.by_hand(Breaker::force_close);
    }

    /// Makes the breakers of all keys as new.
    pub fn reset(&self) {
        self.by_hand(Breaker::reset);
    }

    /// Lets every call of every key pass from now on and counts nothing, until somebody says
    /// otherwise.
    pub fn disable(&self) {
        self.by_hand(Breaker::disable);
    }

    /// Lets every call of every key pass from now on, but counts and decides all the same.
    pub fn metrics_only(&self) {
        self.by_hand(Breaker::metrics_only);
    }

    /// The mode in which the breakers of all keys were put by hand. `None` if they decide by
    /// themselves.
    pub fn mode(&self) -> Option<CircuitState> {
        self.for_a_new_key().mode()
    }

    /// Begins in the [mode](Self::mode) of a breaker, or of others, in whose place it is, and takes over
    /// nothing else. States that are no mode change nothing.
    pub fn begin_in(&self, mode: CircuitState) {
        self.by_hand(|breaker, now| breaker.begin_in(mode, now));
    }

    /// How many keys are in each state, those of which there are none left out. It looks at every key,
    /// so it is for operators and not for each call.
    pub fn states(&self) -> HashMap<CircuitState, usize> {
        let now = now();
        let mut states = HashMap::new();
        for breaker in self.policies() {
            *states.entry(breaker.state(&now)).or_default() += 1;
        }
        states
    }

    /// Goes on from where another one is, whose settings may be others: in the same mode, and for each
    /// key whose breaker is open, open for as long as that would have been. One that opens again soon
    /// does so for longer than the last time. The windows stay empty.
    ///
    /// It is for one that takes the other one's place and has yet to be called, and whose keys are the
    /// same as the other one's.
    pub fn take_over(&self, before: &Self) {
        let now = now();
        let mode = before.for_a_new_key();
        // Not those of the keys that it knows already, if it is asked once more.
        if self.mode() != mode.mode() {
            self.by_hand(|breaker, now| breaker.take_over(&mode, now));
        }
        let template = self.for_a_new_key();
        self.carry_over(before, |breaker| {
            let differs = breaker.mode() != mode.mode() || breaker.remembers(&now);
            differs.then(|| {
                let next = template.fresh();
                next.take_over(breaker, &now);
                next
            })
        });
    }

    fn by_hand(&self, change: impl Fn(&Breaker, &Now)) {
        let now = now();
        let template = self.for_a_new_key();
        change(&template, &now);
        self.change(move || template.fresh(), |breaker| change(breaker, &now));
    }
}
