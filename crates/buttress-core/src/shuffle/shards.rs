//! Which compartments are a key's, and how likely two keys are to share some.

use super::stable::stable_hash;
use crate::setting::{SettingError, check_range};
use std::hash::Hash;

/// How keys are dealt out to compartments: each gets some of them, and few get the same.
///
/// Of 8 compartments, 2 can be chosen in 28 ways. So of all other keys, one in 28 shares both with
/// a given one, and more than half share none:
///
/// ```
/// use buttress_core::Shards;
///
/// let shards = Shards::new(8, 2)?;
/// assert_eq!(shards.count(), 28);
/// let percent = |shared| format!("{:.2}", 100.0 * shards.overlap(shared));
/// assert_eq!([percent(0), percent(1), percent(2)], ["53.57", "42.86", "3.57"]);
/// # Ok::<(), buttress_core::SettingError>(())
/// ```
///
/// Which ones are a key's is decided by rendezvous hashing (Thaler and Ravishankar 1998): every
/// compartment draws a number for the key, and the highest win. So a compartment that is added
/// takes the place of one for those keys only for which it draws high enough: `per_key` of
/// `compartments + 1`.
#[derive(Clone, Copy, Debug)]
pub struct Shards {
    compartments: u32,
    per_key: u32,
    seed: u64,
}

impl Shards {
    /// `compartments` (2 to 4096) of which each key gets `per_key` (from 1 to 8, and fewer than
    /// there are).
    ///
    /// # Errors
    ///
    /// Either is out of range.
    pub fn new(compartments: u32, per_key: u32) -> Result<Self, SettingError> {
        let compartments = check_range("compartments", compartments, 2..=MOST_COMPARTMENTS)?;
        let most = (MOST_PER_KEY as u32).min(compartments - 1);
        Ok(Self {
            compartments,
            per_key: check_range("per_key", per_key, 1..=most)?,
            seed: 0,
        })
    }

    /// Deals the keys out differently. All processes with one seed deal the same; whoever doesn't
    /// know it cannot look for a key that shares a certain other one's compartments. 0 by default.
    pub const fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// In how many ways a key's compartments can be chosen.
    pub const fn count(&self) -> u128 {
        choose(self.compartments, self.per_key)
    }

    /// What part of the other keys share exactly `shared` compartments with a given one, from 0.0
    /// to 1.0. On average, of course: of few keys, luck decides.
    pub fn overlap(&self, shared: u32) -> f64 {
        if shared > self.per_key {
            return 0.0;
        }
        let those = choose(self.per_key, shared);
        let others = choose(self.compartments - self.per_key, self.per_key - shared);
        (those * others) as f64 / self.count() as f64
    }

    /// The compartments of a key. They are the same in every process, in every release of this crate.
    ///
    /// What the key's `Hash` feeds in must be, too. So it is for strings, bytes, integers and what is
    /// made of those. An IP address or a slice of integers counts differently on a machine with the other
    /// byte order.
    pub fn of<K: Hash>(&self, key: &K) -> Shard {
        let hash = stable_hash(self.seed, key);
        let most = self.per_key as usize;
        let mut draws = [0_u64; MOST_PER_KEY];
        let mut members = [0_u16; MOST_PER_KEY];
        for compartment in 0..self.compartments {
            let draw = draw(hash, compartment);
            let found = (compartment as usize).min(most);
            // Few enough that a heap would be slower. Of equal draws, the first stays ahead.
            let place = draws[..found].iter().position(|other| draw > *other);
            let place = place.unwrap_or(found);
            if place < most {
                let last = found.min(most - 1);
                draws.copy_within(place..last, place + 1);
                members.copy_within(place..last, place + 1);
                draws[place] = draw;
                // Below 4096.
                members[place] = compartment as u16;
            }
        }
        Shard {
            members,
            len: most as u8,
        }
    }

    pub(super) const fn compartments(&self) -> u32 {
        self.compartments
    }
}

/// A key's compartments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    members: [u16; MOST_PER_KEY],
    len: u8,
}

impl Shard {
    /// Their numbers, from 0, in an order that differs from key to key.
    pub fn compartments(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        let members = &self.members[..usize::from(self.len)];
        members.iter().map(|member| usize::from(*member))
    }

    /// How many compartments two keys have in common.
    pub fn shared_with(&self, other: &Self) -> usize {
        let mut own = self.compartments();
        let theirs = |own: &usize| other.compartments().any(|other| other == *own);
        own.by_ref().filter(theirs).count()
    }
}

