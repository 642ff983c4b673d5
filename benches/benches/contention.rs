//! What does a call cost a thread while another thread calls the same policy?
#![allow(missing_docs, reason = "criterion's macros make functions without any")]

use buttress_benches::subjects::SUBJECTS;
use criterion::{Criterion, criterion_group, criterion_main};
use std::time::Duration;

fn contention(criterion: &mut Criterion) {
    let runtime = buttress_benches::runtime();
    let _inside = runtime.enter();
    for subject in SUBJECTS.iter().filter(|subject| subject.shared) {
        let mut group = criterion.benchmark_group(format!("{}_2t/{}", subject.name, subject.peer));
        group
            .sample_size(10)
            .measurement_time(Duration::from_secs(1));
        for (who, make) in [("ours", subject.ours), (subject.peer, subject.theirs)] {
            let mut runner = make();
            if !runner.is_shared() {
                continue;
            }
            group.bench_function(who, |bencher| {
                bencher.iter_custom(|calls| {
                    let each = runner.two_threads(calls);
                    Duration::from_nanos((each * calls as f64) as u64)
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, contention);
criterion_main!(benches);
