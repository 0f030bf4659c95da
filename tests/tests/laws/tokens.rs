//! What a client holds, and what it may present instead (S1, S5, S9, S39).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use session_core::store::{RecordKey, SessionStore};
use session_core::{Directive, KeyRing, ManualClock, MemoryStore, Outcome, SessionManager};
use session_tests::story::clock;
use session_tests::{Backend, CountingStore, Counts, create, open, token_of};

const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn ring(keys: &[u8]) -> KeyRing {
    KeyRing::from_keys(keys.iter().map(|key| [*key; 32])).unwrap()
}

fn manager(
    store: &Arc<dyn SessionStore>,
    scope: &str,
    keys: &[u8],
    clock: &Arc<ManualClock>,
) -> SessionManager {
    let builder = SessionManager::builder(Arc::clone(store))
        .scope(scope.to_owned())
        .clock(Arc::clone(clock));
    let builder = if keys.is_empty() {
        builder
    } else {
        builder.keys(ring(keys))
    };
    builder.build().unwrap()
}

fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

#[test]
fn a_token_has_43_characters_without_keys_and_65_with() {
    for (keys, length) in [(&[][..], 43), (&[1][..], 65), (&[1, 2][..], 65)] {
        let manager = manager(&Backend::Memory.store(), "id", keys, &clock());
        let mut seen = HashSet::new();
        for _ in 0..200 {
            let token = now(create(&manager, [("n", 1)]));
            assert_eq!(token.len(), length);
            assert!(token.chars().all(|c| ALPHABET.contains(c)), "{token}");
            assert!(seen.insert(token));
        }
    }
}

#[test]
fn a_token_has_one_spelling() {
    for keys in [&[][..], &[1][..]] {
        let manager = manager(&Backend::Memory.store(), "id", keys, &clock());
        for _ in 0..4 {
            let token = now(create(&manager, [("n", 1)]));
            let mut opened = 0;
            // Any other character anywhere, spare bits among them, opens nothing.
            for at in 0..token.len() {
                for c in ALPHABET.chars() {
                    let other = format!("{}{c}{}", &token[..at], &token[at + 1..]);
                    let live = !now(open(&manager, &other)).is_new();
                    assert_eq!(live, other == token, "{at}: {c}");
                    opened += u32::from(live);
                }
            }
            assert_eq!(opened as usize, token.len());
            for other in [
                format!("{token}="),
                format!(" {token}"),
                format!("{token}\n"),
                format!("\"{token}\""),
                token.to_lowercase(),
                token[..token.len() - 1].to_owned(),
                format!("{token}A"),
                format!("{token}{token}"),
            ] {
                assert!(now(open(&manager, &other)).is_new(), "{other}");
            }
        }
    }
}

#[test]
fn with_keys_a_token_without_a_mac_is_refused_and_the_other_way_round() {
    let store = Backend::Memory.store();
    let plain = manager(&store, "id", &[], &clock());
    let signed = manager(&store, "id", &[1], &clock());
    let token = now(create(&plain, [("n", 1)]));
    assert!(now(open(&signed, &token)).is_new());
    let token = now(create(&signed, [("n", 1)]));
    assert!(now(open(&plain, &token)).is_new());
}

#[test]
fn another_scope_or_another_ring_opens_nothing() {
    for keys in [&[][..], &[1][..]] {
        let store = Backend::Memory.store();
        let here = manager(&store, "here", keys, &clock());
        let there = manager(&store, "there", keys, &clock());
        let token = now(create(&here, [("n", 1)]));
        assert!(now(open(&there, &token)).is_new(), "{keys:?}");
        assert!(!now(open(&here, &token)).is_new());
    }
    let store = Backend::Memory.store();
    let token = now(create(&manager(&store, "id", &[1], &clock()), [("n", 1)]));
    assert!(now(open(&manager(&store, "id", &[2], &clock()), &token)).is_new());
    assert!(!now(open(&manager(&store, "id", &[2, 1], &clock()), &token)).is_new());
}

#[test]
fn keys_rotate_without_logging_anyone_out() {
    let store = Backend::Memory.store();
    let clock = clock();
    let counted = CountingStore::new(Arc::clone(&store));
    let counting: Arc<dyn SessionStore> = Arc::clone(&counted) as _;
    let before = manager(&counting, "id", &[1], &clock);
    let during = manager(&counting, "id", &[2, 1], &clock);
    let after = manager(&counting, "id", &[2], &clock);
    let run = async {
        let old = create(&before, [("n", 1)]).await;
        let session = open(&during, &old).await;
        assert_eq!(session.get("n").unwrap(), Some(1));
        assert_eq!(
            session.finish(Outcome::Success).await.unwrap(),
            Directive::Nothing,
            "no write for that alone"
        );

        // Signed anew with the next touch.
        clock.advance(Duration::from_secs(60));
        let session = open(&during, &old).await;
        let id = session.id();
        let new = token_of(&session.finish(Outcome::Success).await.unwrap());
        assert_ne!(new, old);
        assert_eq!(new[..43], old[..43], "the same secret, another MAC");

        // A removed key is a clean miss, without a call of the store.
        counted.take();
        let session = open(&after, &old).await;
        assert!(session.is_new());
        assert_eq!(
            session.finish(Outcome::Success).await.unwrap(),
            Directive::Nothing
        );
        assert_eq!(counted.take(), Counts::NONE);
        assert_eq!(open(&after, &new).await.id(), id);
        assert_eq!(open(&during, &old).await.id(), id);
    };
    now(run);
}

