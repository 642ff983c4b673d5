//! Every interleaving of a few calls: `RUSTFLAGS="--cfg loom" cargo test -p buttress-core --release loom`.

use super::*;
use loom::thread;
use std::future::poll_fn;

/// Follows to the end. Returns whether an answer came, and leads if it must.
fn follow_to_the_end(mut follow: Follow<u32>) -> bool {
    let landed = loom::future::block_on(poll_fn(|context| follow.poll(context)));
    match landed {
        Landed::Brought(answer) => *answer == 7,
        Landed::Lead(lead) => {
            bring(lead);
            false
        }
        Landed::Alone => false,
    }
}

fn bring(lead: Lead<u32>) {
    if let Some(lead) = lead.close() {
        lead.land(Arc::new(7));
    }
}

fn call(flights: &Flights<u32>) {
    match flights.join(&1) {
        Joined::Lead(lead) => bring(lead),
        Joined::Follow(follow) => {
            follow_to_the_end(follow);
        }
        Joined::Full => {}
    }
}

#[test]
fn loom_a_follower_is_woken_by_what_lands() {
    loom::model(|| {
        let flights: Flights<u32> = Flights::new(2).unwrap();
        let other = flights.clone();
        let thread = thread::spawn(move || call(&other));
        call(&flights);
        thread.join().unwrap();
        assert!(flights.is_empty());
    });
}

#[test]
fn loom_a_leader_that_goes_away_hands_over() {
    loom::model(|| {
        let flights: Flights<u32> = Flights::new(1).unwrap();
        let (Joined::Lead(lead), Joined::Follow(follow)) = (flights.join(&1), flights.join(&1))
        else {
            panic!("the first leads, and the second follows");
        };
        let thread = thread::spawn(move || assert!(!follow_to_the_end(follow)));
        drop(lead);
        thread.join().unwrap();
        assert!(flights.is_empty());
    });
}

#[test]
fn loom_an_heir_that_goes_away_hands_over() {
    loom::model(|| {
        let flights: Flights<u32> = Flights::new(1).unwrap();
        let Joined::Lead(lead) = flights.join(&1) else {
            panic!("the first leads");
        };
        let (Joined::Follow(leaves), Joined::Follow(stays)) = (flights.join(&1), flights.join(&1))
        else {
            panic!("the others follow");
        };
        let thread = thread::spawn(move || assert!(!follow_to_the_end(stays)));
        let leaving = thread::spawn(move || drop(leaves));
        drop(lead);
        leaving.join().unwrap();
        thread.join().unwrap();
        assert!(flights.is_empty());
    });
}

#[test]
fn loom_a_failure_leaves_nobody_waiting() {
    loom::model(|| {
        let flights: Flights<u32> = Flights::new(1).unwrap();
        let Joined::Lead(lead) = flights.join(&1) else {
            panic!("the first leads");
        };
        let Joined::Follow(follow) = flights.join(&1) else {
            panic!("the second follows");
        };
        let other = flights.clone();
        let thread = thread::spawn(move || assert!(!follow_to_the_end(follow)));
        let newcomer = thread::spawn(move || call(&other));
        lead.fail();
        thread.join().unwrap();
        newcomer.join().unwrap();
        assert!(flights.is_empty());
    });
}
