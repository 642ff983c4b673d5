//! Leaders, followers and failures, around plain services.

use super::{Calls, MILLISECOND, SECOND, spawn};
use buttress::{Coalesce, MissingKey, Plain, by_fn};
use futures_util::future::join_all;
use tokio::task::yield_now;
use tokio::time::sleep;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

fn key() -> impl Fn(&u64) -> Result<u64, MissingKey> + Clone {
    |call: &u64| {
        if *call == 0 {
            Err(MissingKey::NotSent)
        } else {
            Ok(*call)
        }
    }
}

#[tokio::test(start_paused = true)]
async fn calls_with_the_same_key_share_one_and_others_do_not() {
    let calls = Calls::default();
    let counted = calls.clone();
    let callee = service_fn(move |number: u64| {
        let calls = counted.clone();
        async move {
            calls.one_more();
            sleep(SECOND).await;
            Ok::<_, BoxError>(number * 2)
        }
    });
    let coalesce = Coalesce::by(by_fn(key())).build().unwrap();
    let service = coalesce.protocol(Plain::new()).layer(callee);
    let same: Vec<_> = (0..100).map(|_| spawn(&service, 7)).collect();
    let other = spawn(&service, 8);
    let keyless = [spawn(&service, 0), spawn(&service, 0)];
    for answer in join_all(same).await {
        assert_eq!(answer.unwrap().unwrap(), 14);
    }
    assert_eq!(other.await.unwrap().unwrap(), 16);
    assert!(join_all(keyless).await.iter().all(Result::is_ok));
    assert_eq!(calls.made(), 1 + 1 + 2);
    // Not a cache: the next call is made.
    assert_eq!(service.clone().oneshot(7).await.unwrap(), 14);
    assert_eq!((calls.made(), coalesce.in_flight()), (5, 0));
}

/// A callee whose `n`-th call does what `n` says.
fn scripted<F, Fut>(
    calls: &Calls,
    script: F,
) -> impl Service<u64, Response = usize, Error = BoxError, Future: Send> + Clone + Send + Sync + 'static
where
    F: Fn(usize) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<usize, BoxError>> + Send + 'static,
{
    let calls = calls.clone();
    service_fn(move |_: u64| script(calls.one_more()))
}

async fn answer_in_a_second(number: usize) -> Result<usize, BoxError> {
    sleep(SECOND).await;
    Ok(number)
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cancelled_hands_over_and_the_followers_never_know() {
    let calls = Calls::default();
    let coalesce = Coalesce::by(by_fn(key())).build().unwrap();
    let callee = scripted(&calls, answer_in_a_second);
    let service = coalesce.protocol(Plain::new()).layer(callee);
    let leader = spawn(&service, 1);
    yield_now().await;
    let followers: Vec<_> = (0..10).map(|_| spawn(&service, 1)).collect();
    sleep(MILLISECOND).await;
    leader.abort();
    for answer in join_all(followers).await {
        // The second call's, to all.
        assert_eq!(answer.unwrap().unwrap(), 2);
    }
    assert_eq!((calls.made(), coalesce.in_flight()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn leaders_can_go_away_one_after_the_other() {
    let calls = Calls::default();
    let coalesce = Coalesce::by(by_fn(key())).build().unwrap();
    let callee = scripted(&calls, answer_in_a_second);
    let service = coalesce.protocol(Plain::new()).layer(callee);
    let mut all: Vec<_> = (0..10).map(|_| spawn(&service, 1)).collect();
    let last = all.pop().unwrap();
    for leader in all {
        sleep(MILLISECOND).await;
        leader.abort();
    }
    assert_eq!(last.await.unwrap().unwrap(), 10);
    assert_eq!((calls.made(), coalesce.in_flight()), (10, 0));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_panics_hands_over() {
    for in_call in [true, false] {
        let calls = Calls::default();
        let coalesce = Coalesce::by(by_fn(key())).build().unwrap();
        let callee = scripted(&calls, move |number| {
            assert!(
                !in_call || number > 1,
                "the first call panics, as it is told to"
            );
            async move {
                sleep(SECOND).await;
                assert!(number > 1, "the first call panics, as it is told to");
                Ok(number)
            }
        });
        let service = coalesce.protocol(Plain::new()).layer(callee);
        let all: Vec<_> = (0..4).map(|_| spawn(&service, 1)).collect();
        let answers = join_all(all).await;
        let panicked = answers.iter().filter(|answer| answer.is_err()).count();
        assert_eq!(panicked, 1, "in `call`: {in_call}");
        assert!(answers.into_iter().flatten().all(|answer| answer.is_ok()));
        assert_eq!(coalesce.in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_the_leaders_own_and_the_next_one_tries() {
    let calls = Calls::default();
    let coalesce = Coalesce::by(by_fn(key())).build().unwrap();
    let callee = scripted(&calls, |number| async move {
        sleep(SECOND).await;
        if number == 1 {
            Err("down".into())
        } else {
            Ok(number)
        }
    });
    let service = coalesce.protocol(Plain::new()).layer(callee);
    let all: Vec<_> = (0..10).map(|_| spawn(&service, 1)).collect();
    let answers = join_all(all).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 1);
    assert!(answers.iter().flatten().all(|answer| *answer == 2));
    assert_eq!(calls.made(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_callee_that_is_down_is_asked_by_twice_as_many_each_time_and_never_by_all_at_once() {
    let calls = Calls::default();
    let coalesce = Coalesce::by(by_fn(key())).build().unwrap();
    let callee = scripted(&calls, |_| async {
        sleep(SECOND).await;
        Err("down".into())
    });
    let service = coalesce.protocol(Plain::new()).layer(callee);
    let all: Vec<_> = (0..64).map(|_| spawn(&service, 1)).collect();
    let mut made = Vec::new();
    sleep(MILLISECOND).await;
    while calls.made() < 64 {
        made.push(calls.made());
        sleep(SECOND).await;
    }
    assert_eq!(made, [1, 2, 4, 8, 16, 32]);
    let answers = join_all(all).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap().is_err()));
    assert_eq!(coalesce.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_keys_under_way_are_bounded_and_what_finds_no_room_is_made_by_itself() {
    let calls = Calls::default();
    let coalesce = Coalesce::by(by_fn(key())).max_keys(1).build().unwrap();
    let callee = scripted(&calls, answer_in_a_second);
    let service = coalesce.protocol(Plain::new()).layer(callee);
    let all: Vec<_> = [1, 2, 2, 1].map(|call| spawn(&service, call)).into();
    sleep(MILLISECOND).await;
    assert_eq!(coalesce.in_flight(), 1);
    assert!(
        join_all(all)
            .await
            .into_iter()
            .all(|answer| answer.unwrap().is_ok())
    );
    assert_eq!(calls.made(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_follower_calls_the_very_instance_that_was_ready() {
    let calls = Calls::default();
    // tower's limit reserves its slot when it is ready, and panics if it is called unready.
    let callee = tower::limit::ConcurrencyLimit::new(scripted(&calls, answer_in_a_second), 2);
    let coalesce = Coalesce::by(by_fn(key())).build().unwrap();
    let service = coalesce.protocol(Plain::new()).layer(callee);
    let leader = spawn(&service, 1);
    yield_now().await;
    let follower = spawn(&service, 1);
    sleep(MILLISECOND).await;
    leader.abort();
    assert_eq!(follower.await.unwrap().unwrap(), 2);
}
