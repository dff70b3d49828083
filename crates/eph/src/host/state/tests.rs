//! Every state under every wish and report.

use proptest::prelude::*;

use super::{Goal, HostState, Machine, Need};
use crate::host::{HostError, HostErrorKind};

fn starting() -> Machine {
    let mut machine = Machine::default();
    assert_eq!(machine.start(true).expect("it is idle"), Need::Task);
    machine
}

fn running() -> Machine {
    let mut machine = starting();
    machine.started();
    machine
}

fn error() -> HostError {
    HostError::new(HostErrorKind::Timeout, "test")
}

#[test]
fn a_host_starts_stops_and_starts_again() {
    let mut machine = running();
    assert_eq!(machine.state(), HostState::Running);
    machine.stop();
    assert_eq!((machine.state(), machine.goal()), (HostState::Stopping, Goal::Stop));
    assert!(machine.drained(None), "its task ends");
    assert_eq!(machine.state(), HostState::Idle);
    assert_eq!(machine.start(true).expect("it is idle again"), Need::Task);
    assert_eq!(machine.starts(), 2);
}

#[test]
fn only_an_idle_host_starts() {
    for (mut machine, kind) in [
        (starting(), HostErrorKind::AlreadyStarted),
        (running(), HostErrorKind::AlreadyStarted),
        (with(running(), Machine::stop), HostErrorKind::AlreadyStarted),
        (
            with(running(), |machine| assert_eq!(machine.close(), Need::Nothing)),
            HostErrorKind::Closed,
        ),
        (with(starting(), |machine| machine.abandoned()), HostErrorKind::Closed),
    ] {
        assert_eq!(machine.start(true).expect_err("refused").kind(), kind);
    }
}

#[test]
fn a_host_without_a_handler_does_not_start() {
    let mut machine = Machine::default();
    let refused = machine.start(false).expect_err("it would do nothing");
    assert_eq!((refused.kind(), machine.state()), (HostErrorKind::NoHandler, HostState::Idle));
}

fn with(mut machine: Machine, change: impl FnOnce(&mut Machine)) -> Machine {
    change(&mut machine);
    machine
}

#[test]
fn an_idle_host_needs_a_task_to_close() {
    let mut machine = Machine::default();
    assert_eq!(machine.close(), Need::Task);
    assert_eq!(machine.close(), Need::Nothing, "the second waits for the first");
    assert!(!machine.drained(None), "there is something to close");
    machine.closed(None);
    assert_eq!((machine.state(), machine.close()), (HostState::Closed, Need::Nothing));
}

#[test]
fn a_close_that_comes_while_it_stops_closes() {
    let mut machine = with(running(), Machine::stop);
    assert_eq!(machine.close(), Need::Nothing);
    machine.stop();
    assert_eq!(machine.goal(), Goal::Close, "a later stop takes nothing back");
    assert!(!machine.drained(None));
}

#[test]
fn a_start_that_is_stopped_does_not_run() {
    let mut machine = with(starting(), Machine::stop);
    machine.started();
    assert_eq!(machine.state(), HostState::Stopping);
    assert!(!machine.failed(error()), "it is stopping, not failing");
}

#[test]
fn a_start_that_fails_may_be_tried_again() {
    let mut machine = starting();
    assert!(machine.failed(error()));
    assert_eq!(machine.state(), HostState::Idle);
    assert!(machine.failure().is_some());
    let _ = machine.start(true).expect("it is idle");
    assert!(machine.failure().is_none());
}

#[test]
fn a_pause_is_a_state_while_it_runs_and_remembered_otherwise() {
    let mut machine = running();
    machine.pause(true);
    assert_eq!(machine.state(), HostState::Paused);
    machine.pause(false);
    assert_eq!(machine.state(), HostState::Running);
    let mut machine = starting();
    machine.pause(true);
    assert_eq!(machine.state(), HostState::Starting);
    machine.started();
    assert_eq!(machine.state(), HostState::Paused);
    machine.stop();
    machine.pause(false);
    assert_eq!(machine.state(), HostState::Stopping);
}

proptest! {
    /// There is one task when there has to be one, never two, and closed is final.
    #[test]
    fn there_is_one_task_when_there_has_to_be_one(steps in prop::collection::vec(0_u8..8, 0..60)) {
        let mut machine = Machine::default();
        let mut tasks = 0;
        for step in steps {
            let was_closed = machine.state() == HostState::Closed;
            match step {
                0 => tasks += u32::from(matches!(machine.start(true), Ok(Need::Task))),
                1 => machine.stop(),
                2 => tasks += u32::from(machine.close() == Need::Task),
                3 => machine.pause(true),
                4 => machine.pause(false),
                // The task reports only while it is there, and drains only when it is told to.
                5 if tasks == 1 => machine.started(),
                6 if tasks == 1 => tasks -= u32::from(machine.failed(error())),
                7 if tasks == 1 && machine.goal() != Goal::Run => {
                    tasks -= 1;
                    if !machine.drained(None) {
                        machine.closed(None);
                    }
                }
                _ => {}
            }
            let needs_one = !matches!(machine.state(), HostState::Idle | HostState::Closed);
            prop_assert_eq!(tasks, u32::from(needs_one), "{:?}", machine);
            prop_assert!(!was_closed || machine.state() == HostState::Closed);
        }
    }
}
