//! The scripts on the server count as `Count` does, whatever the clock does.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress_redis::{Action, Answer, Count, Rule};
use common::Server;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::time::Duration;

const EVEN: &str = include_str!("../src/redis/even.lua");
const WINDOW: &str = include_str!("../src/redis/window.lua");
const CLOCK: &str = "redis.call('TIME')";

/// A script whose clock is its last argument.
fn on_virtual_time(script: &str) -> redis::Script {
    assert_eq!(script.matches(CLOCK).count(), 1);
    let clock = "{math.floor(ARGV[#ARGV] / 1000000), ARGV[#ARGV] % 1000000}";
    redis::Script::new(&script.replace(CLOCK, clock))
}

struct Scripts {
    connection: redis::Connection,
    even: redis::Script,
    window: redis::Script,
}

impl Scripts {
    fn on(server: &Server) -> Self {
        let client = redis::Client::open(server.url()).unwrap();
        Self {
            connection: client.get_connection().unwrap(),
            even: on_virtual_time(EVEN),
            window: on_virtual_time(WINDOW),
        }
    }

    fn apply(&mut self, rule: &Rule, action: Action, now: u64) -> Answer {
        let (script, first, second) = match *rule {
            Rule::Even { interval, burst } => (&self.even, interval.as_nanos() as u64, burst),
            Rule::Window { length, limit } => (&self.window, length.as_micros() as u64, limit),
        };
        let (letter, least, most, patience) = match action {
            Action::Take {
                least,
                most,
                patience,
            } => ("t", least, most, patience.as_nanos() as u64),
            Action::GiveBack(n) => ("g", n, n, 0),
            Action::Charge(n) => ("c", n, n, 0),
        };
        let mut call = script.key("k");
        call.arg(first).arg(second).arg(letter).arg(least);
        call.arg(most).arg(patience).arg(now);
        let (taken, wait, left, whole): (u32, u64, u32, u64) =
            call.invoke(&mut self.connection).unwrap();
        Answer {
            taken,
            wait: Duration::from_micros(wait),
            left,
            whole: Duration::from_micros(whole),
        }
    }

    fn command(&mut self, words: &[&str]) {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.exec(&mut self.connection).unwrap();
    }
}

fn rules() -> impl Strategy<Value = Rule> {
    prop_oneof![
        (1_u64..50_000_000, 1_u32..50).prop_map(|(interval, burst)| Rule::Even {
            interval: Duration::from_nanos(interval),
            burst,
        }),
        (1_u64..2_000, 1_u32..50).prop_map(|(length, limit)| Rule::Window {
            length: Duration::from_millis(length),
            limit,
        }),
    ]
}

fn actions() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (1_u32..20, 0_u32..20, 0_u64..5).prop_map(|(least, more, patience)| Action::Take {
            least,
            most: least + more,
            patience: Duration::from_millis(patience),
        }),
        1 => (0_u32..20).prop_map(Action::GiveBack),
        1 => (0_u32..40).prop_map(Action::Charge),
    ]
}

/// Microseconds, mostly onwards, at times far off in either direction.
fn steps() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => 0_i64..100_000,
        1 => -50_000_i64..0,
        1 => prop_oneof![Just(-3_600_000_000_i64), Just(3_600_000_000)],
    ]
}

#[tokio::test]
async fn the_scripts_count_as_the_engine_in_memory_does() {
    let Some(server) = Server::start().await else {
        return;
    };
    let mut scripts = Scripts::on(&server);
    let plan = (rules(), prop::collection::vec((steps(), actions()), 1..60));
    let mut runner = TestRunner::new(Config {
        cases: 300,
        failure_persistence: None,
        ..Config::default()
    });
    let scripts = std::cell::RefCell::new(&mut scripts);
    let checked = runner.run(&plan, |(rule, plan)| {
        let mut scripts = scripts.borrow_mut();
        scripts.command(&["FLUSHDB"]);
        let (mut count, mut now) = (Count::default(), 1_700_000_000_000_000_i64);
        for (step, action) in plan {
            now += step;
            // What is over may expire meanwhile, or not: it makes no difference.
            let now = now as u64;
            // What never fits is refused before anybody is asked.
            if matches!(action, Action::Take { least, .. } if least > rule.limit()) {
                continue;
            }
            let here = count.apply(&rule, action, now);
            prop_assert_eq!(
                scripts.apply(&rule, action, now),
                here,
                "{:?} at {}",
                action,
                now
            );
        }
        Ok(())
    });
    checked.unwrap();
}

#[tokio::test]
async fn what_is_not_ours_under_a_key_is_replaced() {
    let Some(server) = Server::start().await else {
        return;
    };
    let mut scripts = Scripts::on(&server);
    let even = Rule::Even {
        interval: Duration::from_secs(1),
        burst: 1,
    };
    let window = Rule::Window {
        length: Duration::from_secs(60),
        limit: 1,
    };
    let take = Action::Take {
        least: 1,
        most: 1,
        patience: Duration::ZERO,
    };
    for rule in [even, window] {
        for foreign in [
            &["RPUSH", "k", "a list"][..],
            &["HSET", "k", "a", "hash"],
            &["SET", "k", "a text"],
            &["SET", "k", "1 2 3 4 5"],
            &["SET", "k", "-1 nan"],
            &["SET", "k", ""],
        ] {
            scripts.command(&["DEL", "k"]);
            scripts.command(foreign);
            for taken in [1, 0] {
                let answer = scripts.apply(&rule, take, 1_700_000_000_000_000);
                assert_eq!(answer.taken, taken, "{foreign:?}");
            }
        }
    }
}

/// A jump of the clock costs one burst at most, in whichever direction.
#[test]
fn a_clock_that_jumps_neither_opens_the_limit_nor_shuts_it() {
    let second = 1_000_000_u64;
    let hour = 3_600 * second;
    let even = Rule::Even {
        interval: Duration::from_millis(100),
        burst: 10,
    };
    let window = Rule::Window {
        length: Duration::from_secs(1),
        limit: 10,
    };
    let one = Action::Take {
        least: 1,
        most: 1,
        patience: Duration::ZERO,
    };
    // A minute, a hundred calls a second.
    let admitted = |rule: &Rule, jumps: &[(u64, i64)]| {
        let (mut count, mut now) = (Count::default(), 100 * hour);
        let mut admitted = 0_u32;
        for tick in 0..6_000 {
            let jump = jumps.iter().find(|(at, _)| *at == tick);
            now += second / 100;
            now = now.saturating_add_signed(jump.map_or(0, |(_, jump)| *jump));
            admitted += count.apply(rule, one, now).taken;
        }
        admitted
    };
    let hour = hour.cast_signed();
    for rule in [even, window] {
        let calm = admitted(&rule, &[]);
        let jumpy = admitted(&rule, &[(1_500, -hour), (3_000, 2 * hour), (4_500, -hour)]);
        // One burst for each jump, and it never shut.
        assert!(calm.abs_diff(jumpy) <= 3 * 10, "{rule:?}: {calm}, {jumpy}");
        assert!(calm > 500);
    }
}
