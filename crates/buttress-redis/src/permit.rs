use crate::digest::Digest;
use buttress_core::{Now, Outcome, Permit, Quota};

/// An admitted call, what it took, and the quota to tell its caller, if it is announced.
#[derive(Debug)]
pub struct FleetPermit {
    // In a box, so that the calls of limits that announce nothing are the smaller for it.
    pub(crate) quota: Option<Box<Quota>>,
    pub(crate) taken: Option<Taken>,
}

/// What a call took, so that it can be given back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) digest: Digest,
    pub(crate) cost: u32,
    pub(crate) from: From,
}

/// Of what it was taken.
#[derive(Clone, Copy, Debug)]
pub(crate) enum From {
    Store,
    Lease,
    View,
    Alone,
}

impl FleetPermit {
    /// Took nothing.
    pub(crate) const fn free() -> Self {
        Self {
            quota: None,
            taken: None,
        }
    }
}

impl Permit for FleetPermit {
    const WANTS_OUTCOME: bool = false;

    fn complete(self, _: Outcome, _: &Now) {}

    #[inline]
    fn quotas(&self, each: &mut dyn FnMut(&Quota)) {
        if let Some(quota) = &self.quota {
            each(quota);
        }
    }
}
