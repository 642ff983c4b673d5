//! A hash that means the same everywhere.

use siphasher::sip::SipHasher13;
use std::hash::{Hash, Hasher};

/// The hash of a key, the same in every process: unlike that of a map, it is no secret, and it
/// doesn't depend on how wide a machine's numbers are or which of their bytes comes first.
pub(super) fn stable_hash<K: Hash>(seed: u64, key: &K) -> u64 {
    let mut hasher = Stable(SipHasher13::new_with_keys(seed, 0));
    key.hash(&mut hasher);
    hasher.finish()
}

struct Stable(SipHasher13);

macro_rules! little_endian {
    ($($write:ident: $number:ty as $wide:ty;)*) => {$(
        #[inline]
        fn $write(&mut self, number: $number) {
            self.0.write(&(number as $wide).to_le_bytes());
        }
    )*};
}

impl Hasher for Stable {
    #[inline]
    fn finish(&self) -> u64 {
        self.0.finish()
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    little_endian! {
        write_u16: u16 as u16;
        write_u32: u32 as u32;
        write_u64: u64 as u64;
        write_u128: u128 as u128;
        write_usize: usize as u64;
        write_i16: i16 as i16;
        write_i32: i32 as i32;
        write_i64: i64 as i64;
        write_i128: i128 as i128;
        write_isize: isize as i64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_key_never_changes() {
        // Were it to, every tenant would move when a service is upgraded.
        assert_eq!(stable_hash(0, &"tenant"), 12_830_017_177_477_609_111);
        assert_eq!(stable_hash(0, &4711_u64), 7_465_397_017_603_586_585);
        assert_ne!(stable_hash(1, &"tenant"), stable_hash(0, &"tenant"));
    }

    #[test]
    fn a_number_hashes_the_same_whatever_the_machine_is() {
        assert_eq!(stable_hash(0, &7_usize), stable_hash(0, &7_u64));
        assert_eq!(stable_hash(0, &7_isize), stable_hash(0, &7_i64));
    }
}
