use super::*;

type MayLose = fn(SessionId, Instant, Instant) -> bool;

const NEVER: MayLose = |_, _, _| false;
const ALWAYS: MayLose = |_, _, _| true;

fn session(number: u8) -> SessionId {
    SessionId::from_bytes([number; 16])
}

fn sent(known: Known, began: Instant) -> Sent {
    Sent {
        session: Some(session(1)),
        began,
        known,
    }
}

fn page(number: Option<u64>, cart: &[u64]) -> Page {
    Page {
        numbers: number
            .map(|number| ("k".to_owned(), number))
            .into_iter()
            .collect(),
        cart: cart.to_vec(),
        ..Page::default()
    }
}

fn ledger(writes: &[(u64, Known)]) -> Ledger {
    let mut ledger = Ledger::default();
    for (number, known) in writes {
        ledger.note("k", *number, sent(*known, Instant::now()));
    }
    ledger
}

#[test]
fn what_was_acknowledged_is_there() {
    use Known::{Acknowledged, Refused, Unknown};
    let one = ledger(&[(1, Acknowledged)]);
    assert_eq!(one.compare(&page(Some(1), &[]), NEVER), []);
    let missing = one.compare(&page(None, &[]), NEVER);
    assert!(matches!(missing[..], [Finding::Lost(_)]), "{missing:?}");
    let missing = one.compare(&page(None, &[]), ALWAYS);
    assert!(matches!(missing[..], [Finding::LostByFailOver(_)]));

    let older = ledger(&[(1, Acknowledged), (2, Refused), (3, Acknowledged)]);
    let missing = older.compare(&page(Some(1), &[]), NEVER);
    assert!(matches!(missing[..], [Finding::Lost(_)]));
    let refused = older.compare(&page(Some(2), &[]), NEVER);
    assert!(matches!(refused[..], [Finding::NotWritten(_)]));
    let foreign = older.compare(&page(Some(9), &[]), NEVER);
    assert!(matches!(foreign[..], [Finding::NotWritten(_)]));

    let unsure = ledger(&[(1, Acknowledged), (2, Unknown)]);
    for number in [1, 2] {
        assert_eq!(unsure.compare(&page(Some(number), &[]), NEVER), []);
    }
    let later = ledger(&[(2, Unknown), (3, Acknowledged)]);
    let back = later.compare(&page(Some(2), &[]), NEVER);
    assert!(matches!(back[..], [Finding::CameBack(_)]), "{back:?}");
    assert!(!later.is_settled("k") && later.is_settled("other"));
}

#[test]
fn what_is_doubted_may_be_missing() {
    let mut one = ledger(&[(1, Known::Acknowledged)]);
    one.note_item(2, sent(Known::Acknowledged, Instant::now()));
    assert_eq!(one.compare(&page(None, &[]), NEVER).len(), 2);
    one.doubt_all();
    assert_eq!(one.compare(&page(None, &[]), NEVER), []);
}

#[test]
fn each_item_is_in_the_cart_once() {
    let mut cart = Ledger::default();
    cart.note_item(1, sent(Known::Acknowledged, Instant::now()));
    cart.note_item(2, sent(Known::Unknown, Instant::now()));
    assert_eq!(cart.compare(&page(None, &[2, 1]), NEVER), []);
    assert_eq!(cart.compare(&page(None, &[1]), NEVER), []);
    let twice = cart.compare(&page(None, &[1, 2, 2]), NEVER);
    assert!(matches!(twice[..], [Finding::Twice(_)]));
    let lost = cart.compare(&page(None, &[2]), NEVER);
    assert!(matches!(lost[..], [Finding::Lost(_)]));
    let foreign = cart.compare(&page(None, &[1, 5]), NEVER);
    assert!(matches!(foreign[..], [Finding::NotWritten(_)]));
}

#[test]
fn a_loss_is_excused_by_the_time_of_its_own_request() {
    let mut two = Ledger::default();
    let before = Instant::now();
    two.note(
        "k",
        1,
        sent(Known::Acknowledged, before - Duration::from_secs(9)),
    );
    let lost = two.compare(&page(None, &[]), |_, began, _| began >= before);
    assert!(matches!(lost[..], [Finding::Lost(_)]), "{lost:?}");
    two.note("k", 2, sent(Known::Acknowledged, before));
    let lost = two.compare(&page(Some(1), &[]), |_, began, _| began >= before);
    assert!(matches!(lost[..], [Finding::LostByFailOver(_)]), "{lost:?}");
}

/// A guest has filled a cart, and its session is lost before a page has named it. What is read in
/// the end is another session.
#[test]
fn a_loss_is_excused_by_the_session_that_was_written() {
    let mut cart = Ledger::default();
    let guest = Sent {
        session: Some(session(2)),
        ..sent(Known::Acknowledged, Instant::now())
    };
    cart.note_item(1, guest);
    cart.note_item(2, sent(Known::Acknowledged, Instant::now()));
    assert_eq!(cart.acknowledged(), 2);
    let of = |lost: u8| cart.compare(&page(None, &[2]), |id, _, _| id == session(lost));
    assert!(matches!(of(2)[..], [Finding::LostByFailOver(_)]));
    assert!(matches!(of(1)[..], [Finding::Lost(_)]));
    cart.note_item(
        3,
        Sent {
            session: None,
            ..guest
        },
    );
    let unnamed = cart.compare(&page(None, &[1, 2]), ALWAYS);
    assert!(matches!(unnamed[..], [Finding::Lost(_)]), "{unnamed:?}");
}