/// What a compartment draws for a key: a bijection of 64 bits with good avalanche (the finalizer of
/// `SplitMix64`, Steele, Lea and Flood 2014), so that two compartments never draw the same.
#[inline]
fn draw(hash: u64, compartment: u32) -> u64 {
    let step = u64::from(compartment) + 1;
    let mut bits = hash.wrapping_add(step.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// `of` choose `some`. At most 4096 choose 8, which has 81 bits.
const fn choose(of: u32, some: u32) -> u128 {
    if some > of {
        return 0;
    }
    let mut ways = 1_u128;
    let mut taken = 0;
    while taken < some {
        ways = ways * (of - taken) as u128 / (taken + 1) as u128;
        taken += 1;
    }
    ways
}

/// A key's choice looks at each, so there is an end to it.
const MOST_COMPARTMENTS: u32 = 4_096;
const MOST_PER_KEY: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set(shard: &Shard) -> BTreeSet<usize> {
        shard.compartments().collect()
    }

    #[test]
    fn the_arithmetic_is_the_published_one() {
        assert_eq!(Shards::new(8, 2).unwrap().count(), 28);
        assert_eq!(Shards::new(2_048, 4).unwrap().count(), 730_862_190_080);
        let shards = Shards::new(8, 2).unwrap();
        for (shared, part) in [(0, 15.0), (1, 12.0), (2, 1.0)] {
            assert!((shards.overlap(shared) - part / 28.0).abs() < 1e-12);
        }
        assert!(shards.overlap(3).abs() < f64::EPSILON);
    }

    /// 10 000 keys are dealt out, and each is compared with one other.
    #[test]
    fn keys_overlap_as_often_as_the_arithmetic_says() {
        let shards = Shards::new(8, 2).unwrap();
        let mut overlaps = [0.0; 3];
        let mut members = [0.0; 8];
        let mut kinds = BTreeSet::new();
        for key in 0..10_000_u32 {
            let (one, other) = (shards.of(&key), shards.of(&(key + 10_000)));
            overlaps[one.shared_with(&other)] += 1.0 / 10_000.0;
            for member in one.compartments() {
                members[member] += 1.0 / 20_000.0;
            }
            kinds.insert(set(&one));
        }
        assert_eq!(kinds.len(), 28);
        for (shared, part) in overlaps.into_iter().enumerate() {
            // Three standard deviations.
            assert!((part - shards.overlap(shared as u32)).abs() < 0.015);
        }
        assert!(members.iter().all(|part| (part - 0.125_f64).abs() < 0.01));
    }

    /// Were one of these to change, tenants would move when a service is upgraded, and while both
    /// versions run, a poisonous one would take down two shards.
    #[test]
    fn the_compartments_of_a_key_never_change() {
        use std::net::{IpAddr, Ipv6Addr};
        let shards = Shards::new(8, 2).unwrap();
        let members = |shard: Shard| shard.compartments().collect::<Vec<_>>();
        assert_eq!(members(shards.of(&"tenant")), [0, 5]);
        assert_eq!(members(shards.of(&"tenant".to_owned())), [0, 5]);
        // As header fields are told apart.
        assert_eq!(members(shards.of(&&b"tenant"[..])), [5, 4]);
        assert_eq!(members(shards.of(&4711_u64)), [3, 0]);
        assert_eq!(members(shards.of(&("tenant", 7_u32))), [5, 1]);
        assert_eq!(members(shards.of(&IpAddr::from([192, 0, 2, 1]))), [5, 6]);
        assert_eq!(members(shards.of(&IpAddr::V6(Ipv6Addr::LOCALHOST))), [1, 3]);
        assert_eq!(members(shards.seed(7).of(&"tenant")), [4, 2]);
        let many = Shards::new(2_048, 4).unwrap();
        assert_eq!(members(many.of(&"tenant")), [1770, 1210, 196, 1670]);
    }

    #[test]
    fn a_compartment_that_is_added_moves_few_keys_and_only_to_itself() {
        let (before, after) = (Shards::new(16, 2).unwrap(), Shards::new(17, 2).unwrap());
        let mut moved = 0;
        for key in 0..10_000_u32 {
            let (old, new) = (set(&before.of(&key)), set(&after.of(&key)));
            let added: Vec<_> = new.difference(&old).copied().collect();
            assert!(added.is_empty() || added == [16], "{key} moves elsewhere");
            moved += added.len();
        }
        // 2 of 17 are 1176 of 10 000.
        assert!((1_050..1_300).contains(&moved), "{moved}");
    }

    proptest! {
        /// The model draws for all compartments and sorts.
        #[test]
        fn the_highest_draws_win(compartments in 2_u32..40, per_key in 1_u32..=8, key: u64, seed: u64) {
            prop_assume!(per_key < compartments);
            let shards = Shards::new(compartments, per_key).unwrap().seed(seed);
            let hash = stable_hash(seed, &key);
            let mut model: Vec<_> = (0..compartments).collect();
            model.sort_by_key(|compartment| std::cmp::Reverse(draw(hash, *compartment)));
            let model = model.into_iter().take(per_key as usize).map(|member| member as usize);
            prop_assert!(shards.of(&key).compartments().eq(model));
        }
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let field = |compartments, per_key| {
            let error = Shards::new(compartments, per_key).unwrap_err();
            error.field()
        };
        assert_eq!(field(1, 1), "compartments");
        assert_eq!(field(4_097, 1), "compartments");
        assert_eq!(field(8, 0), "per_key");
        assert_eq!(field(8, 8), "per_key");
        assert_eq!(field(64, 9), "per_key");
    }
}
