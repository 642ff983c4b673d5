use crate::rejection::Reason;
use std::hash::Hash;

/// Tells calls apart: by client, tenant, route, upstream host …
///
/// Keys are remembered as digests of 128 bits under a secret of the process, so a long key costs
/// no more memory than a short one, and nobody can choose keys that collide. What a key may not be
/// is something that a hostile client varies freely: that client would have a fresh limit each
/// time. Use what was authenticated, or an address.
pub trait Key<C: ?Sized> {
    /// What the calls are told apart by. It may borrow from the call.
    type Key<'a>: Hash
    where
        C: 'a;

    /// The key of `call`.
    ///
    /// # Errors
    ///
    /// The call has none; the error says whose mistake that is.
    fn key<'a>(&self, call: &'a C) -> Result<Self::Key<'a>, MissingKey>;
}

/// Why a call has no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingKey {
    /// The caller did not send it, or sent something that is none.
    NotSent,
    /// The service is not set up to know it. The text tells the operator what to do, and is never
    /// shown to the caller.
    NotSetUp(&'static str),
}

impl MissingKey {
    /// The reason for which a call without a key is refused.
    pub const fn reason(self) -> Reason {
        match self {
            Self::NotSent => Reason::KeyMissing,
            Self::NotSetUp(_) => Reason::KeyUnavailable,
        }
    }
}

/// Tells calls apart by what a function returns.
///
/// ```
/// use buttress_core::{Key, MissingKey, by_fn};
///
/// let by_length = by_fn(|call: &str| Ok(call.len()));
/// assert_eq!(by_length.key("four"), Ok(4));
///
/// let by_tenant = by_fn(|call: &str| call.parse::<u64>().map_err(|_| MissingKey::NotSent));
/// assert_eq!(by_tenant.key("?"), Err(MissingKey::NotSent));
/// ```
pub fn by_fn<C: ?Sized, K, F>(function: F) -> ByFn<F>
where
    F: Fn(&C) -> Result<K, MissingKey>,
{
    ByFn(function)
}

/// The key that [`by_fn`] makes.
#[derive(Clone, Copy, Debug)]
pub struct ByFn<F>(F);

impl<C: ?Sized, K, F> Key<C> for ByFn<F>
where
    F: Fn(&C) -> Result<K, MissingKey>,
    K: Hash,
{
    type Key<'a>
        = K
    where
        C: 'a;

    fn key(&self, call: &C) -> Result<K, MissingKey> {
        (self.0)(call)
    }
}