#[test]
fn a_renewal_is_signed_with_the_newest_key() {
    let store = Backend::Memory.store();
    let clock = clock();
    let run = async {
        let old = create(&manager(&store, "id", &[1], &clock), [("n", 1)]).await;
        let during = manager(&store, "id", &[2, 1], &clock);
        let after = manager(&store, "id", &[2], &clock);
        let mut token = old;
        for _ in 0..9 {
            let session = open(&during, &token).await;
            session.renew().unwrap();
            token = token_of(&session.finish(Outcome::Success).await.unwrap());
            assert_eq!(open(&after, &token).await.get("n").unwrap(), Some(1));
        }
    };
    now(run);
}

#[test]
fn several_tokens_of_one_session_are_one_session() {
    let store = CountingStore::new(MemoryStore::new());
    let manager = SessionManager::new(Arc::clone(&store));
    let run = async {
        let token = create(&manager, [("n", 1)]).await;
        store.take();
        let session = manager.begin(&[&token, &token, &token]).await.unwrap();
        assert_eq!(session.get("n").unwrap(), Some(1));
        assert_eq!(store.take(), Counts::LOAD, "the same one is looked at once");
    };
    now(run);
}

#[test]
fn two_live_sessions_in_one_request_make_it_anonymous() {
    for backend in Backend::ALL {
        let manager = SessionManager::new(backend.store());
        let run = async {
            let mine = create(&manager, [("n", 1)]).await;
            let planted = create(&manager, [("n", 2)]).await;
            for tokens in [
                [mine.as_str(), planted.as_str()],
                [planted.as_str(), mine.as_str()],
            ] {
                let session = manager.begin(&tokens).await.unwrap();
                assert!(session.is_new() && session.is_empty(), "{backend:?}");
                assert_eq!(
                    session.finish(Outcome::Success).await.unwrap(),
                    Directive::Nothing
                );
            }
            // S30: one that opens nothing does not keep the other from opening.
            let stale = "A".repeat(43);
            for tokens in [
                [mine.as_str(), stale.as_str()],
                [stale.as_str(), mine.as_str()],
            ] {
                let session = manager.begin(&tokens).await.unwrap();
                assert_eq!(session.get("n").unwrap(), Some(1), "{backend:?}");
            }
        };
        now(run);
    }
}

#[test]
fn at_most_four_tokens_are_looked_at() {
    let store = CountingStore::new(MemoryStore::new());
    let manager = SessionManager::new(Arc::clone(&store));
    let run = async {
        let mine = create(&manager, [("n", 1)]).await;
        let others: Vec<_> = (0..1_000u32).map(|n| format!("{n:0>42}A")).collect();
        store.take();
        let mut tokens: Vec<_> = others.iter().map(String::as_str).collect();
        tokens.insert(3, &mine);
        let session = manager.begin(&tokens).await.unwrap();
        assert_eq!(session.get("n").unwrap(), Some(1));
        assert_eq!(store.take().loads, 4);
        tokens.swap(3, 4);
        assert!(manager.begin(&tokens).await.unwrap().is_new());
        assert_eq!(store.take().loads, 4);
    };
    now(run);
}

#[test]
fn a_stolen_store_yields_no_live_session() {
    // S9: at rest there is only a hash of what the client holds.
    let manager = SessionManager::new(MemoryStore::new());
    let run = async {
        let token = create(&manager, [("n", 1)]).await;
        let session = open(&manager, &token).await;
        let id = session.id().unwrap();
        let now = session_core::Clock::now(&session_core::SystemClock);
        let record = manager
            .store()
            .load(&RecordKey::Id(id), now)
            .await
            .unwrap()
            .unwrap();
        let stolen = record.encode();
        // The secret half, from the middle of the 22nd character on, whole characters only.
        let secret = &token.as_bytes()[22..];
        assert!(
            !stolen
                .windows(8)
                .any(|window| secret.windows(8).any(|part| part == window))
        );
        let bits = decode(&token);
        assert!(!stolen.windows(16).any(|window| window == &bits[16..]));
        assert!(
            stolen.windows(16).any(|window| window == &bits[..16]),
            "the id is there"
        );
    };
    now(run);
}

/// Base64url, by hand.
fn decode(token: &str) -> Vec<u8> {
    let mut bits = 0u32;
    let mut held = 0;
    let mut bytes = Vec::new();
    for c in token.chars() {
        bits = bits << 6 | ALPHABET.find(c).unwrap() as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    bytes
}
