//! Keys as digests of a fixed size.

use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::OnceLock;

/// A key of whatever size, as 128 bits. Two keys share one with a chance of 2⁻¹²⁸.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest {
    pub(crate) high: u64,
    pub(crate) low: u64,
}

/// Makes [`Digest`]s under a secret of its own, so that nobody can aim for two keys that share
/// one. Digests of two digesters cannot be compared.
///
/// ```
/// use buttress_core::digest::Digester;
///
/// let digester = Digester::new();
/// assert_eq!(digester.digest(&"a key"), digester.digest(&"a key"));
/// assert_ne!(digester.digest(&"a key"), digester.digest(&"another"));
/// ```
#[derive(Clone, Debug)]
pub struct Digester {
    secret: SipHasher13,
}

impl Digester {
    /// A digester with a fresh secret.
    pub fn new() -> Self {
        let seeds = RandomState::new();
        Self {
            secret: SipHasher13::new_with_keys(seeds.hash_one(0), seeds.hash_one(1)),
        }
    }

    /// The digester of all maps whose states may move from one to another: its secret is the
    /// process's.
    pub(crate) fn of_this_process() -> Self {
        static OF_THIS_PROCESS: OnceLock<Digester> = OnceLock::new();
        OF_THIS_PROCESS.get_or_init(Self::new).clone()
    }

    /// The digest of `key`.
    #[inline]
    pub fn digest(&self, key: &(impl Hash + ?Sized)) -> Digest {
        let mut hasher = self.secret;
        key.hash(&mut hasher);
        let digest = hasher.finish128();
        Digest {
            high: digest.h1,
            low: digest.h2,
        }
    }
}

impl Default for Digester {
    fn default() -> Self {
        Self::new()
    }
}
