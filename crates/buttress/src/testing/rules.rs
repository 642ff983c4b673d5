//! The rules, one function each.

use super::call::{Answered, Kind};
use super::mock::Behaviour;
use super::stage::Stage;
use super::{BrokenRule, Contract, Fixture};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use tower_layer::Layer;
use tower_service::Service;

pub(super) fn check<K, F, L, S>(contract: &Contract<F>) -> Result<(), BrokenRule>
where
    K: Kind,
    F: Fn() -> Fixture<L>,
    L: Layer<K::Service, Service = S>,
    S: Service<K::Request> + Clone,
    Result<S::Response, S::Error>: Answered,
{
    let set = |behaviour| Stage::<K, S>::set((contract.fresh)(), behaviour);
    let answer = |after| set(Behaviour::Answer { after });
    if contract.refuses {
        return a_refusal_never_reaches_the_service(&answer(0));
    }
    only_a_ready_instance_is_called(&answer(1))?;
    an_error_of_readiness_is_passed_on(&answer(0))?;
    idle_clones_hoard_nothing(&answer(0), contract.limit)?;
    for polls in 0..=4 {
        for frames in 0..=4 {
            let stage = answer(3);
            // As often as the limit goes: what is lost each time is missed in the end.
            for _ in 0..contract.limit.unwrap_or(1) {
                a_call_that_is_dropped_gives_everything_back(&stage, polls, frames)?;
            }
            the_next_call_is_admitted(&stage, 4)?;
        }
    }
    for behaviour in [Behaviour::PanicInCall, Behaviour::PanicInFuture] {
        let stage = set(behaviour);
        for _ in 0..=contract.limit.unwrap_or(1) {
            a_panic_gives_everything_back(&stage)?;
        }
    }
    what_passes_through_is_unchanged(&answer(1))?;
    if let Some(limit) = contract.limit {
        clones_share_the_limit(&set(Behaviour::Hold), limit, contract.waiting)?;
        if contract.waiting {
            no_wake_up_is_lost(&set(Behaviour::Hold), limit)?;
            waiters_are_served_in_order(&set(Behaviour::Hold), limit)?;
            who_gives_up_costs_the_others_nothing(&set(Behaviour::Hold), limit)?;
        }
    }
    Ok(())
}

fn only_a_ready_instance_is_called<K, S>(stage: &Stage<K, S>) -> Result<(), BrokenRule>
where
    K: Kind,
    S: Service<K::Request> + Clone,
    Result<S::Response, S::Error>: Answered,
{
    for _ in 0..3 {
        let mut call = stage.call()?;
        Stage::<K, S>::finish(&mut call)?
            .read(None)
            .map_err(|what| BrokenRule::new(10, what))?;
    }
    match stage.script.unready_calls.load(Ordering::SeqCst) {
        0 => Ok(()),
        calls => Err(BrokenRule::new(
            1,
            format!("{calls} calls of an instance that was not ready"),
        )),
    }
}

fn an_error_of_readiness_is_passed_on<K, S>(stage: &Stage<K, S>) -> Result<(), BrokenRule>
where
    K: Kind,
    S: Service<K::Request> + Clone,
{
    if K::error().is_none() {
        return Ok(());
    }
    stage.script.fails_readiness.store(true, Ordering::SeqCst);
    let mut service = stage.service.clone();
    match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Err(_)) => Ok(()),
        _ => Err(BrokenRule::new(
            2,
            "the service's error of readiness is lost",
        )),
    }
}

fn idle_clones_hoard_nothing<K, S>(
    stage: &Stage<K, S>,
    limit: Option<usize>,
) -> Result<(), BrokenRule>
where
    K: Kind,
    S: Service<K::Request> + Clone,
    Result<S::Response, S::Error>: Answered,
{
    let mut idle = Vec::new();
    for _ in 0..limit.unwrap_or(0) + 256 {
        let mut service = stage.service.clone();
        let ready = service.poll_ready(&mut Context::from_waker(Waker::noop()));
        if !matches!(ready, Poll::Ready(Ok(()))) {
            return Err(BrokenRule::new(3, "clones that are ready use the limit up"));
        }
        idle.push(service);
    }
    stage.nothing_is_held(3, "by clones that are only ready")?;
    let answer = Stage::<K, S>::finish(&mut stage.call()?)?;
    if answer.is_refusal() {
        return Err(BrokenRule::new(
            3,
            "a call is refused for the sake of idle clones",
        ));
    }
    Ok(())
}

fn a_call_that_is_dropped_gives_everything_back<K, S>(
    stage: &Stage<K, S>,
    polls: usize,
    frames: usize,
) -> Result<(), BrokenRule>
where
    K: Kind,
    S: Service<K::Request> + Clone,
    Result<S::Response, S::Error>: Answered,
{
    let mut call = stage.call()?;
    for _ in 0..polls {
        if let Poll::Ready(answer) = call.poll() {
            answer
                .read(Some(frames))
                .map_err(|what| BrokenRule::new(10, what))?;
            break;
        }
    }
    drop(call);
    if stage.script.alive.load(Ordering::SeqCst) != 0 {
        return Err(BrokenRule::new(4, "the service's call goes on"));
    }
    stage.nothing_is_held(4, &format!("after {polls} polls and {frames} frames"))
}

fn the_next_call_is_admitted<K, S>(stage: &Stage<K, S>, rule: u8) -> Result<(), BrokenRule>
where
    K: Kind,
    S: Service<K::Request> + Clone,
    Result<S::Response, S::Error>: Answered,
{
    let answer = Stage::<K, S>::finish(&mut stage.call()?)?;
    if answer.is_refusal() {
        return Err(BrokenRule::new(
            rule,
            "calls that were dropped are still counted",
        ));
    }
    Ok(())
}

