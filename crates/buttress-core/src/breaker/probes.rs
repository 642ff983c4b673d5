use super::settings::Checked;

/// The probes of a half-open breaker.
///
/// There are so many slots; a probe takes one, and its result uses it up. A probe without a result
/// gives its slot back. So the slots are used up only by results, and before they all are, the
/// results are enough to decide: a half-open breaker always ends, or has a slot for the next call.
///
/// The one exception are probes that never end. When no slot was taken for as long as the breaker
/// is patient, those that are out are given up for lost, and a new round begins: their slots are
/// free, and what they may still say counts, but they have no slot to give back any more.
#[derive(Debug, Default)]
pub(super) struct Probes {
    /// The generation in which the breaker became half-open. Each new round is one more.
    pub(super) since: u64,
    /// Under way, of this round.
    pub(super) out: u32,
    /// Of those, the ones whose answers have begun.
    answered: u32,
    succeeded: u32,
    failed: u32,
    /// When the latest slot was taken.
    latest: u64,
}

/// What a probe was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Result {
    Succeeded,
    Failed,
    /// Nothing was learnt.
    Nothing,
}

impl Probes {
    /// A breaker has just become half-open.
    pub(super) fn begin(&mut self, generation: u64) {
        *self = Self {
            since: generation,
            ..Self::default()
        };
    }

    pub(super) fn has_slot(&self, settings: &Checked) -> bool {
        let used = self
            .out
            .saturating_add(self.succeeded)
            .saturating_add(self.failed);
        used < settings.probes
    }

    /// When those that are out will be given up for lost.
    pub(super) fn lost_at(&self, settings: &Checked) -> u64 {
        self.latest.saturating_add(settings.probe_patience)
    }

    /// Gives up those that are out. One that is being answered all the while is a success: what
    /// it asked for is a stream without an end.
    pub(super) fn give_up(&mut self) {
        self.succeeded = self.succeeded.saturating_add(self.answered);
        (self.out, self.answered) = (0, 0);
    }

    pub(super) fn take(&mut self, at: u64) {
        self.out += 1;
        self.latest = self.latest.max(at);
    }

    /// A probe of this round has begun to be answered.
    pub(super) fn answer(&mut self) {
        self.answered += 1;
    }

    /// A probe is over: of this round, or given up in an earlier one.
    pub(super) fn finish(&mut self, this_round: bool, answered: bool, result: Result) {
        if this_round {
            self.out = self.out.saturating_sub(1);
            self.answered = self.answered.saturating_sub(u32::from(answered));
        } else if answered {
            // It was counted when it was given up.
            return;
        }
        match result {
            Result::Succeeded => self.succeeded = self.succeeded.saturating_add(1),
            Result::Failed => self.failed = self.failed.saturating_add(1),
            Result::Nothing => {}
        }
    }

    /// Whether the callee is well, as soon as that is known.
    pub(super) fn verdict(&self, settings: &Checked) -> Option<bool> {
        if self.succeeded >= settings.probes_to_close {
            return Some(true);
        }
        let may_fail = settings.probes - settings.probes_to_close;
        (self.failed > may_fail).then_some(false)
    }
}
