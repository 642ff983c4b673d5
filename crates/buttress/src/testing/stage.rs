//! A fresh layer around the service with a script, and what is done with the two.

use super::call::{Answered, Call, Kind};
use super::mock::{Behaviour, Script};
use super::{BrokenRule, Fixture};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use tower_layer::Layer;
use tower_service::Service;

/// A fresh layer around a service with a script.
pub(super) struct Stage<K, S> {
    pub(super) service: S,
    pub(super) script: Arc<Script>,
    in_use: Box<dyn Fn() -> usize>,
    kind: PhantomData<K>,
}

impl<K, S> Stage<K, S>
where
    K: Kind,
    S: Service<K::Request> + Clone,
    Result<S::Response, S::Error>: Answered,
{
    pub(super) fn set<L>(fixture: Fixture<L>, behaviour: Behaviour) -> Self
    where
        L: Layer<K::Service, Service = S>,
    {
        let script = Script::new(behaviour);
        Self {
            service: fixture.layer.layer(K::service(&script)),
            script,
            in_use: fixture.in_use.unwrap_or_else(|| Box::new(|| 0)),
            kind: PhantomData,
        }
    }

    /// Makes a clone ready and calls it.
    pub(super) fn call(&self) -> Result<Call<S::Future>, BrokenRule> {
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
    pub(super) fn finish(
        call: &mut Call<S::Future>,
    ) -> Result<Result<S::Response, S::Error>, BrokenRule> {
        for _ in 0..16 {
            if let Poll::Ready(answer) = call.poll() {
                return Ok(answer);
            }
        }
        Err(BrokenRule::new(7, "the call is never over"))
    }

    /// Calls until the layer is full, and polls each once.
    pub(super) fn fill(&self, limit: usize) -> Result<Vec<Call<S::Future>>, BrokenRule> {
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
    pub(super) fn wait(&self) -> Result<Call<S::Future>, BrokenRule> {
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
    pub(super) fn is_served(
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

    pub(super) fn nothing_is_held(&self, rule: u8, when: &str) -> Result<(), BrokenRule> {
        match (self.in_use)() {
            0 => Ok(()),
            held => Err(BrokenRule::new(rule, format!("{held} still held {when}"))),
        }
    }
}
