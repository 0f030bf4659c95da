use super::*;
use crate::crypto::random_bytes;

const RULES: TokenRules = TokenRules {
    epoch: 0,
    successor_after: Some(Duration::from_secs(5)),
    keep: 2,
    overlap: Duration::from_secs(10),
};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

fn milli(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn in_epoch(epoch: u64) -> TokenRules {
    TokenRules { epoch, ..RULES }
}

fn never() -> TokenRules {
    TokenRules {
        successor_after: None,
        ..RULES
    }
}

type Hash = [u8; 32];

fn drawn() -> Hash {
    random_bytes().unwrap()
}

/// A history with a first token.
fn begun() -> (TokenHistory, Hash) {
    let (mut history, first) = (TokenHistory::default(), drawn());
    history.issue(first, 0, at(0));
    (history, first)
}

fn rotate_in(rules: &TokenRules, history: &mut TokenHistory, from: &Hash, now: Timestamp) -> Hash {
    let successor = drawn();
    history.advance(from, Some(successor), now, rules);
    successor
}

fn rotate(history: &mut TokenHistory, from: &Hash, now: Timestamp) -> Hash {
    rotate_in(&RULES, history, from, now)
}

fn confirm(history: &mut TokenHistory, hash: &Hash, now: Timestamp) {
    assert!(history.maintenance(hash, &RULES).confirms());
    history.advance(hash, None, now, &RULES);
    assert!(!history.maintenance(hash, &RULES).confirms());
}

fn judge(history: &TokenHistory, hash: &Hash, now: Timestamp) -> Verdict {
    history.judge(hash, None, now, now, &RULES)
}

fn is_accepted(history: &TokenHistory, hash: &Hash, now: Timestamp) -> bool {
    matches!(judge(history, hash, now), Verdict::Accepted(_))
}

fn is_known(history: &TokenHistory, hash: &Hash) -> bool {
    history.position(hash).is_some()
}

/// Whether the token asks for a commit at `now`.
fn due(maintenance: TokenMaintenance, now: Timestamp) -> bool {
    maintenance.confirms() || maintenance.rotation_due(now)
}

#[test]
fn the_first_token_asks_for_nothing_but_its_successor() {
    let (history, first) = begun();
    let maintenance = history.maintenance(&first, &RULES);
    let expected = TokenMaintenance::Current {
        confirm: false,
        rotate_at: Some(at(5)),
    };
    assert_eq!(maintenance, expected);
    assert!(maintenance.rotates() && !maintenance.is_superseded());
    assert!(!due(maintenance, milli(4_999)) && due(maintenance, at(5)));
    let off = history.maintenance(&first, &never());
    assert_eq!(off, TokenMaintenance::default());
    assert!(!off.rotates() && !due(off, at(1_000)));
}

#[test]
fn a_successor_that_is_presented_supersedes_what_was_presented_before() {
    let (mut history, first) = begun();
    let second = rotate(&mut history, &first, at(5));
    assert!(
        is_accepted(&history, &first, at(1_000)),
        "until then the first one is good"
    );
    assert!(!due(history.maintenance(&first, &RULES), milli(9_999)));
    assert!(due(history.maintenance(&first, &RULES), at(10)));
    assert!(due(history.maintenance(&second, &RULES), at(6)));
    confirm(&mut history, &second, at(6));
    assert!(history.maintenance(&first, &RULES).is_superseded());
    assert!(!due(history.maintenance(&first, &RULES), at(1_000)));
    assert!(is_accepted(&history, &first, at(15)));
    assert_eq!(
        judge(&history, &first, at(16)),
        Verdict::Reused(Some(at(6)))
    );
}

#[test]
fn of_two_successors_each_may_be_the_one_that_the_client_holds() {
    let (mut history, first) = begun();
    let lost = rotate(&mut history, &first, at(5));
    let second = rotate(&mut history, &first, at(10));
    confirm(&mut history, &second, at(11));
    // The answer with the other one comes late, and overwrites it in the browser.
    assert!(is_accepted(&history, &lost, at(1_000)));
    assert!(!history.maintenance(&lost, &RULES).is_superseded());
    let third = rotate(&mut history, &lost, at(1_000));
    confirm(&mut history, &third, at(1_001));
    for superseded in [second, lost] {
        assert_eq!(
            judge(&history, &superseded, at(1_011)),
            Verdict::Reused(Some(at(1_001)))
        );
    }
}

/// What became of a successor that nobody has presented when a later one is presented at `now`.
fn overtaken_by(now: Timestamp, rules: &TokenRules) -> TokenMaintenance {
    let (mut history, first) = begun();
    let overtaken = rotate_in(rules, &mut history, &first, at(5));
    let second = rotate_in(rules, &mut history, &first, at(10));
    history.advance(&second, None, now, rules);
    history.maintenance(&overtaken, rules)
}

#[test]
fn a_successor_that_was_overtaken_waits_until_its_answer_cannot_come_any_more() {
    assert!(!overtaken_by(milli(64_999), &RULES).is_superseded());
    assert!(overtaken_by(at(65), &RULES).is_superseded());
    let longer = TokenRules {
        overlap: Duration::from_secs(100),
        ..RULES
    };
    assert!(!overtaken_by(milli(104_999), &longer).is_superseded());
    assert!(overtaken_by(at(105), &longer).is_superseded());
}

#[test]
fn the_first_request_with_a_token_is_noted_and_no_later_one() {
    let (mut history, first) = begun();
    let second = rotate(&mut history, &first, at(5));
    confirm(&mut history, &second, at(6));
    rotate(&mut history, &second, at(10));
    let confirmed: Vec<_> = history.as_slice().iter().map(|t| t.confirmed).collect();
    assert_eq!(confirmed, [Some(at(5)), Some(at(6)), None]);
    let before = history.clone();
    history.advance(&drawn(), Some(drawn()), at(11), &RULES);
    assert_eq!(history, before, "nothing is known of that one");
}

#[test]
fn each_of_two_holders_is_noted_though_the_predecessors_are_superseded() {
    let (mut history, first) = begun();
    let one = rotate(&mut history, &first, at(5));
    let other = rotate(&mut history, &first, at(10));
    confirm(&mut history, &other, at(11));
    assert!(history.maintenance(&first, &RULES).is_superseded());
    confirm(&mut history, &one, at(12));
}

#[test]
fn the_first_token_of_an_epoch_has_nothing_to_supersede() {
    let (mut history, _) = begun();
    history.retire(at(1), &RULES);
    let renewed = drawn();
    history.issue(renewed, 1, at(1));
    assert!(!history.maintenance(&renewed, &in_epoch(1)).confirms());
}

#[test]
fn every_byte_of_a_hash_counts() {
    let (history, first) = begun();
    for at in 0..32 {
        let mut other = first;
        other[at] ^= 1;
        assert!(!is_known(&history, &other), "{at}");
    }
    assert!(is_known(&history, &first));
}

#[test]
fn times_that_are_yet_to_come_become_the_present() {
    let all = |issued, confirmed, retired| -> TokenHistory {
        let token = TokenHash {
            hash: [1; 32],
            issued: at(issued),
            epoch: 0,
            confirmed: Some(at(confirmed)),
            retired: Some(at(retired)),
        };
        [token].into_iter().collect()
    };
    let mut ahead = all(101, 102, 103);
    ahead.bring_back(at(100));
    assert_eq!(ahead, all(100, 100, 100));
    let mut past = all(1, 2, 3);
    past.bring_back(at(100));
    assert_eq!(past, all(1, 2, 3));
}

#[test]
fn no_more_is_kept_than_may_be_needed() {
    let (mut history, first) = begun();
    // Answers that are all lost.
    let mut n = 0;
    while history.maintenance(&first, &RULES).rotates() && n < 20 {
        n += 1;
        rotate(&mut history, &first, at(5 * n));
    }
    assert_eq!((n, history.as_slice().len()), (8, 9));
    assert!(is_accepted(&history, &first, at(1_000)));
    // Answers that all arrive.
    let mut newest = first;
    for n in 0..50 {
        let next = rotate(&mut history, &newest, at(1_000 + 5 * n));
        confirm(&mut history, &next, at(1_001 + 5 * n));
        newest = next;
    }
    // Those of the last minute and an overlap, at one in 5 s.
    let count = history.as_slice().len();
    assert!(count <= 2 + 14, "{count}");
    assert!(is_accepted(&history, &newest, at(9_000)));
    assert!(history.maintenance(&newest, &RULES).rotates());
}

#[test]
fn successors_that_are_superseded_wait_no_longer() {
    let (mut history, first) = begun();
    let waiting: Vec<_> = (1..=8)
        .map(|n| rotate(&mut history, &first, at(5 * n)))
        .collect();
    let newest = waiting[7];
    assert!(!history.maintenance(&newest, &RULES).rotates());
    // One waits again, and seven that nobody has presented are superseded.
    rotate(&mut history, &newest, at(1_000));
    assert!(waiting[..7].iter().all(|hash| is_known(&history, hash)));
    assert!(history.maintenance(&newest, &RULES).rotates());
}

#[test]
fn what_a_mac_tells_of_a_token_that_is_forgotten() {
    let (history, _) = begun();
    let forgotten = drawn();
    for epoch in 0..9 {
        let judge =
            |signed, rules: &TokenRules| history.judge(&forgotten, signed, at(1), at(1), rules);
        for low in 0..4 {
            let expected = match low == epoch % 4 {
                true => Verdict::Reused(None),
                false => Verdict::Former,
            };
            let signed = Some(EpochBits::of(low));
            assert_eq!(judge(signed, &in_epoch(epoch)), expected);
        }
        assert_eq!(judge(None, &in_epoch(epoch)), Verdict::Unknown);
    }
    // Where nothing rotates a token of this epoch cannot have been rotated away.
    let signed = Some(EpochBits::of(0));
    assert_eq!(
        history.judge(&forgotten, signed, at(1), at(1), &never()),
        Verdict::Former
    );
}

#[test]
fn tokens_of_a_former_epoch_go_after_their_grace() {
    let (mut history, first) = begun();
    let second = rotate(&mut history, &first, at(5));
    confirm(&mut history, &second, at(6));
    history.retire(at(20), &RULES);
    let rules = in_epoch(1);
    let renewed = drawn();
    history.issue(renewed, 1, at(20));
    let judge = |now| history.judge(&second, None, now, now, &rules);
    assert_eq!(judge(at(79)), Verdict::Renewed);
    assert_eq!(judge(at(80)), Verdict::Former);
    let next = rotate_in(&rules, &mut history, &renewed, at(79));
    assert!(is_known(&history, &second));
    history.forget(milli(79_999), &rules);
    assert!(is_known(&history, &second));
    rotate_in(&rules, &mut history, &next, at(80));
    assert!(!is_known(&history, &second));
}

#[test]
fn retired_tokens_are_kept_for_a_while() {
    let token = |issued: u64, retired: Option<u64>| TokenHash {
        hash: [issued as u8; 32],
        issued: at(issued),
        epoch: 0,
        confirmed: None,
        retired: retired.map(at),
    };
    let superseded = [
        token(0, Some(40)),
        token(1, Some(90)),
        token(2, Some(91)),
        token(3, None),
    ];
    let retired = |tokens: &[TokenHash], epoch| {
        let mut history: TokenHistory = tokens.iter().copied().collect();
        history.retire(at(100), &in_epoch(epoch));
        history
    };
    // Of the epoch that ends, and of one before.
    assert_eq!(
        retired(&superseded, 0).as_slice(),
        [token(1, Some(90)), token(2, Some(100)), token(3, Some(100))]
    );
    assert_eq!(
        retired(&superseded[..3], 1).as_slice(),
        [token(1, Some(90)), token(2, Some(91))],
        "its grace has begun before"
    );
    let many: Vec<_> = (0..70).map(|n| token(n, None)).collect();
    let last: TokenHistory = (6..70).map(|n| token(n, Some(100))).collect();
    assert_eq!(retired(&many, 0), last);
}

fn judge_unknown(history: &TokenHistory, arrived: Timestamp, now: Timestamp) -> Verdict {
    history.judge(&drawn(), Some(EpochBits::of(0)), arrived, now, &RULES)
}

/// A history of this many superseded tokens, one each 100 ms from 100 s on.
fn remembering(count: u64, epoch: u64) -> (TokenHistory, Vec<Hash>) {
    let hashes: Vec<_> = (0..count).map(|_| drawn()).collect();
    let superseded = (0..).zip(&hashes).map(|(n, hash)| TokenHash {
        hash: *hash,
        issued: at(90),
        epoch,
        confirmed: None,
        retired: Some(milli(100_000 + 100 * n)),
    });
    let mut history: TokenHistory = superseded.collect();
    history.issue(drawn(), 0, at(105));
    (history, hashes)
}

#[test]
fn what_is_forgotten_may_have_been_good_only_if_the_record_is_full_or_the_request_is_old() {
    let (full, _) = remembering(48, 0);
    // What was dropped before the oldest one was superseded at 100 s at the latest.
    assert_eq!(
        judge_unknown(&full, milli(109_999), at(111)),
        Verdict::Undecidable
    );
    let reused = Verdict::Reused(None);
    assert_eq!(judge_unknown(&full, at(110), at(111)), reused);
    let (not_full, _) = remembering(47, 0);
    assert_eq!(judge_unknown(&not_full, at(106), at(111)), reused);
    let (former, _) = remembering(48, 1);
    assert_eq!(judge_unknown(&former, at(106), at(111)), reused);
    // It was remembered for a minute.
    assert_eq!(judge_unknown(&not_full, at(111), at(171)), reused);
    assert_eq!(
        judge_unknown(&not_full, at(111), milli(171_001)),
        Verdict::Undecidable
    );
}

#[test]
fn a_token_is_among_the_last_by_what_was_superseded_when_its_request_arrived() {
    let (history, hashes) = remembering(4, 0);
    let judged = |arrived| history.judge(&hashes[0], None, milli(arrived), at(150), &RULES);
    // Of the last two, until the third one is superseded.
    for arrived in [0, 99_999, 100_000, 100_199] {
        let expected = Verdict::Accepted(TokenMaintenance::Superseded);
        assert_eq!(judged(arrived), expected, "{arrived}");
    }
    for arrived in [100_200, 109_999] {
        assert_eq!(judged(arrived), Verdict::Surplus, "{arrived}");
    }
    assert_eq!(judged(110_000), Verdict::Reused(Some(at(100))));
    let last = history.judge(&hashes[2], None, at(101), at(150), &RULES);
    assert_eq!(last, Verdict::Accepted(TokenMaintenance::Superseded));
}

#[test]
fn superseded_tokens_are_remembered_for_a_minute_beyond_their_overlap() {
    let left = |count, now| {
        let (mut history, hashes) = remembering(count, 0);
        history.forget(milli(now), &RULES);
        hashes
            .iter()
            .filter(|hash| is_known(&history, hash))
            .count()
    };
    assert_eq!(left(4, 169_999), 4);
    assert_eq!(left(4, 170_000), 3);
    assert_eq!(left(4, 170_100), 2);
    assert_eq!(left(4, 9_000_000), 2, "the last `keep`");
    assert_eq!(left(48, 105_000), 48);
    assert_eq!(left(60, 110_000), 48);
}
