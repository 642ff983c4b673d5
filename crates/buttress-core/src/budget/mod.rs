//! How many attempts there may be beyond the first ones.
//!
//! A maximum of attempts bounds what one call does to its callee. It does not bound what all of
//! them do together: when the callee fails, every call is made three times, just when it can bear
//! it least. And where each of three tiers makes three attempts, the lowest sees 27. A budget is
//! shared by all calls to a callee, and lets only a share of them try again. While few calls fail
//! it is not noticed; when most do, the callee sees a little more than without retries, and not a
//! multiple.
//!
//! # How it fails when misused
//!
//! A budget for each call or connection bounds nothing: there should be one for each callee. One
//! that allows more than it needs protects only while the callee can serve so much more. And it
//! says nothing about work that nobody waits for any more; that is for deadlines.
//!
//! # The two kinds
//!
//! A [share of the calls](RetryBudget::share) over the last 10 seconds is the default: 20 %, or 10 a
//! second if that is more, as in Finagle and in tower. There the two are added up, so that 100
//! calls in ten seconds may come to 220 attempts; here the larger one counts, so that at 50 calls a
//! second and above there are never more than 1.2 attempts to a call.
//!
//! [Tokens](RetryBudget::tokens) are gRPC's (gRFC A6): a failure takes one, a success gives a part
//! of one back, and while no more than half are left there are no retries. It needs no clock, and
//! is slower to notice.

mod buckets;
mod tokens;
mod window;

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;

use crate::now::Now;
use crate::setting::{SettingError, check_range};
use std::sync::Arc;
use tokens::Tokens;
use window::Window;

/// How many retries and hedges there may be, among all calls that share it. Clones share.
///
/// ```
/// use buttress_core::{Now, RetryBudget};
///
/// // One retry in ten calls, and one a second in any case.
/// let budget = RetryBudget::share(0.1, 1)?;
/// let now = Now::at(std::time::Instant::now());
///
/// budget.deposit(&now);
/// assert!(budget.withdraw(&now));
/// # Ok::<(), buttress_core::SettingError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RetryBudget {
    kind: Arc<Kind>,
    counts_calls: bool,
}

#[derive(Debug)]
enum Kind {
    Window(Window),
    Tokens(Tokens),
}

impl RetryBudget {
    /// The default: 20 % of the calls of the last 10 seconds, or 10 a second if that is more.
    pub fn new() -> Self {
        Self::of(Kind::Window(Window::new(200_000, 10)))
    }

    /// `share` of the calls of the last 10 seconds (from 0 to 1), or `at_least` a second (0 to 1
    /// 000 000) if that is more, so that a quiet client can retry as well. The ten seconds' worth
    /// may be used up at once.
    ///
    /// # Errors
    ///
    /// Names what is outside of its range.
    pub fn share(share: f64, at_least: u32) -> Result<Self, SettingError> {
        let share = check_range("share", share, 0.0..=1.0)?;
        let at_least = check_range("at_least", at_least, 0..=1_000_000)?;
        let millionths = (share * 1e6).round() as u32;
        Ok(Self::of(Kind::Window(Window::new(millionths, at_least))))
    }

    /// `most` tokens (from 1 to 1000 × 1000) and `ratio` of one for each success (from 1), both in
    /// thousandths. gRPC's own example has 10 000 and 100: ten tokens, and a tenth of one back.
    ///
    /// # Errors
    ///
    /// Names what is outside of its range.
    pub fn tokens(most: u32, ratio: u32) -> Result<Self, SettingError> {
        let most = check_range("most", most, 1..=Tokens::MOST)?;
        let ratio = check_range("ratio", ratio, 1..=u32::MAX)?;
        Ok(Self::of(Kind::Tokens(Tokens::new(most, ratio))))
    }

    /// The same budget for another layer of the same stack. Calls are counted by the one that was
    /// given the budget itself, and must not be by this one again: the attempts of a retry are calls
    /// of the hedge inside it.
    pub fn without_deposits(&self) -> Self {
        Self {
            kind: Arc::clone(&self.kind),
            counts_calls: false,
        }
    }

    /// A call begins: its first attempt is made. If nobody has asked `now` yet, the clock is read
    /// for one call in eight.
    #[inline]
    pub fn deposit(&self, now: &Now) {
        if let Kind::Window(window) = &*self.kind
            && self.counts_calls
        {
            window.deposit(now);
        }
    }

    /// Asks for one more attempt, and takes it if it is there. Taking it is final: whoever does not
    /// use it has lost it.
    pub fn withdraw(&self, now: &Now) -> bool {
        match &*self.kind {
            Kind::Window(window) => window.withdraw(now.instant()),
            Kind::Tokens(tokens) => tokens.suffice(),
        }
    }

    /// An attempt succeeded.
    #[inline]
    pub fn succeeded(&self) {
        if let Kind::Tokens(tokens) = &*self.kind {
            tokens.give_back();
        }
    }

    /// An attempt failed in a way that would be retried, or its callee wants no retries. It is told
    /// before the retry is asked for.
    #[inline]
    pub fn failed(&self) {
        if let Kind::Tokens(tokens) = &*self.kind {
            tokens.take();
        }
    }

    /// How many more attempts there may be as it stands.
    pub fn left(&self, now: &Now) -> u64 {
        match &*self.kind {
            Kind::Window(window) => window.left(now.instant()),
            Kind::Tokens(tokens) => tokens.left(),
        }
    }

    fn of(kind: Kind) -> Self {
        Self {
            kind: Arc::new(kind),
            counts_calls: true,
        }
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self::new()
    }
}
