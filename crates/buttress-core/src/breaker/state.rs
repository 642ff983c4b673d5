/// What a circuit breaker does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CircuitState {
    /// Calls pass, and how they go is counted.
    Closed,
    /// Calls are refused, until the open time has passed.
    Open,
    /// A few calls pass as probes; how they go decides between closed and open. The others are
    /// refused.
    HalfOpen,
    /// Calls are refused until somebody says otherwise.
    ForcedOpen,
    /// Calls pass, and nothing is counted.
    Disabled,
    /// Calls pass. The breaker counts and decides all the same, and counts what it would have
    /// refused.
    MetricsOnly,
}

impl CircuitState {
    /// The state in a word or two, for logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::ForcedOpen => "forced open",
            Self::Disabled => "disabled",
            Self::MetricsOnly => "metrics only",
        }
    }
}

/// Everything that a call must know to be decided on, in one atomic word: two bits of phase, two
/// of mode, and the generation.
///
/// The generation grows with each change, so no two states of a breaker's life have the same word.
/// A call keeps the generation that admitted it; when it is over it counts only if that is still
/// the same. So what comes late from before an outage can neither close nor open anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

/// What the breaker has decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Closed,
    Open,
    HalfOpen,
}

/// What becomes of its decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Automatic,
    MetricsOnly,
    ForcedOpen,
    Disabled,
}

const BITS: u32 = 4;

impl Word {
    /// Closed and automatic, the first generation: what all the fast paths look for is zero.
    pub(super) const START: Self = Self(0);

    #[inline]
    pub(super) const fn is_closed_and_automatic(self) -> bool {
        self.0 & ((1 << BITS) - 1) == 0
    }

    #[inline]
    pub(super) const fn phase(self) -> Phase {
        match self.0 & 0b11 {
            0 => Phase::Closed,
            1 => Phase::Open,
            _ => Phase::HalfOpen,
        }
    }

    pub(super) const fn mode(self) -> Mode {
        match (self.0 >> 2) & 0b11 {
            0 => Mode::Automatic,
            1 => Mode::MetricsOnly,
            2 => Mode::ForcedOpen,
            _ => Mode::Disabled,
        }
    }

    /// How many changes there have been.
    #[inline]
    pub(super) const fn generation(self) -> u64 {
        self.0 >> BITS
    }

    /// Whether decisions are made at all.
    pub(super) const fn decides(self) -> bool {
        matches!(self.mode(), Mode::Automatic | Mode::MetricsOnly)
    }

    /// The word after a change to this.
    pub(super) const fn next(self, mode: Mode, phase: Phase) -> Self {
        let generation = self.generation().wrapping_add(1);
        Self(generation << BITS | (mode as u64) << 2 | phase as u64)
    }

    pub(super) const fn decision(self) -> CircuitState {
        match self.phase() {
            Phase::Closed => CircuitState::Closed,
            Phase::Open => CircuitState::Open,
            Phase::HalfOpen => CircuitState::HalfOpen,
        }
    }

    pub(super) const fn state(self) -> CircuitState {
        match self.mode() {
            Mode::Automatic => self.decision(),
            Mode::MetricsOnly => CircuitState::MetricsOnly,
            Mode::ForcedOpen => CircuitState::ForcedOpen,
            Mode::Disabled => CircuitState::Disabled,
        }
    }
}
