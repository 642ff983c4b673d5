//! The rules, one function each.

use super::call::{Answered, Call, Kind};
use super::mock::{Behaviour, Script};
use super::{BrokenRule, Contract, Fixture};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
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
            a_call_that_is_dropped_gives_everything_back(&answer(3), polls, frames)?;
        }
    }
    for behaviour in [Behaviour::PanicInCall, Behaviour::PanicInFuture] {
        a_panic_gives_everything_back(&set(behaviour))?;
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

/// A fresh layer around a service with a script.
struct Stage<K, S> {
    service: S,
    script: Arc<Script>,
    in_use: Box<dyn Fn() -> usize>,
    kind: std::marker::PhantomData<K>,
}

impl<K, S> Stage<K, S>
where
    K: Kind,
    S: Service<K::Request> + Clone,
    Result<S::Response, S::Error>: Answered,
{
    fn set<L>(fixture: Fixture<L>, behaviour: Behaviour) -> Self
    where
        L: Layer<K::Service, Service = S>,
    {
        let script = Script::new(behaviour);
        Self {
            service: fixture.layer.layer(K::service(&script)),
            script,
            in_use: fixture.in_use.unwrap_or_else(|| Box::new(|| 0)),
            kind: std::marker::PhantomData,
        }
    }

    /// Makes a clone ready and calls it.
    fn call(&self) -> Result<Call<S::Future>, BrokenRule> {
        let mut service = self.service.clone();
        match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Ok(Call::new(service.call(K::request()))),
            Poll::Ready(Err(_)) => Err(BrokenRule::new(2, "a ready service's layer is not")),
            Poll::Pending => Err(BrokenRule::new(
                3,
                "readiness waits for admission, which is for `call` to decide",
            )),
        }
    }

    /// Polls a call until it is over; it may be pending only as often as the service is.
    fn finish(call: &mut Call<S::Future>) -> Result<Result<S::Response, S::Error>, BrokenRule> {
        for _ in 0..16 {
            if let Poll::Ready(answer) = call.poll() {
                return Ok(answer);
            }
        }
        Err(BrokenRule::new(7, "the call is never over"))
    }

    /// Calls until the layer is full, and polls each once.
    fn fill(&self, limit: usize) -> Result<Vec<Call<S::Future>>, BrokenRule> {
        let mut calls = Vec::new();
        for number in 0..limit {
            let mut call = self.call()?;
            if call.poll().is_ready() {
                let what = format!("call {} of {limit} is refused", number + 1);
                return Err(BrokenRule::new(6, what));
            }
            calls.push(call);
        }
        match self.script.calls.load(Ordering::SeqCst) {
            calls_made if calls_made == limit => Ok(calls),
            calls_made => {
                let what = format!("{calls_made} of {limit} calls reach the service");
                Err(BrokenRule::new(6, what))
            }
        }
    }

    /// One more call, which must wait.
    fn wait(&self) -> Result<Call<S::Future>, BrokenRule> {
        let before = self.script.calls.load(Ordering::SeqCst);
        let mut call = self.call()?;
        // Polling it more often than it is woken must do no harm.
        let answered = call.poll().is_ready() || call.poll().is_ready();
        if answered || self.script.calls.load(Ordering::SeqCst) != before {
            return Err(BrokenRule::new(8, "a call above the limit does not wait"));
        }
        if call.wakes() != 0 {
            return Err(BrokenRule::new(7, "a waiting call wakes itself"));
        }
        Ok(call)
    }

    /// The call's turn has come: it was woken, and reaches the service.
    fn is_served(
        &self,
        call: &mut Call<S::Future>,
        rule: u8,
        when: &str,
    ) -> Result<(), BrokenRule> {
        let before = self.script.calls.load(Ordering::SeqCst);
        if call.wakes() == 0 {
            return Err(BrokenRule::new(
                rule,
                format!("the waiter is not woken {when}"),
            ));
        }
        let _ = call.poll();
        if self.script.calls.load(Ordering::SeqCst) != before + 1 {
            return Err(BrokenRule::new(
                rule,
                format!("the waiter is not served {when}"),
            ));
        }
        Ok(())
    }

    fn nothing_is_held(&self, rule: u8, when: &str) -> Result<(), BrokenRule> {
        match (self.in_use)() {
            0 => Ok(()),
            held => Err(BrokenRule::new(rule, format!("{held} still held {when}"))),
        }
    }
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
        return Err(BrokenRule::new(5, "the service's panic is swallowed"));
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
