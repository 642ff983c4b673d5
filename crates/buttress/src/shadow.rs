use crate::guard::policy_layer;
use buttress_core::{Reason, Rejection, combine};
use std::sync::Arc;

/// A policy that decides, and is not obeyed: what it would have refused is counted. It is a handle:
/// clones share the counts and the switch.
///
/// [`IntoShadow::shadow`] makes one of any policy. Watch for some days what it would have refused,
/// then [`enforce`](Self::enforce) it; nothing needs to be built or started again.
///
/// ```
/// use buttress::{Bulkhead, IntoShadow, RateLimit, Reason};
///
/// let policy = (RateLimit::per_second(100).build()?, Bulkhead::new(64)?).shadow();
/// assert_eq!(policy.would_have_refused(Reason::RateLimited), 0);
///
/// // Convinced:
/// policy.enforce();
/// # Ok::<(), buttress::SettingError>(())
/// ```
///
/// No call is refused and none waits. Calls that the policy would have admitted hold its permit, so
/// a breaker sees their outcomes and an adaptive limit their latencies; the others hold nothing.
/// Since they run all the same, the callee is busier than it would be, and the counts are an upper
/// bound. Where the policy has a waiting room, calls that it would have had wait leave its line at once
/// and are counted by [`would_have_waited`](Self::would_have_waited) alone, since nobody knows whether
/// their turn would have come in time.
///
/// # How it fails when misused
///
/// A policy in shadow protects nothing. Let the metrics say which ones are.
#[derive(Debug)]
pub struct Shadow<P> {
    policy: Arc<combine::Shadow<P>>,
}

impl<P> Shadow<P> {
    /// `policy` in shadow.
    pub fn new(policy: P) -> Self {
        Self {
            policy: Arc::new(combine::Shadow::new(policy)),
        }
    }

    /// Obeys the policy from the next call on.
    pub fn enforce(&self) {
        self.policy.enforce();
    }

    /// Only counts from the next call on. Calls that wait already are not let in by that.
    pub fn observe(&self) {
        self.policy.observe();
    }

    /// Whether the policy is obeyed.
    pub fn is_enforced(&self) -> bool {
        self.policy.is_enforced()
    }

    /// How many calls it would have refused for `reason`, had it been obeyed.
    pub fn would_have_refused(&self, reason: Reason) -> u64 {
        self.policy.would_have_refused(reason)
    }

    /// How many it would have refused for any reason.
    pub fn would_have_refused_in_all(&self) -> u64 {
        self.policy.would_have_refused_in_all()
    }

    /// How many would have had to wait, whatever would have come of it.
    pub fn would_have_waited(&self) -> u64 {
        self.policy.would_have_waited()
    }

    /// Counts a refusal that is not obeyed: for those who ask the [policy](Self::policy) themselves,
    /// and so spare a copy of its permit.
    pub fn note(&self, rejection: &Rejection) {
        self.policy.note(rejection);
    }

    /// Counts a wait that is not waited, in the same way.
    pub fn note_wait(&self) {
        self.policy.note_wait();
    }

    /// The policy.
    pub fn policy(&self) -> &P {
        self.policy.policy()
    }
}

impl<P> Clone for Shadow<P> {
    fn clone(&self) -> Self {
        Self {
            policy: Arc::clone(&self.policy),
        }
    }
}

policy_layer!([P] Shadow<P>, policy: Arc<combine::Shadow<P>>);

/// Puts a policy in shadow, by one word.
pub trait IntoShadow: Sized {
    /// This policy decides from now on, and is not obeyed; see [`Shadow`].
    fn shadow(self) -> Shadow<Self> {
        Shadow::new(self)
    }
}

impl<P> IntoShadow for P {}
