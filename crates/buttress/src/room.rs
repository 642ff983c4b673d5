//! Memory for bodies that are kept, which has a bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How much memory bodies that are kept may take together, and how much one of them.
#[derive(Debug)]
pub(crate) struct Room {
    all: u64,
    one: u64,
    used: AtomicU64,
}

impl Room {
    /// So many bytes for all, and for each.
    pub(crate) const fn new(all: u64, one: u64) -> Self {
        Self {
            all,
            one,
            used: AtomicU64::new(0),
        }
    }

    /// How long a body may be.
    pub(crate) const fn longest(&self) -> u64 {
        self.one
    }
}

/// What one body takes. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Taken {
    room: Arc<Room>,
    bytes: u64,
}

impl Taken {
    pub(crate) const fn nothing(room: Arc<Room>) -> Self {
        Self { room, bytes: 0 }
    }

    /// Takes room for one more frame, if the body may be that long and there is room.
    pub(crate) fn frame(&mut self, bytes: usize) -> bool {
        let room = &self.room;
        let bytes = (bytes as u64).saturating_add(FRAME);
        let grown = self.bytes.saturating_add(bytes);
        if grown > room.one {
            return false;
        }
        let fits = |used: u64| used.checked_add(bytes).filter(|needed| *needed <= room.all);
        let order = Ordering::Relaxed;
        if room.used.try_update(order, order, fits).is_err() {
            return false;
        }
        self.bytes = grown;
        true
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.room.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What a frame takes besides its bytes, rounded up: so many empty ones are not for nothing.
const FRAME: u64 = 64;

/// The most that a bound in bytes may be: 1 TiB.
pub(crate) const MOST_BYTES: u64 = 1 << 40;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_more_is_taken_than_there_is_and_all_of_it_comes_back(
            frames in prop::collection::vec((0_usize..4, 0_usize..900), 0..60),
        ) {
            let room = Arc::new(Room::new(2_000, 1_000));
            let mut bodies: Vec<_> = (0..4).map(|_| Taken::nothing(Arc::clone(&room))).collect();
            for (body, bytes) in frames {
                let before = bodies[body].bytes;
                let taken = bodies[body].frame(bytes);
                let after = before + if taken { bytes as u64 + FRAME } else { 0 };
                prop_assert_eq!(bodies[body].bytes, after);
                let used = room.used.load(Ordering::Relaxed);
                prop_assert_eq!(used, bodies.iter().map(|body| body.bytes).sum::<u64>());
                prop_assert!(used <= 2_000 && after <= 1_000);
                prop_assert!(taken || before + bytes as u64 + FRAME > 1_000
                    || used + bytes as u64 + FRAME > 2_000);
            }
            drop(bodies);
            prop_assert_eq!(room.used.load(Ordering::Relaxed), 0);
        }
    }
}
