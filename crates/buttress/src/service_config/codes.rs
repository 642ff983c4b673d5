use std::fmt;

/// Some of gRPC's status codes.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct StatusCodes(u32);

impl StatusCodes {
    /// Whether `code`, from 0 (`OK`) to 16 (`UNAUTHENTICATED`), is one of them.
    pub const fn contain(self, code: u16) -> bool {
        code < NAMES.len() as u16 && self.0 >> code & 1 == 1
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// One bit for each.
    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    /// With the code of that number.
    pub(super) fn with_number(self, number: f64) -> Option<Self> {
        let known = (0.0..NAMES.len() as f64).contains(&number) && number.fract() == 0.0;
        known.then(|| Self(self.0 | 1 << number as u32))
    }

    /// With the code of that name, in any case.
    pub(super) fn with_name(self, name: &str) -> Option<Self> {
        let code = NAMES
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name))?;
        Some(Self(self.0 | 1 << code))
    }
}

impl fmt::Debug for StatusCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = NAMES.iter().enumerate();
        let names = names.filter(|(code, _)| self.contain(*code as u16));
        f.debug_set().entries(names.map(|(_, name)| name)).finish()
    }
}

/// By their numbers.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
