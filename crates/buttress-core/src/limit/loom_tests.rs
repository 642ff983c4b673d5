//! Every interleaving of two threads that count and one that takes what was counted.

use super::tally::{Tally, Total};
use loom::sync::Arc;
use loom::thread;

#[test]
fn loom_what_is_counted_is_taken_once() {
    loom::model(|| {
        let tally = Arc::new(Tally::new());
        let other = Arc::clone(&tally);
        // Two threads may share one tally.
        let thread = thread::spawn(move || other.answered(7));
        tally.answered(5);
        let (mut total, mut latencies) = (Total::default(), Vec::with_capacity(8));
        tally.move_into(&mut total, &mut latencies);
        assert!((1..=2).contains(&total.calls));
        thread.join().unwrap();
        tally.move_into(&mut total, &mut latencies);
        assert_eq!((total.calls, total.nanos), (2, 12));
    });
}
