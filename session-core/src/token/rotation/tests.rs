use super::standing::low_bits;
use super::*;
use crate::record::{Lifetime, SessionId};
use crate::token::Presented;

const RULES: Rotation = Rotation {
    ttl: Duration::from_secs(5),
    keep: 2,
    overlap: Duration::from_secs(10),
};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

/// A record with a first token.
fn record() -> (Record, Secret) {
    let secret = Secret::random().unwrap();
    let mut record = Record::new(
        SessionId::from_bytes([1; 16]),
        "id",
        Lifetime::default(),
        at(0),
    );
    record.tokens.push(issued(&secret, at(0), 0));
    (record, secret)
}

fn rotate(record: &mut Record, from: &Secret, now: Timestamp) -> Secret {
    let secret = Secret::random().unwrap();
    advance(record, &from.hash(), Some(&secret), now, &RULES);
    secret
}

fn confirm(record: &mut Record, secret: &Secret, now: Timestamp) {
    assert!(upkeep(record, secret).confirm);
    advance(record, &secret.hash(), None, now, &RULES);
    assert!(!upkeep(record, secret).confirm);
}

fn upkeep(record: &Record, secret: &Secret) -> Upkeep {
    Upkeep::of(record, &secret.hash(), &RULES)
}

fn stands(record: &Record, secret: &Secret, epoch: Option<u8>, now: Timestamp) -> Standing {
    let presented = Presented {
        id: record.id,
        secret: secret.clone(),
        old_key: false,
        epoch,
    };
    standing(record, &presented, now, now, &RULES)
}

fn is_accepted(record: &Record, secret: &Secret, now: Timestamp) -> bool {
    matches!(stands(record, secret, None, now), Standing::Accepted(_))
}

