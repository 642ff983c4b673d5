//! What does a probe cost, next to the least that a service can do; and how many a second does one
//! core answer over loopback while ten checks hang?
#![allow(missing_docs, reason = "criterion's macros make functions without any")]
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it measures, and prints what"
)]

use buttress_benches::health::{bare, endpoints, one_thread, rounds};
use buttress_benches::measure::median;
use criterion::{Criterion, criterion_group, criterion_main};
use http::Request;
use std::hint::black_box;
use std::time::Duration;
use tower::{Service, service_fn};

fn request(path: &'static str) -> Request<()> {
    Request::get(path).body(()).unwrap()
}

fn probe(criterion: &mut Criterion) {
    let runtime = one_thread();
    let (_health, mut endpoints) = endpoints(&runtime);
    // One of each check's runs has hung by now.
    runtime.block_on(async { tokio::time::sleep(Duration::from_millis(50)).await });
    let mut group = criterion.benchmark_group("probe");
    group.bench_function("bare", |bencher| {
        let mut service = service_fn(bare::<()>);
        bencher.iter(|| black_box(service.call(request("/readyz"))));
    });
    for path in [
        "/readyz",
        "/readyz?verbose",
        "/readyz?verbose&exclude=hangs-3",
    ] {
        group.bench_function(path, |bencher| {
            bencher.iter(|| black_box(endpoints.call(request(path))));
        });
    }
    group.finish();
}

fn flood(_: &mut Criterion) {
    let is_test = std::env::args().any(|argument| argument == "--test");
    let (count, round) = if is_test {
        (1, Duration::from_millis(50))
    } else {
        (11, Duration::from_secs(1))
    };
    let rounds = rounds(count, round);
    let ours = median(rounds.iter().map(|(ours, _)| *ours).collect());
    let bare = median(rounds.iter().map(|(_, bare)| *bare).collect());
    let ratio = median(rounds.iter().map(|(ours, bare)| ours / bare).collect());
    println!(
        "one core, ten checks that hang: {ours:.0} probes/s over loopback\n\
         one core, a bare service:       {bare:.0} requests/s\n\
         ratio {ratio:.2} (median of {count} rounds)"
    );
}

criterion_group!(benches, probe, flood);
criterion_main!(benches);
