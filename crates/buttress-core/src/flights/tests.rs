#![allow(clippy::panic, reason = "a test that cannot go on should say where")]

use super::*;
use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A follower that is polled only when it is woken, as a runtime does it.
struct Follower {
    follow: Follow<u32>,
    wakes: Arc<Wakes>,
    seen: usize,
    polled: bool,
}

impl Follower {
    fn new(follow: Follow<u32>) -> Self {
        Self {
            follow,
            wakes: Arc::default(),
            seen: 0,
            polled: false,
        }
    }

    fn is_due(&self) -> bool {
        !self.polled || self.wakes.0.load(Ordering::SeqCst) > self.seen
    }

    fn poll(&mut self) -> Poll<Landed<u32>> {
        self.polled = true;
        self.seen = self.wakes.0.load(Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&self.wakes));
        self.follow.poll(&mut Context::from_waker(&waker))
    }
}

fn lead(flights: &Flights<u32>, key: u8) -> Lead<u32> {
    match flights.join(&key) {
        Joined::Lead(lead) => lead,
        other => panic!("{other:?} instead of the lead"),
    }
}

fn follow(flights: &Flights<u32>, key: u8) -> Follower {
    match flights.join(&key) {
        Joined::Follow(follow) => Follower::new(follow),
        other => panic!("{other:?} instead of a follower"),
    }
}

fn parked(flights: &Flights<u32>, key: u8) -> Follower {
    let mut follower = follow(flights, key);
    assert!(follower.poll().is_pending());
    follower
}

#[test]
fn followers_get_what_the_leader_brings_and_the_place_is_free_when_all_have_it() {
    let flights = Flights::new(1).unwrap();
    let leader = lead(&flights, 1);
    let (mut parked, mut late) = (parked(&flights, 1), follow(&flights, 1));
    let leaves = follow(&flights, 1);
    let leader = leader.close().unwrap();
    assert!(matches!(flights.join(&1_u8), Joined::Full));
    leader.land(Arc::new(7));
    assert!(parked.is_due());
    assert!(matches!(parked.poll(), Poll::Ready(Landed::Brought(answer)) if *answer == 7));
    assert!(matches!(late.poll(), Poll::Ready(Landed::Brought(answer)) if *answer == 7));
    assert_eq!(flights.len(), 1);
    drop(leaves);
    assert!(flights.is_empty());
}

#[test]
fn a_leader_that_goes_away_hands_over_to_the_one_that_waited_longest() {
    let flights = Flights::new(8).unwrap();
    let leader = lead(&flights, 1);
    let (mut first, mut second) = (parked(&flights, 1), parked(&flights, 1));
    drop(leader);
    assert!(first.is_due() && !second.is_due());
    let Poll::Ready(Landed::Lead(heir)) = first.poll() else {
        panic!("the first does not lead");
    };
    // The key is still taken, and newcomers follow the new leader.
    let mut third = parked(&flights, 1);
    heir.land(Arc::new(9));
    for follower in [&mut second, &mut third] {
        assert!(follower.is_due());
        assert!(matches!(follower.poll(), Poll::Ready(Landed::Brought(answer)) if *answer == 9));
    }
    assert!(flights.is_empty());
}

#[test]
fn an_heir_that_goes_away_before_it_knows_passes_the_lead_on() {
    let flights = Flights::new(8).unwrap();
    let leader = lead(&flights, 1);
    let (heir, mut next) = (parked(&flights, 1), parked(&flights, 1));
    drop(leader);
    drop(heir);
    assert!(next.is_due());
    assert!(matches!(next.poll(), Poll::Ready(Landed::Lead(_))));
    drop(next);
    assert!(flights.is_empty());
}

#[test]
fn after_failures_one_tries_and_then_two_and_then_four() {
    let flights = Flights::new(8).unwrap();
    let mut leader = lead(&flights, 1);
    let mut followers: Vec<_> = (0..7).map(|_| parked(&flights, 1)).collect();
    for calls in [1, 2, 4] {
        leader.fail();
        let due: Vec<_> = followers
            .extract_if(.., |follower| follower.is_due())
            .collect();
        assert_eq!(due.len(), calls);
        let mut leads = due.into_iter().filter_map(|mut one| match one.poll() {
            Poll::Ready(Landed::Lead(lead)) => Some(lead),
            Poll::Ready(Landed::Alone) => None,
            other => panic!("{other:?}"),
        });
        leader = leads.next().unwrap();
        assert!(leads.next().is_none());
    }
    assert!(followers.is_empty());
    leader.fail();
    assert!(flights.is_empty());
}

#[test]
fn who_was_told_to_work_alone_takes_nobodys_answer() {
    let flights = Flights::new(8).unwrap();
    let leader = lead(&flights, 1);
    let mut heir = parked(&flights, 1);
    let (mut late, mut second) = (parked(&flights, 1), parked(&flights, 1));
    let mut next = parked(&flights, 1);
    let mut owed = [parked(&flights, 1), parked(&flights, 1)];
    leader.fail();
    let Poll::Ready(Landed::Lead(leader)) = heir.poll() else {
        panic!("the first does not lead");
    };
    leader.fail();
    // Now one works alone, and the one behind it leads.
    let Poll::Ready(Landed::Lead(leader)) = second.poll() else {
        panic!("the third does not lead");
    };
    assert!(late.is_due() && !next.is_due());
    leader.land(Arc::new(5));
    assert!(matches!(late.poll(), Poll::Ready(Landed::Alone)));
    for follower in owed.iter_mut().chain([&mut next]) {
        assert!(matches!(follower.poll(), Poll::Ready(Landed::Brought(answer)) if *answer == 5));
    }
    assert!(flights.is_empty());
}