#[test]
fn presets() {
    assert_eq!(Rotation::hourly().ttl, Duration::from_secs(3600));
    for preset in [Rotation::off(), Rotation::default(), Rotation::hourly()] {
        assert!(preset.check().is_ok());
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    for (wrong, word) in [
        (
            Rotation {
                ttl: Duration::ZERO,
                ..RULES
            },
            "ttl",
        ),
        (Rotation { keep: 0, ..RULES }, "keep 1 to 8"),
        (Rotation { keep: 9, ..RULES }, "keep 1 to 8"),
        (
            Rotation {
                overlap: Duration::ZERO,
                ..RULES
            },
            "overlap",
        ),
    ] {
        let error = wrong.check().unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn the_first_token_asks_for_nothing_but_its_successor() {
    let (record, secret) = record();
    let upkeep = upkeep(&record, &secret);
    assert_eq!(upkeep.rotate_at, Some(at(5)));
    assert!(!upkeep.confirm && !upkeep.superseded);
    assert!(!upkeep.due(Timestamp::from_millis(4_999)) && upkeep.due(at(5)));
    let off = Upkeep::of(&record, &secret.hash(), &Rotation::off());
    assert_eq!(off, Upkeep::default());
}

#[test]
fn a_successor_that_is_presented_supersedes_what_was_presented_before() {
    let (mut record, first) = record();
    let second = rotate(&mut record, &first, at(5));
    assert!(
        is_accepted(&record, &first, at(1_000)),
        "until then the first one is good"
    );
    confirm(&mut record, &second, at(6));
    assert!(upkeep(&record, &first).superseded);
    assert!(is_accepted(&record, &first, at(15)));
    assert_eq!(
        stands(&record, &first, None, at(16)),
        Standing::Reused(Some(at(6)))
    );
}

#[test]
fn of_two_successors_each_may_be_the_one_that_the_client_holds() {
    let (mut record, first) = record();
    let lost = rotate(&mut record, &first, at(5));
    let second = rotate(&mut record, &first, at(10));
    confirm(&mut record, &second, at(11));
    // The answer with the other one comes late, and overwrites it in the browser.
    assert!(is_accepted(&record, &lost, at(1_000)));
    assert!(!upkeep(&record, &lost).superseded);
    let third = rotate(&mut record, &lost, at(1_000));
    confirm(&mut record, &third, at(1_001));
    assert_eq!(
        stands(&record, &second, None, at(1_011)),
        Standing::Reused(Some(at(1_001)))
    );
    assert_eq!(
        stands(&record, &lost, None, at(1_011)),
        Standing::Reused(Some(at(1_001)))
    );
}

#[test]
fn no_more_is_kept_than_may_be_needed() {
    let (mut record, first) = record();
    // Answers that are all lost.
    let mut n = 0;
    while upkeep(&record, &first).rotate_at.is_some() {
        n += 1;
        rotate(&mut record, &first, at(5 * n));
    }
    assert_eq!((n, record.tokens.len()), (8, 9));
    assert!(is_accepted(&record, &first, at(1_000)));
    // Answers that all arrive.
    let mut newest = first;
    for n in 0..50 {
        let next = rotate(&mut record, &newest, at(1_000 + 5 * n));
        confirm(&mut record, &next, at(1_001 + 5 * n));
        newest = next;
    }
    // Those of the last minute and an overlap, at one in 5 s.
    assert!(record.tokens.len() <= 2 + 14, "{}", record.tokens.len());
    assert!(is_accepted(&record, &newest, at(9_000)));
    assert!(upkeep(&record, &newest).rotate_at.is_some());
}

#[test]
fn what_a_mac_tells_of_a_token_that_is_forgotten() {
    let (mut record, _) = record();
    let forgotten = Secret::random().unwrap();
    for epoch in 0..9 {
        record.epoch = epoch;
        for low in 0..4 {
            let expected = match u64::from(low) == epoch % 4 {
                true => Standing::Reused(None),
                false => Standing::Former,
            };
            assert_eq!(stands(&record, &forgotten, Some(low), at(1)), expected);
        }
        assert_eq!(stands(&record, &forgotten, None, at(1)), Standing::Stranger);
    }
    // Where nothing rotates a token of this epoch cannot have been rotated away.
    let presented = Presented {
        id: record.id,
        secret: forgotten,
        old_key: false,
        epoch: Some(low_bits(record.epoch)),
    };
    assert_eq!(
        standing(&record, &presented, at(1), at(1), &Rotation::off()),
        Standing::Former
    );
}

#[test]
fn tokens_of_a_former_epoch_go_after_their_grace() {
    let (mut record, first) = record();
    let second = rotate(&mut record, &first, at(5));
    confirm(&mut record, &second, at(6));
    retire(&mut record.tokens, 0, at(20), &RULES);
    record.epoch = 1;
    let renewed = Secret::random().unwrap();
    record.tokens.push(issued(&renewed, at(20), 1));
    assert_eq!(stands(&record, &second, None, at(79)), Standing::Renewed);
    assert_eq!(stands(&record, &second, None, at(80)), Standing::Former);
    let next = rotate(&mut record, &renewed, at(79));
    assert!(record.position(&second.hash()).is_some());
    rotate(&mut record, &next, at(84));
    assert!(record.position(&second.hash()).is_none());
}

fn unknown(record: &Record, arrived: Timestamp, now: Timestamp) -> Standing {
    let presented = Presented {
        id: record.id,
        secret: Secret::random().unwrap(),
        old_key: false,
        epoch: Some(low_bits(record.epoch)),
    };
    standing(record, &presented, arrived, now, &RULES)
}

/// A record that remembers this many superseded tokens, one each 100 ms from 100 s on.
fn remembering(count: u64, epoch: u64) -> (Record, Vec<Secret>) {
    let (mut record, _) = record();
    record.tokens.clear();
    let secrets: Vec<_> = (0..count).map(|_| Secret::random().unwrap()).collect();
    for (n, secret) in (0..).zip(&secrets) {
        let mut token = issued(secret, at(90), epoch);
        token.retired = Some(Timestamp::from_millis(100_000 + 100 * n));
        record.tokens.push(token);
    }
    let newest = issued(&Secret::random().unwrap(), at(105), 0);
    record.tokens.push(newest);
    (record, secrets)
}

#[test]
fn what_is_forgotten_may_have_been_good_only_if_the_record_is_full_or_the_request_is_old() {
    let milli = Timestamp::from_millis;
    let (full, _) = remembering(48, 0);
    // What was dropped before the oldest one was superseded at 100 s at the latest.
    assert_eq!(unknown(&full, milli(109_999), at(111)), Standing::Forgotten);
    assert_eq!(unknown(&full, at(110), at(111)), Standing::Reused(None));
    let (not_full, _) = remembering(47, 0);
    assert_eq!(unknown(&not_full, at(106), at(111)), Standing::Reused(None));
    let (former, _) = remembering(48, 1);
    assert_eq!(unknown(&former, at(106), at(111)), Standing::Reused(None));
    // It was remembered for a minute.
    assert_eq!(unknown(&not_full, at(111), at(171)), Standing::Reused(None));
    assert_eq!(
        unknown(&not_full, at(111), milli(171_001)),
        Standing::Forgotten
    );
}

#[test]
fn a_token_is_among_the_last_by_what_was_superseded_when_its_request_arrived() {
    let (record, secrets) = remembering(4, 0);
    let judged = |arrived| {
        let presented = Presented {
            id: record.id,
            secret: secrets[0].clone(),
            old_key: false,
            epoch: None,
        };
        standing(
            &record,
            &presented,
            Timestamp::from_millis(arrived),
            at(150),
            &RULES,
        )
    };
    // Of the last two, until the third one is superseded.
    for arrived in [0, 99_999, 100_000, 100_199] {
        assert!(
            matches!(judged(arrived), Standing::Accepted(upkeep) if upkeep.superseded),
            "{arrived}"
        );
    }
    for arrived in [100_200, 109_999] {
        assert_eq!(judged(arrived), Standing::Surplus, "{arrived}");
    }
    assert_eq!(judged(110_000), Standing::Reused(Some(at(100))));
}

#[test]
fn superseded_tokens_are_remembered_for_a_minute_beyond_their_overlap() {
    let left = |count, now| {
        let (mut record, secrets) = remembering(count, 0);
        forget(&mut record.tokens, 0, Timestamp::from_millis(now), &RULES);
        let there = |secret: &&Secret| record.position(&secret.hash()).is_some();
        secrets.iter().filter(there).count()
    };
    assert_eq!(left(4, 169_999), 4);
    assert_eq!(left(4, 170_000), 3);
    assert_eq!(left(4, 170_100), 2);
    assert_eq!(left(4, 9_000_000), 2, "the last `keep`");
    assert_eq!(left(48, 105_000), 48);
    assert_eq!(left(60, 110_000), 48);
}
