use crate::load::CAPACITY;
use crate::system::{Call, Client, SECOND, Went, offer, with, without};
use std::time::Duration;

/// When the trigger comes, when it is over, and until when it is watched.
const COMES: Duration = Duration::from_secs(2);
const OVER: Duration = Duration::from_secs(7);
const END: Duration = Duration::from_secs(15);

/// Seven tenths of the capacity, and for five seconds three times all of it, by clients that try
/// three times more, at once.
async fn triggered(client: &Client) -> Vec<Call> {
    let rate = |at| {
        if (COMES..OVER).contains(&at) {
            3.0 * CAPACITY
        } else {
            0.7 * CAPACITY
        }
    };
    offer(client, END, 3, rate).await
}

#[tokio::test(start_paused = true)]
async fn a_trigger_is_forgotten_within_a_second_although_clients_try_again_at_once() {
    let calls = triggered(&with()).await;
    let before = Went::between(&calls, SECOND, COMES);
    let during = Went::between(&calls, COMES + SECOND, OVER);
    let after = Went::between(&calls, OVER + SECOND, END);
    println!("{before:?}, {during:?}, {after:?}");
    assert_eq!(before.answered, before.offered);
    assert!(during.part() > 0.9 / 3.0, "the service is used: {during:?}");
    assert_eq!(after.answered, after.offered);
    assert!(after.p99 <= 2 * before.p99, "{before:?}, then {after:?}");
}

/// What the layers are for: the same service is down for good. All that it works on nobody waits for
/// any more, and all that is not answered comes again.
#[tokio::test(start_paused = true)]
async fn without_the_layers_it_is_never_forgotten() {
    let calls = triggered(&without()).await;
    let before = Went::between(&calls, SECOND, COMES);
    let after = Went::between(&calls, OVER + SECOND, END);
    assert_eq!(before.answered, before.offered);
    assert!(after.part() < 0.01, "{after:?}");
}
