//! What does a call through one layer cost, ours and the rivals' in the same run?
#![allow(missing_docs, reason = "criterion's macros make functions without any")]

use buttress_benches::subjects::SUBJECTS;
use criterion::{Criterion, criterion_group, criterion_main};
use std::time::Duration;

fn overhead(criterion: &mut Criterion) {
    let runtime = buttress_benches::runtime();
    let _inside = runtime.enter();
    for subject in SUBJECTS {
        let mut group = criterion.benchmark_group(format!("{}/{}", subject.name, subject.peer));
        group
            .sample_size(20)
            .measurement_time(Duration::from_secs(1));
        for (who, make) in [("ours", subject.ours), (subject.peer, subject.theirs)] {
            let mut runner = make();
            group.bench_function(who, |bencher| {
                bencher.iter_custom(|calls| {
                    let each = runner.one_thread(calls).nanoseconds;
                    Duration::from_nanos((each * calls as f64) as u64)
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, overhead);
criterion_main!(benches);
