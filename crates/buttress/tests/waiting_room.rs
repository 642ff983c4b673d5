//! What the disciplines of a waiting room do under load, on virtual time.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod load;

use buttress::{
    Bulkhead, Carried, Criticality, Deadline, Discipline, Plain, Reason, Rejection, SettingError,
};
use http::{Request, Response};
use load::{CAPACITY, Random, Tally, offer, service};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

/// Five seconds of three times the capacity, at a room in which there is a second's work.
async fn overloaded(discipline: Discipline) -> Tally {
    let slots = Bulkhead::builder(20)
        .waiting_room(2_000, SECOND)
        .discipline(discipline)
        .build()
        .unwrap();
    let service = slots.protocol(Plain::new()).layer(service());
    let mut random = Random(1);
    let tallies = offer(&service, 3.0 * CAPACITY, 5 * SECOND, &mut random, |_| {
        ((), ())
    })
    .await;
    tallies[&()].clone()
}

/// All slots are used all the time, whatever the discipline: what differs is who is answered, and
/// how long those waited.
fn nothing_is_wasted(tally: &Tally) {
    let answered = tally.answered.len() as f64;
    assert!(answered > 0.95 * 5.0 * CAPACITY, "{answered}");
}

#[tokio::test(start_paused = true)]
async fn first_come_first_served_makes_everybody_wait_as_long_as_anybody_can() {
    let tally = overloaded(Discipline::Fifo).await;
    nothing_is_wasted(&tally);
    assert!(tally.quantile(0.5) > Duration::from_millis(900));
}

#[tokio::test(start_paused = true)]
async fn adaptive_lifo_answers_most_of_those_that_it_answers_at_once() {
    let tally = overloaded(Discipline::adaptive_lifo()).await;
    nothing_is_wasted(&tally);
    assert!(
        tally.quantile(0.5) < Duration::from_millis(30),
        "{:?}",
        tally.quantile(0.5)
    );
}

#[tokio::test(start_paused = true)]
async fn a_controlled_delay_lets_nobody_wait_long() {
    let tally = overloaded(Discipline::codel()).await;
    nothing_is_wasted(&tally);
    assert!(
        tally.quantile(0.9) < Duration::from_millis(30),
        "{:?}",
        tally.quantile(0.9)
    );
}

#[tokio::test(start_paused = true)]
async fn critical_calls_succeed_at_three_times_the_capacity() {
    let slots = Bulkhead::builder(20)
        .waiting_room(40, SECOND)
        .discipline(Discipline::Priority)
        .looking(|call: &Criticality| *call)
        .build()
        .unwrap();
    let service = slots.protocol(Plain::new()).layer(service());
    let mixed = |draw| {
        let criticality = match draw {
            ..0.5 => Criticality::Sheddable,
            ..0.9 => Criticality::SheddablePlus,
            _ => Criticality::Critical,
        };
        (criticality, criticality)
    };
    let tallies = offer(&service, 3.0 * CAPACITY, 5 * SECOND, &mut Random(1), mixed).await;
    let critical = &tallies[&Criticality::Critical];
    assert!(critical.part() > 0.999, "{}", critical.part());
    assert!(critical.quantile(0.99) < Duration::from_millis(30));
    assert!(tallies[&Criticality::Sheddable].part() < 0.05);
}

/// One call at a time, and what runs is counted.
fn counting(
    runs: &Arc<AtomicUsize>,
) -> impl Service<Request<()>, Response = Response<String>, Error = BoxError> + Clone {
    let runs = Arc::clone(runs);
    let slots = Bulkhead::builder(1)
        .waiting_room(8, SECOND)
        .looking(Carried);
    let slots = slots.build().unwrap();
    slots
        .protocol(Plain::new())
        .layer(service_fn(move |_: Request<()>| {
            runs.fetch_add(1, Ordering::SeqCst);
            async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok::<_, BoxError>(Response::new(String::new()))
            }
        }))
}

fn request(patience: Duration) -> Request<()> {
    let mut request = Request::new(());
    Deadline::after(patience).put(request.extensions_mut());
    request
}

fn reason<T>(answer: Result<T, BoxError>) -> Option<Reason> {
    let error = answer.err()?;
    Rejection::find(&*error).map(Rejection::reason)
}

#[tokio::test(start_paused = true)]
async fn work_whose_deadline_has_passed_is_not_run() {
    let runs = Arc::default();
    let service = counting(&runs);
    let first = service.clone().oneshot(request(SECOND));
    let gone = service.clone().oneshot(request(Duration::from_millis(50)));
    // Its deadline passes at the very moment at which its turn comes.
    let too_late = service.clone().oneshot(request(Duration::from_millis(100)));
    let last = service.oneshot(request(SECOND));
    let (first, gone, too_late, last) = tokio::join!(first, gone, too_late, last);
    assert!(first.is_ok() && last.is_ok());
    assert_eq!(reason(gone), Some(Reason::DeadlinePassed));
    assert_eq!(reason(too_late), Some(Reason::DeadlinePassed));
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn work_whose_caller_has_gone_is_not_run() {
    let runs = Arc::default();
    let service = counting(&runs);
    let first = service.clone().oneshot(request(SECOND));
    let second = service.clone().oneshot(request(SECOND));
    let impatient = tokio::time::timeout(Duration::from_millis(20), second);
    let last = service.oneshot(request(SECOND));
    let (first, impatient, last) = tokio::join!(first, impatient, last);
    assert!(first.is_ok() && impatient.is_err() && last.is_ok());
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

#[test]
fn nonsense_is_refused_by_name() {
    let field = |error: Option<SettingError>| error.map(|error| error.field());
    let room = || Bulkhead::builder(1).waiting_room(1, SECOND);
    let zero = Duration::ZERO;
    let lifo = Discipline::AdaptiveLifo { after: zero };
    assert_eq!(
        field(room().discipline(lifo).build().err()),
        Some("discipline.after")
    );
    let codel = Discipline::CoDel {
        target: SECOND,
        interval: zero,
    };
    assert_eq!(
        field(room().discipline(codel).build().err()),
        Some("discipline.interval")
    );
    let no_room = Bulkhead::builder(1).discipline(Discipline::Priority);
    assert_eq!(field(no_room.build().err()), Some("discipline"));
}
