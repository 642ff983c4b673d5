use crate::load::CAPACITY;
use crate::system::{Client, SECOND, Went, offer, with, without};

const LOADS: [f64; 5] = [0.5, 1.0, 2.0, 5.0, 10.0];

/// Three seconds at each load, after one in which what there is to learn is learnt. Each begins with a
/// service that knows nothing, so one that starts into an overload is among them.
async fn measure(client: impl Fn() -> Client) -> Vec<Went> {
    let mut all = Vec::new();
    for load in LOADS {
        let calls = offer(&client(), 4 * SECOND, 0, |_| load * CAPACITY).await;
        let went = Went::between(&calls, SECOND, 4 * SECOND);
        println!("{load} × the capacity: {went:?}");
        all.push(went);
    }
    all
}

#[tokio::test(start_paused = true)]
async fn at_ten_times_the_capacity_goodput_and_latency_stay_with_the_layers_and_only_with_them() {
    let (with, without) = (measure(with).await, measure(without).await);
    let unloaded = without[0];
    assert_eq!(unloaded.answered, unloaded.offered);
    assert_eq!(with[0].answered, with[0].offered, "nothing is refused");
    let peak = [&with[..], &without[..]].concat();
    let peak = peak.iter().map(|went| went.answered).max().unwrap();
    for (with, without) in with[2..].iter().zip(&without[2..]) {
        assert!(with.answered * 10 >= peak * 9, "{with:?} of {peak}");
        assert!(without.answered * 10 < peak, "{without:?} of {peak}");
    }
    for with in &with {
        assert!(with.p99 <= 3 * unloaded.p99, "{with:?}, {unloaded:?}");
    }
}
