use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn session() -> SessionId {
    SessionId::from_bytes([7; 16])
}

/// A primary of this session died 10 s after `begin`, and its replica had everything of 2 s before.
fn loss(begin: Instant) -> Loss {
    let slot = slot_of(session());
    Loss {
        confirmed: begin + 8 * SECOND,
        dead: begin + 10 * SECOND,
        slots: vec![slot..=slot],
    }
}

#[test]
fn only_what_was_not_confirmed_may_be_lost() {
    let begin = Instant::now();
    let disturbances = Disturbances::of(Kind::Redis);
    disturbances.lost(loss(begin));
    let may_lose = |began: u32, acked: u32| {
        disturbances.may_lose(session(), begin + began * SECOND, begin + acked * SECOND)
    };
    assert!(may_lose(8, 9));
    assert!(may_lose(5, 8) && may_lose(10, 12), "either end counts");
    assert!(!may_lose(6, 7), "it was confirmed");
    assert!(!may_lose(11, 12), "the primary was dead");
    let elsewhere = SessionId::from_bytes([8; 16]);
    let (began, acked) = (begin + 8 * SECOND, begin + 9 * SECOND);
    assert!(!disturbances.may_lose(elsewhere, began, acked));
}

/// As a sign-out that is acknowledged before the primary dies.
#[test]
fn a_write_is_lost_later() {
    let begin = Instant::now();
    let disturbances = Disturbances::of(Kind::Redis);
    let sign_out = Write {
        session: session(),
        began: begin + 8 * SECOND,
        at: begin + 9 * SECOND,
    };
    assert!(!disturbances.may_lose_any(&[sign_out]));
    disturbances.lost(loss(begin));
    assert!(disturbances.may_lose_any(&[sign_out]));
    assert!(!disturbances.may_lose_any(&[]));
}

#[test]
fn mongodb_has_no_excuse() {
    let begin = Instant::now();
    let disturbances = Disturbances::of(Kind::Mongo);
    disturbances.lost(loss(begin));
    assert!(!disturbances.may_lose(session(), begin, begin + 20 * SECOND));
}

#[test]
fn a_busy_machine_excuses_what_timed_out_while_it_was_measured() {
    let begin = Instant::now();
    let disturbances = Disturbances::of(Kind::Redis);
    disturbances.held_up(begin + SECOND, begin + 2 * SECOND);
    let cause = |fault, from: u32, to: u32| {
        disturbances.cause(fault, begin + from * SECOND, begin + to * SECOND, false)
    };
    assert_eq!(cause(Fault::TimedOut, 0, 3), Cause::HeldUp);
    assert_eq!(cause(Fault::TimedOut, 3, 4), Cause::Unexplained);
    assert_eq!(cause(Fault::Broken, 0, 3), Cause::Unexplained);
    assert_eq!(cause(Fault::Refused, 0, 3), Cause::Unexplained);
}

#[test]
fn only_a_lost_write_excuses_a_refusal() {
    let disturbances = Disturbances::of(Kind::Redis);
    disturbances.begin("a primary killed");
    let now = Instant::now();
    let cause = |fault, lost| disturbances.cause(fault, now, now, lost);
    assert_eq!(cause(Fault::Refused, false), Cause::Unexplained);
    assert_eq!(cause(Fault::Refused, true), Cause::LostWrite);
    let killed = Cause::Disturbance("a primary killed");
    assert_eq!(cause(Fault::Broken, false), killed);
    assert!(!disturbances.server_was_killed(now));
}

#[test]
fn a_restart_in_turn_hides_nothing() {
    let disturbances = Disturbances::of(Kind::Redis);
    disturbances.begin(RESTART);
    let now = Instant::now();
    let cause = disturbances.cause(Fault::Broken, now, now, false);
    assert_eq!(cause, Cause::Disturbance(RESTART));
    assert!(!disturbances.is_disturbed(now, now));
}