fn a_panic_gives_everything_back<K, S>(stage: &Stage<K, S>) -> Result<(), BrokenRule>
where
    K: Kind,
    S: Service<K::Request> + Clone,
    Result<S::Response, S::Error>: Answered,
{
    // The layer may call the service in `call` or when it is polled.
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut call = stage.call()?;
        Stage::<K, S>::finish(&mut call).map(drop)
    }));
    if let Ok(result) = panicked {
        result?;
        return Err(BrokenRule::new(
            5,
            "the service's panic is swallowed, or calls before it were not given back",
        ));
    }
    stage.nothing_is_held(5, "after a panic")
}

fn what_passes_through_is_unchanged<K, S>(stage: &Stage<K, S>) -> Result<(), BrokenRule>
where
    K: Kind,
    S: Service<K::Request> + Clone,
    Result<S::Response, S::Error>: Answered,
{
    let answer = Stage::<K, S>::finish(&mut stage.call()?)?;
    answer
        .read(None)
        .map_err(|what| BrokenRule::new(10, what))?;
    stage.nothing_is_held(4, "after the end of the body")
}

fn clones_share_the_limit<K, S>(
    stage: &Stage<K, S>,
    limit: usize,
    waiting: bool,
) -> Result<(), BrokenRule>
where
    K: Kind,
    S: Service<K::Request> + Clone,
    Result<S::Response, S::Error>: Answered,
{
    let held = stage.fill(limit)?;
    // A storm of clones finds no more room than one.
    for _ in 0..if waiting { 1 } else { 256 } {
        let mut call = stage.call()?;
        match call.poll() {
            Poll::Ready(answer) if answer.is_refusal() => {}
            Poll::Pending if waiting => {}
            _ => return Err(BrokenRule::new(6, "a clone has a limit of its own")),
        }
    }
    if stage.script.calls.load(Ordering::SeqCst) != limit {
        return Err(BrokenRule::new(
            9,
            "a call above the limit reaches the service",
        ));
    }
    drop(held);
    stage.nothing_is_held(4, "after all calls were dropped")?;
    stage.script.calls.store(0, Ordering::SeqCst);
    stage.fill(limit).map(drop)
}

fn a_refusal_never_reaches_the_service<K, S>(stage: &Stage<K, S>) -> Result<(), BrokenRule>
where
    K: Kind,
    S: Service<K::Request> + Clone,
    Result<S::Response, S::Error>: Answered,
{
    for _ in 0..3 {
        let answer = Stage::<K, S>::finish(&mut stage.call()?)?;
        if !answer.is_refusal() {
            return Err(BrokenRule::new(9, "a call is not refused"));
        }
    }
    match stage.script.calls.load(Ordering::SeqCst) {
        0 => stage.nothing_is_held(9, "after refusals"),
        _ => Err(BrokenRule::new(9, "a refused call reaches the service")),
    }
}

fn no_wake_up_is_lost<K, S>(stage: &Stage<K, S>, limit: usize) -> Result<(), BrokenRule>
where
    K: Kind,
    S: Service<K::Request> + Clone,
    Result<S::Response, S::Error>: Answered,
{
    let mut held = stage.fill(limit)?;
    let (mut first, mut second) = (stage.wait()?, stage.wait()?);
    // By completion.
    stage.script.let_go();
    let answer = Stage::<K, S>::finish(&mut held.remove(0))?;
    answer
        .read(None)
        .map_err(|what| BrokenRule::new(10, what))?;
    stage.is_served(&mut first, 7, "when a call is over")?;
    // By cancellation.
    drop(first);
    stage.is_served(&mut second, 7, "when a call is cancelled")?;
    drop((held, second));
    stage.nothing_is_held(4, "after all calls were dropped")
}

fn waiters_are_served_in_order<K, S>(stage: &Stage<K, S>, limit: usize) -> Result<(), BrokenRule>
where
    K: Kind,
    S: Service<K::Request> + Clone,
    Result<S::Response, S::Error>: Answered,
{
    let mut held = stage.fill(limit)?;
    let mut waiters = VecDeque::from([stage.wait()?, stage.wait()?, stage.wait()?]);
    held.truncate(limit - 1);
    while let Some(mut next) = waiters.pop_front() {
        if waiters.iter().any(|later| later.wakes() != 0) {
            return Err(BrokenRule::new(8, "a later waiter is woken first"));
        }
        stage.is_served(&mut next, 8, "in its turn")?;
        // Its slot is the next one's.
        drop(next);
    }
    Ok(())
}

fn who_gives_up_costs_the_others_nothing<K, S>(
    stage: &Stage<K, S>,
    limit: usize,
) -> Result<(), BrokenRule>
where
    K: Kind,
    S: Service<K::Request> + Clone,
    Result<S::Response, S::Error>: Answered,
{
    let mut held = stage.fill(limit)?;
    let (gives_up, granted, mut last) = (stage.wait()?, stage.wait()?, stage.wait()?);
    drop(gives_up);
    held.truncate(limit - 1);
    if granted.wakes() == 0 {
        return Err(BrokenRule::new(
            8,
            "the waiter behind one that gave up is not woken",
        ));
    }
    // It gives up with the slot in its hands.
    drop(granted);
    stage.is_served(&mut last, 8, "after the one before it gave up")?;
    drop((held, last));
    stage.nothing_is_held(4, "after all waiters were gone")
}
