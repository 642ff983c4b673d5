//! Does a breaker's time window cost more the more calls are in it?
#![allow(missing_docs, reason = "criterion's macros make functions without any")]

use buttress_benches::breaker::time_window;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::time::Duration;

fn window(criterion: &mut Criterion) {
    let runtime = buttress_benches::runtime();
    let _inside = runtime.enter();
    let mut group = criterion.benchmark_group("breaker/calls in the window");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(1));
    for calls in [10, 1_000, 100_000, 1_000_000] {
        let mut runner = time_window(calls);
        group.bench_function(BenchmarkId::from_parameter(calls), |bencher| {
            bencher.iter_custom(|calls| {
                let each = runner.one_thread(calls).nanoseconds;
                Duration::from_nanos((each * calls as f64) as u64)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, window);
criterion_main!(benches);
