use super::protocol::FallbackProtocol;
use buttress_core::Rejection;
use std::fmt;

/// How a call ended, as those see it who decide on a fallback.
pub struct Ended<'a, Res, Err> {
    result: &'a Result<Res, Err>,
    rejection: Option<&'a Rejection>,
}

impl<'a, Res, Err> Ended<'a, Res, Err> {
    #[inline]
    pub(super) const fn new(
        result: &'a Result<Res, Err>,
        rejection: Option<&'a Rejection>,
    ) -> Self {
        Self { result, rejection }
    }

    /// What the service inside returned.
    pub const fn result(&self) -> &'a Result<Res, Err> {
        self.result
    }

    /// The refusal of a layer further in, if it was one: as an error, or as an answer.
    pub const fn rejection(&self) -> Option<&'a Rejection> {
        self.rejection
    }
}

impl<Res, Err> Clone for Ended<'_, Res, Err> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Res, Err> Copy for Ended<'_, Res, Err> {}

impl<Res, Err> fmt::Debug for Ended<'_, Res, Err> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ended")
            .field("is_ok", &self.result.is_ok())
            .field("rejection", &self.rejection)
            .finish()
    }
}

/// Says whether a fallback stands in.
pub trait When<Pr, Res, Err> {
    /// Whether it does for a call that ended so.
    fn stands_in(&self, protocol: &Pr, ended: Ended<'_, Res, Err>) -> bool;
}

/// When the call failed, by the [rules of its protocol](super#when-it-stands-in).
#[derive(Clone, Copy, Debug, Default)]
pub struct WhenItFails;

impl<Pr, Res, Err> When<Pr, Res, Err> for WhenItFails
where
    Pr: FallbackProtocol<Res, Err>,
{
    #[inline]
    fn stands_in(&self, protocol: &Pr, ended: Ended<'_, Res, Err>) -> bool {
        protocol.has_failed(ended)
    }
}

impl<Pr, Res, Err, F> When<Pr, Res, Err> for F
where
    F: Fn(Ended<'_, Res, Err>) -> bool,
{
    fn stands_in(&self, _: &Pr, ended: Ended<'_, Res, Err>) -> bool {
        self(ended)
    }
}
