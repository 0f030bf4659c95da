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

fn failure(fault: Fault, from: Instant, to: Instant) -> Failure {
    Failure {
        fault,
        from,
        to,
        body: Duration::ZERO,
        lost_write: false,
    }
}

#[test]
fn a_busy_machine_excuses_what_timed_out_while_it_was_measured() {
    let begin = Instant::now();
    let disturbances = Disturbances::of(Kind::Redis);
    disturbances.held_up(begin + SECOND, begin + 2 * SECOND);
    let cause = |fault, from: u32, to: u32| {
        let at = |half: u32| begin + half * SECOND / 2;
        disturbances.cause(&failure(fault, at(from), at(to)))
    };
    assert_eq!(cause(Fault::TimedOut, 0, 6), Cause::HeldUp);
    assert_eq!(cause(Fault::TimedOut, 5, 6), Cause::HeldUp, "soon after");
    assert_eq!(cause(Fault::TimedOut, 6, 8), Cause::Unexplained);
    assert_eq!(cause(Fault::TimedOut, 0, 8), Cause::HeldUp);
    assert_eq!(
        cause(Fault::TimedOut, 0, 9),
        Cause::Unexplained,
        "too small a part"
    );
    assert_eq!(cause(Fault::Broken, 0, 6), Cause::Unexplained);
    assert_eq!(cause(Fault::Refused, 0, 6), Cause::Unexplained);
}

/// A lag of 200 ms is nothing to a call that has 2 s. Several may be.
#[test]
fn a_short_lag_excuses_nothing() {
    let begin = Instant::now();
    let disturbances = Disturbances::of(Kind::Redis);
    let cause = || disturbances.cause(&failure(Fault::TimedOut, begin, begin + 2 * SECOND));
    let lag = |at: u32| {
        let from = begin + at * SECOND / 2;
        disturbances.held_up(from, from + SECOND * 3 / 10);
    };
    lag(1);
    assert_eq!(cause(), Cause::Unexplained);
    let short = failure(Fault::TimedOut, begin, begin + SECOND);
    assert_eq!(disturbances.cause(&short), Cause::Unexplained);
    assert!(disturbances.was_held_up(begin, begin + SECOND));
    assert!(!disturbances.was_held_up(begin + 2 * SECOND, begin + 3 * SECOND));
    lag(2);
    assert_eq!(cause(), Cause::HeldUp);
}

#[test]
fn nothing_excuses_a_request_that_hangs() {
    let begin = Instant::now();
    let disturbances = Disturbances::of(Kind::Redis);
    disturbances.held_up(begin, begin + 60 * SECOND);
    let cause = |fault, seconds| {
        let to = begin + seconds * SECOND;
        disturbances.cause(&failure(fault, begin, to))
    };
    assert_eq!(cause(Fault::Hung, 60), Cause::Unexplained);
    assert_eq!(cause(Fault::TimedOut, 60), Cause::Unexplained);
    assert_eq!(cause(Fault::TimedOut, 16), Cause::Unexplained);
    assert_eq!(cause(Fault::TimedOut, 15), Cause::HeldUp);
    disturbances.begin("a primary killed");
    assert_eq!(cause(Fault::Hung, 60), Cause::Unexplained);
}

/// Its body takes 20 s, and the site none of them.
#[test]
fn an_upload_waits_once_it_is_sent() {
    let begin = Instant::now();
    let disturbances = Disturbances::of(Kind::Redis);
    disturbances.held_up(begin + 21 * SECOND, begin + 22 * SECOND);
    let cause = |to: u32| {
        disturbances.cause(&Failure {
            body: 20 * SECOND,
            ..failure(Fault::TimedOut, begin, begin + to * SECOND)
        })
    };
    assert_eq!(cause(23), Cause::HeldUp);
    assert_eq!(cause(36), Cause::Unexplained);
    disturbances.held_up(begin, begin + SECOND);
    assert_eq!(
        cause(2),
        Cause::HeldUp,
        "the site has not waited for the body"
    );
}

#[test]
fn only_a_lost_write_excuses_a_refusal() {
    let disturbances = Disturbances::of(Kind::Redis);
    disturbances.begin("a primary killed");
    let now = Instant::now();
    let cause = |fault, lost_write| {
        disturbances.cause(&Failure {
            lost_write,
            ..failure(fault, now, now)
        })
    };
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
    let cause = disturbances.cause(&failure(Fault::Broken, now, now));
    assert_eq!(cause, Cause::Disturbance(RESTART));
    assert!(!disturbances.is_disturbed(now, now));
}
