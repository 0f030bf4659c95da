//! Keys that know their type, and values under them that another version wrote.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::error::Error as StdError;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use session_core::{
    Directive, Event, EventKind, MemoryStore, Outcome, SessionError, SessionGuard, SessionManager,
    TypedKey,
};

type BoxError = Box<dyn StdError + Send + Sync>;

const CART: TypedKey<Vec<String>> = TypedKey::new("cart");
const DISCARDED: TypedKey<Vec<String>> = CART.or_discard();

type Seen = Arc<Mutex<Vec<(String, bool)>>>;

/// A manager, and the reasons of its events of values that could not be decoded, with whether they
/// name a session.
fn stage() -> (SessionManager, Seen) {
    let seen = Seen::default();
    let notes = Arc::clone(&seen);
    let manager = SessionManager::builder(MemoryStore::new())
        .observer(move |event: &Event<'_>| {
            if event.kind == EventKind::Undecodable {
                let note = (event.reason.to_owned(), event.session().is_some());
                notes.lock().unwrap().push(note);
            }
        })
        .build()
        .unwrap();
    (manager, seen)
}

fn events(seen: &Seen) -> usize {
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert!(seen.iter().all(|(key, _)| key == "cart"), "{seen:?}");
    seen.len()
}

async fn anonymous(manager: &SessionManager) -> SessionGuard {
    manager.begin(&[]).await.unwrap()
}

/// The token of a session whose cart is a number, which another version wrote.
async fn numbered(manager: &SessionManager) -> String {
    let session = anonymous(manager).await;
    session.insert("cart", 7).unwrap();
    match session.finish(Outcome::Success).await.unwrap() {
        Directive::Hold(token) => token.as_str().to_owned(),
        other => unreachable!("{other:?}"),
    }
}

fn tea() -> Vec<String> {
    vec!["tea".to_owned()]
}

#[tokio::test]
async fn it_is_the_entry_of_its_name() {
    let (manager, _) = stage();
    let session = anonymous(&manager).await;
    session.at(CART).insert(tea()).unwrap();
    let cart = tea();
    session.at(CART).insert(&cart).unwrap();
    assert_eq!(session.get("cart").unwrap(), Some(tea()));
    assert_eq!(session.keys(), [CART.name()]);
    session.insert("cart", Vec::<String>::new()).unwrap();
    assert_eq!(session.at(CART).get().unwrap(), Some(Vec::new()));
    assert!(session.at(CART).exists() && session.at(CART).remove());
    assert!(!session.at(CART).exists() && !session.at(CART).remove());
    assert_eq!(session.at(CART).get().unwrap(), None);
    assert!(session.is_empty());
}

#[test]
fn a_key_is_a_constant_that_asks_nothing_of_its_type() {
    fn shared<T: Send + Sync + Copy + std::fmt::Debug + 'static>(_: T) {}
    const LOCAL: TypedKey<Rc<Cell<u8>>> = TypedKey::new("local");
    shared(LOCAL);
    assert_eq!(format!("{LOCAL:?}"), r#"TypedKey("local")"#);
    assert_eq!(LOCAL.or_discard().name(), "local");
}

#[tokio::test]
async fn an_error_names_the_type_of_the_key() {
    let (manager, seen) = stage();
    let session = anonymous(&manager).await;
    session.insert("cart", 7).unwrap();
    let entry = session.at(CART);
    let more = |cart: Option<Vec<String>>| cart.unwrap_or_default();
    let refuse = |_: &mut Option<Vec<String>>| Err::<(), BoxError>("never called".into());
    let taken = entry.take_now().await;
    let updated = entry.update_now(more).await;
    let faults = [
        entry.get().unwrap_err(),
        entry.take().unwrap_err(),
        taken.unwrap_err(),
        updated.unwrap_err(),
        entry.update(more).unwrap_err(),
        entry.modify(|cart| *cart = None).unwrap_err(),
        *entry.try_modify(refuse).unwrap_err().downcast().unwrap(),
    ];
    for fault in faults {
        let SessionError::Decode { key, type_name, .. } = &fault else {
            unreachable!("{fault:?}")
        };
        assert!(key == "cart" && type_name.contains("Vec"), "{fault}");
    }
    assert!(entry.exists(), "there is a value, whatever it is");
    assert_eq!(session.get("cart").unwrap(), Some(7), "it stays");
    assert_eq!(events(&seen), 0);
}

#[tokio::test]
async fn what_is_not_of_the_type_reads_as_absent_where_the_key_says_so() {
    let (manager, seen) = stage();
    let token = numbered(&manager).await;
    let open = async || {
        let session = manager.begin(&[token.as_str()]).await.unwrap();
        session.insert("cart", 8).unwrap();
        session
    };

    let session = manager.begin(&[token.as_str()]).await.unwrap();
    assert_eq!(session.at(DISCARDED).get().unwrap(), None);
    assert_eq!(*seen.lock().unwrap(), [("cart".to_owned(), true)]);
    assert_eq!(events(&seen), 1);
    assert!(!session.at(DISCARDED).exists());
    assert_eq!(
        session.get("cart").unwrap(),
        Some(7),
        "to read is not to write"
    );
    assert!(!session.needs_commit());
    assert_eq!(events(&seen), 1);

    let session = open().await;
    let first = |cart: Option<Vec<String>>| cart.map_or_else(tea, |_| Vec::new());
    assert_eq!(session.at(DISCARDED).update(first).unwrap(), tea());
    assert_eq!(session.at(CART).get().unwrap(), Some(tea()));
    assert_eq!(events(&seen), 1);

    let session = open().await;
    let was_none = session
        .at(DISCARDED)
        .modify(|cart| cart.replace(tea()).is_none());
    assert!(was_none.unwrap());
    assert_eq!(session.at(DISCARDED).get().unwrap(), Some(tea()));
    assert_eq!(events(&seen), 1);

    let session = open().await;
    assert_eq!(session.at(DISCARDED).take().unwrap(), None);
    assert!(!session.contains_key("cart"));
    assert_eq!(events(&seen), 1);

    let session = open().await;
    session.at(DISCARDED).insert(tea()).unwrap();
    assert_eq!(events(&seen), 0, "an insert does not look at it");
}

#[tokio::test]
async fn an_undecodable_value_is_taken_out_of_the_store_at_once() {
    let (manager, seen) = stage();
    let token = numbered(&manager).await;
    let session = manager.begin(&[token.as_str()]).await.unwrap();
    assert_eq!(session.at(DISCARDED).take_now().await.unwrap(), None);
    assert_eq!(events(&seen), 1);
    let other = manager.begin(&[token.as_str()]).await.unwrap();
    assert!(other.is_empty());
    // One that this request made, and one that another request has left meanwhile.
    session.insert("cart", 7).unwrap();
    assert_eq!(session.at(DISCARDED).take_now().await.unwrap(), None);
    assert_eq!(events(&seen), 1);
    other.insert("cart", tea()).unwrap();
    other.save().await.unwrap();
    let session = manager.begin(&[token.as_str()]).await.unwrap();
    other.insert("cart", 9).unwrap();
    other.save().await.unwrap();
    assert_eq!(session.at(DISCARDED).take_now().await.unwrap(), None);
    assert_eq!(events(&seen), 1);
    let after = manager.begin(&[token.as_str()]).await.unwrap();
    assert!(after.is_empty());
}

#[tokio::test]
async fn a_replay_discards_too_and_says_so() {
    let (manager, seen) = stage();
    let token = numbered(&manager).await;
    let writer = manager.begin(&[token.as_str()]).await.unwrap();
    writer.insert("cart", tea()).unwrap();
    writer.save().await.unwrap();

    let session = manager.begin(&[token.as_str()]).await.unwrap();
    let add = |cart: &mut Option<Vec<String>>| cart.get_or_insert_default().push("jam".into());
    session.at(DISCARDED).modify(add).unwrap();
    assert_eq!(session.at(CART).get().unwrap().unwrap(), ["tea", "jam"]);
    writer.insert("cart", 7).unwrap();
    writer.save().await.unwrap();
    assert_eq!(events(&seen), 0);
    session.finish(Outcome::Success).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [("cart".to_owned(), true)]);
    assert_eq!(session.at(CART).get().unwrap().unwrap(), ["jam"]);
}

