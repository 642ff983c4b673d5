//! The harness finds what is wrong: each layer here breaks one rule.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress::testing::{BrokenRule, Contract, Fixture, PlainService, ServiceError};
use buttress::{
    Admission, Bulkhead, Never, Now, Outcome, Permit, Plain, Policy, Reason, Rejection, guard,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tower::layer::layer_fn;
use tower::{Layer, Service};

fn rule(result: Result<(), BrokenRule>) -> u8 {
    result.unwrap_err().rule
}

/// tower's concurrency limit reserves in `poll_ready`: idle clones use it up.
#[test]
fn rule_3_hoarding_in_readiness_is_found() {
    let contract = Contract::new(|| {
        let layer = tower::limit::GlobalConcurrencyLimitLayer::new(2);
        Fixture::new(layer)
    });
    assert_eq!(rule(contract.limit(2).check_plain()), 3);
}

/// Calls a clone of what was ready.
#[derive(Clone)]
struct CallsTheClone<S>(S);

impl<S> Service<u32> for CallsTheClone<S>
where
    S: Service<u32, Response = u32, Error = ServiceError> + Clone,
{
    type Response = u32;
    type Error = ServiceError;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ServiceError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: u32) -> S::Future {
        self.0.clone().call(request)
    }
}

#[test]
fn rule_1_calling_an_unready_clone_is_found() {
    let contract = Contract::new(|| Fixture::new(layer_fn(CallsTheClone::<PlainService>)));
    assert_eq!(rule(contract.check_plain()), 1);
}

/// Swallows errors of readiness.
#[derive(Clone)]
struct AlwaysReady<S>(S);

impl<S> Service<u32> for AlwaysReady<S>
where
    S: Service<u32, Response = u32, Error = ServiceError>,
{
    type Response = u32;
    type Error = ServiceError;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ServiceError>> {
        self.0.poll_ready(context).map(|_| Ok(()))
    }

    fn call(&mut self, request: u32) -> S::Future {
        self.0.call(request)
    }
}

#[test]
fn rule_2_a_lost_error_of_readiness_is_found() {
    let contract = Contract::new(|| Fixture::new(layer_fn(AlwaysReady::<PlainService>)));
    assert_eq!(rule(contract.check_plain()), 2);
}

/// Counts, and forgets to give back what is cancelled.
#[derive(Clone, Default)]
struct Leaks(Arc<AtomicUsize>);

struct Leak(Arc<AtomicUsize>);

impl Permit for Leak {
    fn complete(self, outcome: Outcome, _: &Now) {
        if outcome != Outcome::Cancelled {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl<C: ?Sized> Policy<C> for Leaks {
    type Permit = Leak;
    type Waiting = Never;

    fn admit(&self, _: &C, _: &Now) -> Admission<Leak, Never> {
        if self.0.fetch_add(1, Ordering::SeqCst) >= 2 {
            self.0.fetch_sub(1, Ordering::SeqCst);
            return Admission::Refused(Rejection::new(Reason::Overloaded, "leaks"));
        }
        Admission::Admitted(Leak(Arc::clone(&self.0)))
    }

    fn poll_admit(
        &self,
        waiting: &mut Never,
        _: &C,
        _: &Now,
        _: &mut Context<'_>,
    ) -> Poll<Result<Leak, Rejection>> {
        match *waiting {}
    }
}

#[test]
fn rule_4_a_permit_that_is_lost_with_a_cancelled_call_is_found() {
    let contract = Contract::new(|| {
        let leaks = Leaks::default();
        let count = Arc::clone(&leaks.0);
        let layer = guard(leaks).protocol(Plain::new());
        Fixture::new(layer).in_use(move || count.load(Ordering::SeqCst))
    });
    assert_eq!(rule(contract.limit(2).check_plain()), 4);
}

/// The same where nobody can see what is held: it is missed when the limit is used up.
#[test]
fn rule_4_a_lost_permit_is_missed_also_where_it_cannot_be_seen() {
    let contract = Contract::new(|| {
        let layer = guard(Leaks::default()).protocol(Plain::new());
        Fixture::new(layer)
    });
    assert_eq!(rule(contract.limit(2).check_plain()), 4);
}

/// A limit for each service instead of one for all.
#[test]
fn rule_6_a_limit_of_each_clone_is_found() {
    #[derive(Clone)]
    struct Own;
    impl<S> Layer<S> for Own {
        type Service = Each<S>;
        fn layer(&self, inner: S) -> Each<S> {
            Each {
                inner,
                guarded: None,
            }
        }
    }
    struct Each<S> {
        inner: S,
        guarded: Option<buttress::Guard<S, Bulkhead, Plain>>,
    }
    impl<S: Clone> Clone for Each<S> {
        fn clone(&self) -> Self {
            Own.layer(self.inner.clone())
        }
    }
    impl<S> Service<u32> for Each<S>
    where
        S: Service<u32, Response = u32, Error = ServiceError> + Clone,
    {
        type Response = u32;
        type Error = ServiceError;
        type Future = <buttress::Guard<S, Bulkhead, Plain> as Service<u32>>::Future;

        fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ServiceError>> {
            let layer = Bulkhead::new(1).unwrap().protocol(Plain::new());
            let guarded = self.guarded.insert(layer.layer(self.inner.clone()));
            Service::<u32>::poll_ready(guarded, context)
        }

        fn call(&mut self, request: u32) -> Self::Future {
            self.guarded.as_mut().unwrap().call(request)
        }
    }
    let contract = Contract::new(|| Fixture::new(Own));
    assert_eq!(rule(contract.limit(1).check_plain()), 6);
}

/// Waits without arranging to be woken.
#[test]
fn rules_7_and_8_a_waiter_that_nobody_wakes_is_found() {
    #[derive(Clone)]
    struct Deaf(Bulkhead);
    impl<C: ?Sized> Policy<C> for Deaf {
        type Permit = <Bulkhead as Policy<C>>::Permit;
        type Waiting = ();

        fn admit(&self, call: &C, now: &Now) -> Admission<Self::Permit, ()> {
            match self.0.admit(call, now) {
                Admission::Admitted(permit) => Admission::Admitted(permit),
                _ => Admission::Wait(()),
            }
        }

        fn poll_admit(
            &self,
            (): &mut (),
            call: &C,
            now: &Now,
            _: &mut Context<'_>,
        ) -> Poll<Result<Self::Permit, Rejection>> {
            match self.0.admit(call, now) {
                Admission::Admitted(permit) => Poll::Ready(Ok(permit)),
                _ => Poll::Pending,
            }
        }
    }
    let contract = Contract::new(|| {
        let slots = Bulkhead::new(2).unwrap();
        Fixture::new(guard(Deaf(slots)).protocol(Plain::new()))
    });
    assert_eq!(rule(contract.limit(2).waiting().check_plain()), 7);
}

/// Answers with something else.
#[test]
fn rule_10_an_answer_that_is_changed_is_found() {
    let layer = || tower::util::MapResponseLayer::new(|answer: u32| answer + 1);
    let contract = Contract::new(|| Fixture::new(layer()));
    assert_eq!(rule(contract.check_plain()), 10);
}

#[test]
fn rule_9_a_layer_that_should_refuse_and_does_not_is_found() {
    let contract = Contract::new(|| Fixture::new(Bulkhead::new(9).unwrap().protocol(Plain::new())));
    assert_eq!(rule(contract.refusing().check_plain()), 9);
}
