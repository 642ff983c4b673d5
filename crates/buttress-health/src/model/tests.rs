use super::*;
use crate::check::Hysteresis;
use crate::page::Format;

fn check(name: &str, kind: Kind, is_hard: bool) -> CheckState {
    CheckState {
        name: name.into(),
        kind,
        is_hard,
        hysteresis: Hysteresis::new(1, 1),
        fault: None,
    }
}

fn statuses(model: &Model) -> [Status; 3] {
    let board = model.board();
    Endpoint::ALL.map(|endpoint| board.page(endpoint).status())
}

fn ready_page(model: &Model) -> String {
    let answer = model
        .board()
        .page(Endpoint::Ready)
        .answer(Format::Verbose, true);
    String::from_utf8(answer.body.to_vec()).unwrap()
}

use Status::{Fail, Pass, Warn};

#[test]
fn nothing_known_is_alive_and_not_ready() {
    let model = Model::new(vec![
        check("worker", Kind::Liveness, true),
        check("database", Kind::Readiness, true),
        check("migrations", Kind::Startup, true),
    ]);
    assert_eq!(statuses(&model), [Pass, Fail, Fail]);
    assert_eq!(statuses(&Model::new(Vec::new())), [Pass, Pass, Pass]);
}

#[test]
fn a_soft_check_warns_and_a_hard_one_fails() {
    for (is_hard, status) in [(false, Warn), (true, Fail)] {
        let mut model = Model::new(vec![check("database", Kind::Readiness, is_hard)]);
        model.observe(0, Err(Fault::new("down")));
        assert_eq!(statuses(&model), [Pass, status, Pass]);
        model.observe(0, Ok(()));
        assert_eq!(statuses(&model), [Pass, Pass, Pass]);
    }
}

#[test]
fn a_process_has_started_once_and_for_all() {
    let mut model = Model::new(vec![check("migrations", Kind::Startup, true)]);
    assert!(ready_page(&model).contains("[-]startup failed: has not started yet\n"));
    model.observe(0, Ok(()));
    assert_eq!(statuses(&model), [Pass, Pass, Pass]);
    model.observe(0, Err(Fault::new("again")));
    assert!(ready_page(&model).contains("[+]startup ok\n"));
}

#[test]
fn soft_startup_checks_are_not_waited_for() {
    let model = Model::new(vec![check("warm-up", Kind::Startup, false)]);
    assert_eq!(statuses(&model), [Pass, Pass, Pass]);
}

#[test]
fn a_process_that_shuts_down_is_alive_and_not_ready() {
    let mut model = Model::new(Vec::new());
    for phase in [
        Phase::Noticing,
        Phase::Closing,
        Phase::Finishing,
        Phase::Over,
    ] {
        model.phase = phase;
        assert_eq!(statuses(&model), [Pass, Fail, Pass]);
        assert!(ready_page(&model).contains("[-]shutdown failed: "));
    }
}

#[test]
fn a_watchdog_warns_first_and_fails_then() {
    let mut model = Model::new(Vec::new());
    let fault = Some(Fault::new("the runtime makes no progress"));
    for (fault, dead, status) in [
        (None, false, Pass),
        (fault.clone(), false, Warn),
        (fault, true, Fail),
    ] {
        model.watchdog = Some(Verdict { fault, dead });
        assert_eq!(statuses(&model), [status, status, Pass]);
    }
}

#[test]
fn a_page_changes_only_when_it_looks_different() {
    let mut model = Model::new(vec![check("database", Kind::Readiness, true)]);
    let down = || Err(Fault::new("down"));
    let other = || Err(Fault::new("down, but otherwise"));
    for (answer, is_seen, standing, turns) in [
        (Ok(()), true, Standing::Good, true),
        (Ok(()), false, Standing::Good, false),
        (down(), true, Standing::Bad, true),
        (down(), false, Standing::Bad, false),
        (other(), true, Standing::Bad, false),
    ] {
        let observed = model.observe(0, answer);
        assert_eq!((observed.is_seen, observed.standing), (is_seen, standing));
        assert_eq!(observed.turn.is_some(), turns);
    }
}

#[test]
fn a_check_that_passes_again_is_recovering_until_it_is_believed() {
    let mut slow = check("database", Kind::Readiness, true);
    slow.hysteresis = Hysteresis::new(1, 3);
    let mut model = Model::new(vec![slow]);
    model.observe(0, Err(Fault::new("down")));
    model.observe(0, Ok(()));
    model.observe(0, Ok(()));
    assert!(ready_page(&model).contains("[-]database failed: recovering\n"));
    model.observe(0, Ok(()));
    assert!(ready_page(&model).contains("[+]database ok\n"));
}