#[tokio::test]
async fn a_value_that_a_replay_cannot_decode_is_no_refusal() {
    let (manager, _) = stage();
    let token = numbered(&manager).await;
    let writer = manager.begin(&[token.as_str()]).await.unwrap();
    writer.insert("cart", tea()).unwrap();
    writer.save().await.unwrap();
    let session = manager.begin(&[token.as_str()]).await.unwrap();
    let add = |cart: &mut Option<Vec<String>>| {
        cart.get_or_insert_default().push("jam".into());
        Ok::<_, BoxError>(())
    };
    session.at(CART).try_modify(add).unwrap();
    writer.insert("cart", 7).unwrap();
    writer.save().await.unwrap();
    let failed = session.finish(Outcome::Success).await.unwrap_err();
    assert!(
        matches!(failed.error, SessionError::Decode { .. }),
        "{failed:?}"
    );
}

#[tokio::test]
async fn a_sign_in_that_finds_its_session_gone_asks_the_closures_again() {
    let (manager, _) = stage();
    for (refuses, stored) in [(false, true), (true, false)] {
        let token = numbered(&manager).await;
        let session = manager.begin(&[token.as_str()]).await.unwrap();
        let must_be_there = move |n: &mut Option<u64>| match n {
            None if refuses => Err::<_, BoxError>("nothing there".into()),
            n => {
                *n = Some(n.unwrap_or(0) + 1);
                Ok(())
            }
        };
        session.try_modify("cart", must_be_there).unwrap();
        session.sign_in("user:42").unwrap();
        let other = manager.begin(&[token.as_str()]).await.unwrap();
        other.destroy().unwrap();
        other.finish(Outcome::Success).await.unwrap();
        let outcome = session.finish(Outcome::Success).await;
        let outcome = outcome.map_err(SessionError::from);
        assert_eq!(outcome.is_ok(), stored, "{outcome:?}");
        if stored {
            assert_eq!(session.get("cart").unwrap(), Some(1));
        } else {
            assert!(matches!(outcome, Err(SessionError::Refused(_))));
        }
    }
    assert_eq!(manager.sessions_of("user:42").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_change_in_place_is_bounded_by_the_limits() {
    let (manager, _) = stage();
    let session = anonymous(&manager).await;
    session.at(CART).insert(tea()).unwrap();
    let grow = |cart: &mut Option<Vec<String>>| *cart = Some(vec!["x".repeat(2 << 20)]);
    let refused = session.at(CART).modify(grow);
    assert!(
        matches!(refused, Err(SessionError::Limit(_))),
        "{refused:?}"
    );
    assert_eq!(session.at(CART).get().unwrap(), Some(tea()));
    let long = session.modify(&"k".repeat(2_000), |n: &mut Option<u8>| *n = None);
    assert!(matches!(long, Err(SessionError::Limit(_))), "{long:?}");
    session.at(CART).modify(|cart| *cart = None).unwrap();
    assert_eq!((session.len(), session.is_empty()), (0, true));
}
