use crate::rule::Rule;
use sha2::{Digest as _, Sha256};
use std::hash::{Hash, Hasher};

/// A key, as the fleet knows it: half of a SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Digest(pub(crate) u128);

/// Makes the digests of one limit.
///
/// In one process a secret of the process makes digests that nobody can aim at. Here each
/// instance must come to the same one, so the secret is the fleet's, and may be none at all. A
/// cryptographic hash needs no secret to have no known collisions; the secret is there for those
/// who must not be able to tell from Redis which clients called.
///
/// The limit's name and rule are part of it: limits that differ don't share counts by mistake.
#[derive(Clone)]
pub(crate) struct Digester(Sha256);

impl Digester {
    pub(crate) fn new(namespace: &str, secret: &[u8], name: &str, rule: &Rule) -> Self {
        let mut about = Absorb(Sha256::new());
        about.write_u64(namespace.len() as u64);
        about.write(namespace.as_bytes());
        about.write_u64(secret.len() as u64);
        about.write(secret);
        about.write_u64(name.len() as u64);
        about.write(name.as_bytes());
        match *rule {
            Rule::Even { interval, burst } => {
                about.write_u8(1);
                about.write_u128(interval.as_nanos());
                about.write_u32(burst);
            }
            Rule::Window { length, limit } => {
                about.write_u8(2);
                about.write_u128(length.as_nanos());
                about.write_u32(limit);
            }
        }
        let about = about.0.finalize();
        // A whole block of 64 bytes, so that it is absorbed once and not for each call.
        let mut start = Sha256::new();
        start.update(about);
        start.update(about);
        Self(start)
    }

    #[inline]
    pub(crate) fn digest(&self, key: &impl Hash) -> Digest {
        let mut absorb = Absorb(self.0.clone());
        key.hash(&mut absorb);
        let hash = absorb.0.finalize();
        let mut half = [0; 16];
        half.copy_from_slice(&hash[..16]);
        Digest(u128::from_be_bytes(half))
    }
}

/// Feeds what is hashed to SHA-256, the same on machines of either byte order and any width.
struct Absorb(Sha256);

macro_rules! little_endian {
    ($($method:ident: $number:ty;)*) => {$(
        #[inline]
        fn $method(&mut self, number: $number) {
            self.0.update(number.to_le_bytes());
        }
    )*};
}

impl Hasher for Absorb {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    little_endian! {
        write_u8: u8;
        write_u16: u16;
        write_u32: u32;
        write_u64: u64;
        write_u128: u128;
        write_i8: i8;
        write_i16: i16;
        write_i32: i32;
        write_i64: i64;
        write_i128: i128;
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_i64(number as i64);
    }

    fn finish(&self) -> u64 {
        // Nobody asks: the digest is taken from the hash itself.
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn digester(namespace: &str, secret: &[u8], name: &str, burst: u32) -> Digester {
        let interval = Duration::from_millis(1);
        Digester::new(namespace, secret, name, &Rule::Even { interval, burst })
    }

    #[test]
    fn whatever_sets_limits_apart_sets_their_digests_apart() {
        let one = digester("a", b"s", "n", 1).digest(&"key");
        assert_eq!(one, digester("a", b"s", "n", 1).digest(&"key"));
        for other in [
            digester("b", b"s", "n", 1).digest(&"key"),
            digester("a", b"t", "n", 1).digest(&"key"),
            digester("a", b"s", "m", 1).digest(&"key"),
            digester("a", b"s", "n", 2).digest(&"key"),
            digester("a", b"sn", "", 1).digest(&"key"),
            digester("as", b"", "n", 1).digest(&"key"),
            digester("a", b"s", "n", 1).digest(&"keys"),
        ] {
            assert_ne!(one, other);
        }
    }

    /// Instances of different builds, and of different machines, must agree: what is hashed here
    /// may not change by itself.
    #[test]
    fn a_digest_is_the_same_in_every_process() {
        let digest = digester("shop", b"", "per-client", 20).digest(&(7_usize, "a client"));
        assert_eq!(
            format!("{:032x}", digest.0),
            "fec34c44a9424f5b4c028cdd945a746c"
        );
    }
}
