//! Law 5: nothing before something (S4, S37).

use std::sync::Arc;

use futures_util::FutureExt;
use session_core::{Codec, Directive, KeyRing, Outcome, Session, SessionManager};
use session_tests::{Backend, CountingStore, Counts, anonymous, create, open, token_of};

type Handler = fn(&Session);

/// What a handler does, and what it may cost at most.
fn costs(backend: Backend, handler: impl Fn(&Session)) -> Counts {
    let store = CountingStore::new(backend.store());
    let manager = SessionManager::new(Arc::clone(&store));
    let run = async {
        let token = create(&manager, [("n", 1), ("m", 2)]).await;
        store.take();
        let session = open(&manager, &token).await;
        handler(&session);
        let directive = session.finish(Outcome::Success).await.unwrap();
        let counts = store.take();
        if counts == Counts::LOAD {
            assert_eq!(directive, Directive::Nothing);
        }
        counts
    };
    run.now_or_never().unwrap()
}

#[test]
fn a_client_without_a_token_costs_nothing_until_something_is_stored() {
    for backend in Backend::ALL {
        let store = CountingStore::new(backend.store());
        let manager = SessionManager::new(Arc::clone(&store));
        let run = async {
            let session = anonymous(&manager).await;
            assert_eq!(session.get::<u64>("n").unwrap(), None);
            assert!(session.is_empty() && session.is_new() && session.id().is_none());
            session.remove("n");
            session.clear();
            session.renew().unwrap();
            session.destroy().unwrap();
            session.set_label("phone").unwrap();
            session.insert("n", 1).unwrap();
            session.remove("n");
            session
                .update("m", |m: Option<u64>| m.unwrap_or(0))
                .unwrap();
            assert!(session.take::<u64>("m").unwrap().is_some());
            session.save().await.unwrap();
            assert_eq!(
                session.finish(Outcome::Success).await.unwrap(),
                Directive::Nothing
            );
            assert_eq!(store.take(), Counts::NONE, "{backend:?}");

            let session = anonymous(&manager).await;
            session.insert("n", 1).unwrap();
            token_of(&session.finish(Outcome::Success).await.unwrap());
            assert_eq!(store.take(), Counts::CREATE, "{backend:?}");
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn no_write_where_nothing_changed() {
    for backend in Backend::ALL {
        let cases: [(&str, Handler); 9] = [
            ("nothing", |_| {}),
            ("an equal insert", |s| s.insert("n", 1).unwrap()),
            ("remove of a missing key", |s| assert!(!s.remove("missing"))),
            ("take of a missing key", |s| {
                assert_eq!(s.take::<u64>("missing").unwrap(), None);
            }),
            ("an update to the same value", |s| {
                s.update("n", |n: Option<u64>| n.unwrap()).unwrap();
            }),
            ("there and back", |s| {
                s.insert("n", 2).unwrap();
                s.insert("n", 1).unwrap();
            }),
            ("removed and put back", |s| {
                s.remove("n");
                s.insert("n", 1).unwrap();
            }),
            ("a new key that is gone again", |s| {
                s.insert("new", 1).unwrap();
                s.remove("new");
            }),
            ("cleared and put back", |s| {
                s.clear();
                s.insert("m", 2).unwrap();
                s.insert("n", 1).unwrap();
            }),
        ];
        for (name, handler) in cases {
            assert_eq!(costs(backend, handler), Counts::LOAD, "{backend:?}: {name}");
        }
    }
}

#[test]
fn what_changed_is_written() {
    // The counterpart, without which a store that never writes would pass.
    for backend in Backend::ALL {
        let cases: [(&str, Handler); 6] = [
            ("another value", |s| s.insert("n", 2).unwrap()),
            ("a new key", |s| s.insert("new", 1).unwrap()),
            ("a removed key", |s| assert!(s.remove("n"))),
            ("cleared", |s| s.clear()),
            ("cleared and put back in part", |s| {
                s.clear();
                s.insert("n", 1).unwrap();
            }),
            ("a renewal", |s| s.renew().unwrap()),
        ];
        for (name, handler) in cases {
            assert_eq!(
                costs(backend, handler),
                Counts::LOAD_UPDATE,
                "{backend:?}: {name}"
            );
        }
    }
}

#[test]
fn a_value_by_another_codec_is_another_value() {
    let store = CountingStore::new(Backend::Memory.store());
    let json = SessionManager::new(Arc::clone(&store));
    let postcard = SessionManager::builder(Arc::clone(&store));
    let postcard = postcard.codec(Codec::Postcard).build().unwrap();
    let run = async {
        let token = create(&json, [("n", 300)]).await;
        let session = open(&postcard, &token).await;
        assert_eq!(session.get("n").unwrap(), Some(300u64));
        store.take();
        session.insert("n", 300u64).unwrap();
        session.finish(Outcome::Success).await.unwrap();
        assert_eq!(store.take().updates, 1);
        assert_eq!(open(&json, &token).await.get("n").unwrap(), Some(300u64));
    };
    run.now_or_never().unwrap();
}

#[test]
fn a_token_that_fails_its_mac_reaches_no_store() {
    let store = CountingStore::new(Backend::Memory.store());
    let builder = SessionManager::builder(Arc::clone(&store)).keys(KeyRing::new([1; 32]).unwrap());
    let manager = builder.build().unwrap();
    let run = async {
        let token = create(&manager, [("n", 1)]).await;
        let last = if token.ends_with('A') { 'Q' } else { 'A' };
        let forged = format!("{}{last}", &token[..64]);
        store.take();
        let session = open(&manager, &forged).await;
        assert!(session.is_new());
        assert_eq!(
            session.finish(Outcome::Success).await.unwrap(),
            Directive::Nothing
        );
        assert_eq!(store.take(), Counts::NONE);
        drop(open(&manager, &token).await);
        assert_eq!(store.take(), Counts::LOAD);
    };
    run.now_or_never().unwrap();
}

#[test]
fn what_is_no_token_reaches_no_store() {
    // S5: character set and length are checked before anything reaches the store.
    let store = CountingStore::new(Backend::Memory.store());
    let manager = SessionManager::new(Arc::clone(&store));
    let long = "A".repeat(100_000);
    let words = [
        "",
        "x",
        long.as_str(),
        &long[..42],
        &long[..44],
        &long[..65],
        "\0",
        "../../etc/passwd",
        "é",
    ];
    let spoilt = format!("{}=", &long[..42]);
    let spare = format!("{}B", &long[..42]);
    let run = async {
        for word in words.into_iter().chain([spoilt.as_str(), spare.as_str()]) {
            assert!(open(&manager, word).await.is_new());
            assert_eq!(store.take(), Counts::NONE, "{word:.20?}");
        }
    };
    run.now_or_never().unwrap();
}
