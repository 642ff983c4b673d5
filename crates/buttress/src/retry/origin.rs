#[cfg(feature = "http")]
use crate::attempt::Attempt;

/// On whose behalf a request is made: whether that is itself a retry.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    pub(crate) previous: u32,
    #[cfg(feature = "http")]
    pub(crate) attempt: Option<Attempt>,
}

impl Origin {
    /// How many attempts there were before, further up.
    pub const fn previous(&self) -> u32 {
        self.previous
    }

    /// Whether there is a tier above that would hear of it.
    #[cfg_attr(
        not(feature = "http"),
        expect(clippy::unused_self, reason = "only HTTP has tiers")
    )]
    pub(crate) fn listens(&self) -> bool {
        #[cfg(feature = "http")]
        return self.attempt.is_some();
        #[cfg(not(feature = "http"))]
        false
    }

    /// Lets the tier above know that retrying has been tried already.
    #[cfg_attr(
        not(feature = "http"),
        expect(clippy::unused_self, reason = "only HTTP has tiers")
    )]
    pub(crate) fn give_up(&self) {
        #[cfg(feature = "http")]
        if let Some(attempt) = &self.attempt {
            attempt.give_up();
        }
    }
}