#[test]
fn a_place_that_is_used_again_is_not_mistaken_for_the_flight_before() {
    let flights = Flights::new(1).unwrap();
    let leader = lead(&flights, 1);
    let mut released = parked(&flights, 1);
    leader.release();
    let other = lead(&flights, 2);
    let mut follows_the_other = parked(&flights, 2);
    assert!(matches!(released.poll(), Poll::Ready(Landed::Alone)));
    drop(other);
    assert!(matches!(
        follows_the_other.poll(),
        Poll::Ready(Landed::Lead(_))
    ));
}

#[test]
fn the_number_of_flights_is_bounded_and_nonsense_is_refused_by_name() {
    let flights = Flights::new(2).unwrap();
    let (one, _two) = (lead(&flights, 1), lead(&flights, 2));
    assert!(matches!(flights.join(&3_u8), Joined::Full));
    drop(one);
    assert!(matches!(flights.join(&3_u8), Joined::Lead(_)));
    assert_eq!(Flights::<u32>::new(0).unwrap_err().field(), "max_keys");
    assert!(Flights::<u32>::new(u32::MAX).is_err());
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Join(u8),
    Poll(usize),
    Leave(usize),
    Close(usize),
    Drop(usize),
    Land(usize),
    Fail(usize),
    Release(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0_usize..8;
    prop_oneof![
        6 => (0_u8..3).prop_map(Step::Join),
        4 => who.clone().prop_map(Step::Poll),
        2 => who.clone().prop_map(Step::Leave),
        1 => who.clone().prop_map(Step::Close),
        1 => who.clone().prop_map(Step::Drop),
        1 => who.clone().prop_map(Step::Land),
        2 => who.clone().prop_map(Step::Fail),
        1 => who.prop_map(Step::Release),
    ]
}

/// Everybody who calls.
struct World {
    flights: Flights<u32>,
    leaders: Vec<Lead<u32>>,
    followers: Vec<Follower>,
    /// Calls that have an answer, or have to find one on their own.
    done: usize,
}

impl World {
    fn poll(&mut self, who: usize) {
        match self.followers[who].poll() {
            Poll::Pending => return,
            Poll::Ready(Landed::Lead(lead)) => self.leaders.push(lead),
            Poll::Ready(Landed::Brought(_) | Landed::Alone) => self.done += 1,
        }
        self.followers.remove(who);
    }

    fn lead(&mut self, who: usize, act: impl FnOnce(Lead<u32>)) {
        if who < self.leaders.len() {
            act(self.leaders.remove(who));
            self.done += 1;
        }
    }

    fn act(&mut self, step: Step) {
        let who_follows = |who: usize, world: &Self| who < world.followers.len();
        match step {
            Step::Join(key) => match self.flights.join(&key) {
                Joined::Lead(lead) => self.leaders.push(lead),
                Joined::Follow(follow) => self.followers.push(Follower::new(follow)),
                Joined::Full => self.done += 1,
            },
            Step::Poll(who) if who_follows(who, self) => self.poll(who),
            Step::Leave(who) if who_follows(who, self) => drop(self.followers.remove(who)),
            Step::Close(who) => {
                if who < self.leaders.len() {
                    match self.leaders.remove(who).close() {
                        Some(lead) => self.leaders.push(lead),
                        None => self.done += 1,
                    }
                }
            }
            Step::Drop(who) => self.lead(who, drop),
            Step::Land(who) => self.lead(who, |lead| lead.land(Arc::new(0))),
            Step::Fail(who) => self.lead(who, Lead::fail),
            Step::Release(who) => self.lead(who, Lead::release),
            Step::Poll(_) | Step::Leave(_) => {}
        }
    }
}

proptest! {
    /// Whatever happens in whatever order, nobody is forgotten: polled only when it is woken, each
    /// follower has an answer, the lead, or its own call to make; and all places are free then.
    #[test]
    fn no_wake_up_is_lost(steps in prop::collection::vec(step(), 0..60)) {
        let mut world = World {
            flights: Flights::new(2).unwrap(),
            leaders: Vec::new(),
            followers: Vec::new(),
            done: 0,
        };
        for step in steps {
            world.act(step);
            prop_assert!(world.flights.len() <= 2);
        }
        while !world.followers.is_empty() || !world.leaders.is_empty() {
            if let Some(due) = world.followers.iter().position(Follower::is_due) {
                world.poll(due);
            } else {
                prop_assert!(!world.leaders.is_empty(), "everybody waits for nobody");
                let failures = world.done.is_multiple_of(2);
                world.lead(0, |lead| if failures { lead.fail() } else { drop(lead) });
            }
        }
        prop_assert!(world.flights.is_empty());
        let shard = world.flights.shared.shards[0].lock();
        prop_assert!(shard.is_swept());
    }
}
