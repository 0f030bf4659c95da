#![allow(clippy::unwrap_used, reason = "these are tests")]

use redis::{Cmd, RedisFuture, Value};

use super::super::connection::{Connection, NewConnection};
use super::*;
use crate::config::ApplicationConnection;

const LONGEST: Duration = Duration::from_secs(4);

struct Nowhere;

impl ApplicationConnection for Nowhere {
    fn send<'a>(&'a self, _command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(std::future::pending())
    }
}

fn connection(number: u64, address: &str) -> Arc<ActiveConnection> {
    let new = NewConnection {
        connection: Connection::Application(Arc::new(Nowhere)),
        address: Some(address.to_owned()),
    };
    Arc::new(ActiveConnection::new(new, number, async {}, || ()))
}

fn text(text: &str) -> RedactedError {
    RedactedError::plain(text.to_owned())
}

fn connecting(number: u64) -> State {
    let mut state = State::default();
    state.begin(number, Instant::now());
    state
}

/// In use is the connection of this number.
fn up(number: u64) -> State {
    let mut state = connecting(number);
    let installed = state.install(connection(number, "a:1"));
    assert!(matches!(
        installed,
        (
            Installed::Yes {
                down_since: Some(_)
            },
            None
        )
    ));
    assert_eq!(state.active().unwrap().number, number);
    state
}

fn outdated(state: &mut State, number: u64, address: &str) -> Option<String> {
    match state.install(connection(number, address)) {
        (Installed::Outdated(why), Some(unused)) => {
            assert_eq!(unused.number, number);
            Some(why.to_string())
        }
        _ => None,
    }
}

#[test]
fn one_task_connects_unless_it_is_stuck() {
    let (mut state, now) = (State::default(), Instant::now());
    assert!(state.needs_task(LONGEST, now));
    state.begin(1, now);
    assert!(!state.needs_task(LONGEST, now + LONGEST));
    assert!(state.needs_task(LONGEST, now + LONGEST * 2));
    // With each attempt it has moved.
    assert!(state.attempt_again(1, 2, now + LONGEST));
    assert!(!state.needs_task(LONGEST, now + LONGEST * 2));
}

#[tokio::test]
async fn a_task_that_was_superseded_changes_nothing() {
    let mut state = connecting(1);
    state.begin(2, Instant::now());
    assert!(!state.attempt_again(1, 3, Instant::now()));
    state.fail(1, text("late"));
    state.abandon(1);
    assert!(state.failure().is_none());
    let (installed, unused) = state.install(connection(1, "a:1"));
    assert!(matches!(installed, Installed::Superseded));
    assert_eq!(unused.unwrap().number, 1);
    assert!(state.attempt_again(2, 3, Instant::now()));
    assert!(matches!(
        state.install(connection(3, "a:1")),
        (Installed::Yes { .. }, None)
    ));
}

#[tokio::test]
async fn a_connection_that_is_closed_while_it_is_made_is_not_used() {
    let mut state = connecting(1);
    assert!(state.lose(1, Instant::now()).is_none());
    assert_eq!(
        outdated(&mut state, 1, "a:1").unwrap(),
        "it was closed at once"
    );
    // The next one is not that one.
    state.lose(1, Instant::now());
    assert!(state.attempt_again(1, 2, Instant::now()));
    assert!(outdated(&mut state, 2, "a:1").is_none());
    assert_eq!(state.active().unwrap().number, 2);
}

#[cfg(feature = "sentinel")]
#[tokio::test]
async fn a_connection_to_a_former_primary_is_not_used() {
    let mut state = connecting(1);
    state.expect_address("b:2");
    assert_eq!(
        outdated(&mut state, 1, "a:1").unwrap(),
        "the primary is at b:2 now"
    );
    state.expect_address("b:2");
    assert!(outdated(&mut state, 1, "b:2").is_none());
    assert!(state.active().is_some());
    // One that was closed stays so, wherever it leads to.
    let mut state = connecting(3);
    state.lose(3, Instant::now());
    state.expect_address("b:2");
    assert!(outdated(&mut state, 3, "b:2").is_some());
}

#[tokio::test]
async fn only_the_connection_in_use_is_lost() {
    let mut state = up(1);
    assert!(state.lose(2, Instant::now()).is_none());
    assert!(state.active().is_some());
    assert_eq!(state.lose(1, Instant::now()).unwrap().number, 1);
    assert!(matches!(state, State::Down { failure: None }));
}

#[tokio::test]
async fn a_connection_that_is_being_replaced_stays_in_use() {
    let mut state = up(1);
    state.begin(2, Instant::now());
    assert_eq!(state.active().unwrap().number, 1);
    let (installed, former) = state.install(connection(2, "a:1"));
    assert!(matches!(installed, Installed::Yes { down_since: None }));
    assert_eq!(former.unwrap().number, 1);
    // Its task ends, or it does.
    state.begin(3, Instant::now());
    state.abandon(3);
    assert!(matches!(&state, State::Up { active } if active.number == 2));
    state.begin(4, Instant::now());
    assert_eq!(state.lose(2, Instant::now()).unwrap().number, 2);
    assert!(state.active().is_none());
    assert!(matches!(
        state.install(connection(4, "a:1")),
        (
            Installed::Yes {
                down_since: Some(_)
            },
            None
        )
    ));
}

#[test]
fn what_a_server_has_said_is_kept_over_silence_and_over_the_end_of_a_task() {
    let mut state = connecting(1);
    state.fail(1, RedactedError::silence(LONGEST));
    assert!(state.failure().unwrap().is_silence());
    state.fail(1, text("no"));
    state.fail(1, RedactedError::silence(LONGEST));
    assert_eq!(state.failure(), Some(&text("no")));
    state.abandon(1);
    assert!(matches!(&state, State::Down { failure: Some(failure) } if *failure == text("no")));
    state.begin(2, Instant::now());
    assert_eq!(state.failure(), Some(&text("no")));
}
