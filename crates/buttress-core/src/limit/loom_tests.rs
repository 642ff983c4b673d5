//! Every interleaving of two threads that count and one that takes what was counted.

use super::tally::{Looked, Tally, Total};
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
        let mut looked = Looked::default();
        let (mut total, mut latencies) = (Total::default(), Vec::with_capacity(8));
        tally.take(&mut looked, &mut total, &mut latencies);
        assert!((1..=2).contains(&total.answered));
        assert!(latencies.iter().all(|nanos| [5, 7].contains(nanos)));
        thread.join().unwrap();
        tally.take(&mut looked, &mut total, &mut latencies);
        assert_eq!(total.answered, 2);
        tally.take(&mut looked, &mut total, &mut latencies);
        assert_eq!(total.answered, 2);
    });
}
