//! What a sealed store does with what it sealed itself.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Make, NOW, SCOPE, both, key, opens, opens_at, record, ring, seal, token, update};
use session_cookie::{CookieStore, Sealing};
use session_core::store::{Record, RecordKey, RecordLocation, SessionStore, StoreError, Updated};
use session_core::{
    Codec, Ended, KeyRing, Lifetime, Limit, LimitExceeded, SessionError, SessionId, SessionManager,
    Timestamp,
};

#[tokio::test]
async fn a_record_comes_back_as_it_was() {
    for store in both(1) {
        let sealed = store.create(&record(), NOW).await.unwrap();
        assert_eq!(store.load(&sealed, NOW).await.unwrap().unwrap(), record());
    }
}

#[tokio::test]
async fn an_update_hands_back_a_new_key() {
    for store in both(1) {
        let first = store.create(&record(), NOW).await.unwrap();
        let value = Codec::Json.encode(&1).unwrap();
        let after = Arc::new(
            (*record())
                .clone()
                .with_value("more", value)
                .with_version(2),
        );
        let Updated::Saved {
            key: second,
            version,
            ..
        } = update(&store, &first, &after, NOW).await.unwrap()
        else {
            panic!("the key is genuine");
        };
        assert_eq!(version, 2);
        assert_ne!(first, second);
        assert_eq!(store.load(&second, NOW).await.unwrap().unwrap(), after);
        // Nothing is kept, so the first one still opens: the front page says what that means.
        assert_eq!(store.load(&first, NOW).await.unwrap().unwrap(), record());
    }
}

#[tokio::test]
async fn deleting_is_left_to_the_client() {
    for store in both(1) {
        let sealed = store.create(&record(), NOW).await.unwrap();
        store.delete(&sealed, Ended::default()).await.unwrap();
        store.delete(&sealed, Ended::default()).await.unwrap();
        store
            .delete(&key("garbage"), Ended::default())
            .await
            .unwrap();
        assert_eq!(store.delete_expired(NOW).await.unwrap(), 0);
        assert!(opens(&store, &sealed).await);
    }
}

#[tokio::test]
async fn principals_are_not_supported() {
    for store in both(1) {
        assert!(store.principals().is_none());
        let manager = SessionManager::new(store);
        let error = manager.sign_out_everywhere("user:42").await.unwrap_err();
        let SessionError::Store(error @ StoreError::Unsupported(_)) = error else {
            panic!("{error:?}")
        };
        let advice =
            "; use a store on the server, or `CookieStore::with_cut_off` to end all of them";
        assert!(error.to_string().ends_with(advice), "{error}");
        assert!(!error.to_string().contains("user:42"));
    }
}

#[tokio::test]
async fn a_record_expires_at_the_very_millisecond() {
    for store in both(1) {
        let sealed = store.create(&record(), NOW).await.unwrap();
        let end = record().expires_at();
        assert!(opens_at(&store, &sealed, Timestamp::from_millis(end.as_millis() - 1)).await);
        assert!(!opens_at(&store, &sealed, end).await);
        assert!(!opens_at(&store, &sealed, Timestamp::from_millis(u64::MAX)).await);
        let late = store.load(&sealed, end).await.unwrap();
        assert_eq!(late, Some(record()), "so that its expiry can be told");
    }
}

#[tokio::test]
async fn an_update_to_an_expired_record_is_gone() {
    let brief = Lifetime::new(Duration::from_millis(1), Duration::from_millis(1)).unwrap();
    let over = Arc::new(Record::new(record().id(), SCOPE, brief, NOW));
    for store in both(1) {
        let sealed = store.create(&record(), NOW).await.unwrap();
        let later = over.expires_at();
        assert!(opens_at(&store, &sealed, later).await);
        let updated = update(&store, &sealed, &over, later).await.unwrap();
        assert!(matches!(updated, Updated::Gone));
    }
}

#[tokio::test]
async fn keys_rotate() {
    let old = ring(1);
    let new = KeyRing::from_keys([[2; 32], [1; 32]]).unwrap();
    let only_new = ring(2);
    let makes: [Make; 2] = [CookieStore::signed, CookieStore::encrypted];
    for make in makes {
        let before = make(old.clone()).create(&record(), NOW).await.unwrap();
        let store = make(new.clone());
        assert!(opens(&store, &before).await);

        let Updated::Saved { key: after, .. } =
            update(&store, &before, &record(), NOW).await.unwrap()
        else {
            panic!("the key is genuine");
        };
        assert!(opens(&make(only_new.clone()), &after).await);
        assert!(!opens(&make(old.clone()), &after).await);
        assert!(!opens(&make(only_new.clone()), &before).await);
    }
}

#[tokio::test]
async fn the_other_algorithm_opens_on_request_only() {
    let makes: [(Make, Sealing); 2] = [
        (CookieStore::signed, Sealing::Signed),
        (CookieStore::encrypted, Sealing::Encrypted),
    ];
    for ((former, sealing), (current, own)) in [(makes[0], makes[1]), (makes[1], makes[0])] {
        let before = former(ring(1)).create(&record(), NOW).await.unwrap();
        assert!(!opens(&current(ring(1)), &before).await);
        assert!(!opens(&current(ring(1)).with_former_sealing(own), &before).await);
        assert!(!opens(&current(ring(2)).with_former_sealing(sealing), &before).await);

        let store = current(ring(1)).with_former_sealing(sealing);
        assert!(opens(&store, &before).await);
        let Updated::Saved { key: after, .. } =
            update(&store, &before, &record(), NOW).await.unwrap()
        else {
            panic!("the key is genuine");
        };
        assert!(opens(&current(ring(1)), &after).await);
        assert!(!opens(&former(ring(1)), &after).await);
    }
}

#[tokio::test]
async fn a_store_that_has_opened_can_still_be_told_to_open_more() {
    let before = seal(&CookieStore::signed(ring(1)), &record()).await;
    let store = CookieStore::encrypted(ring(1));
    assert!(!opens(&store, &key(&*before)).await);
    assert!(opens(&store.with_former_sealing(Sealing::Signed), &key(&*before)).await);
}

#[tokio::test]
async fn scopes_are_kept_apart_in_one_store() {
    for store in both(1) {
        let records = (0..200).map(|n| {
            let scope = format!("scope {n}");
            Arc::new(Record::new(record().id(), scope, Lifetime::default(), NOW))
        });
        for record in records {
            let sealed = store.create(&record, NOW).await.unwrap();
            assert!(matches!(&sealed, RecordKey::Sealed { scope, .. } if *scope == record.scope()));
            assert_eq!(store.load(&sealed, NOW).await.unwrap().unwrap(), record);
            assert!(
                store
                    .load(&key(token(&sealed)), NOW)
                    .await
                    .unwrap()
                    .is_none()
            );
        }
    }
}

#[test]
fn chunks_are_one_to_eight() {
    for chunks in [0, 9, usize::MAX] {
        let error = CookieStore::signed(ring(1))
            .with_chunks(chunks)
            .unwrap_err();
        assert!(error.to_string().contains(&chunks.to_string()));
    }
    for chunks in 1..=8 {
        let store = CookieStore::encrypted(ring(1)).with_chunks(chunks).unwrap();
        let client = RecordLocation::client(62, chunks);
        assert_eq!(store.location(), client);
    }
}

/// A record whose token has `chars` characters, or one more where base64 has no such length.
fn record_for(store: &CookieStore, chars: usize) -> Arc<Record> {
    let RecordLocation::Client { overhead, .. } = store.location() else {
        panic!("it is a sealed store");
    };
    let empty = Record::new(
        SessionId::from_bytes([0; 16]),
        SCOPE,
        Lifetime::default(),
        NOW,
    );
    let bytes = (chars * 3).div_ceil(4) - overhead;
    let value = |length| Codec::Json.encode(&"x".repeat(length)).unwrap();
    (0..bytes)
        .rev()
        .map(|length| empty.clone().with_value("v", value(length)))
        .find(|record| record.encode().len() == bytes)
        .map(Arc::new)
        .unwrap()
}

#[tokio::test]
async fn a_token_of_the_limit_passes_and_one_beyond_it_says_both_sizes() {
    for chunks in [1, 3, 8] {
        for store in both(1).map(|store| store.with_chunks(chunks).unwrap()) {
            let limit = chunks * 4096;
            let fits = record_for(&store, limit);
            let sealed = store.create(&fits, NOW).await.unwrap();
            assert_eq!(token(&sealed).len(), limit);
            assert!(opens(&store, &sealed).await);

            let large = record_for(&store, limit + 1);
            for error in [
                store.create(&large, NOW).await.unwrap_err(),
                update(&store, &sealed, &large, NOW).await.unwrap_err(),
            ] {
                let StoreError::TooLarge(exceeded) = error else {
                    panic!("{error}");
                };
                let expected = LimitExceeded::new(Limit::TokenBytes, limit + 2, limit);
                assert_eq!(exceeded, expected);
            }
        }
    }
}

#[tokio::test]
async fn the_overhead_is_exact() {
    for store in both(1) {
        let RecordLocation::Client { overhead, .. } = store.location() else {
            panic!("it is a sealed store");
        };
        for length in 0..50 {
            let value = Codec::Json.encode(&"x".repeat(length)).unwrap();
            let record = Arc::new((*record()).clone().with_value("v", value));
            let chars = ((record.encode().len() + overhead) * 4).div_ceil(3);
            assert_eq!(seal(&store, &record).await.len(), chars);
        }
    }
}

#[tokio::test]
async fn an_encrypted_token_shows_nothing_and_never_repeats() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let store = CookieStore::encrypted(ring(1));
    let tokens = [seal(&store, &record()).await, seal(&store, &record()).await];
    let bytes = tokens.map(|token| URL_SAFE_NO_PAD.decode(token).unwrap());
    assert_ne!(bytes[0][22..46], bytes[1][22..46]);
    for bytes in bytes {
        assert!(!String::from_utf8_lossy(&bytes).contains("secret"));
    }
}

#[tokio::test]
async fn nothing_secret_shows() {
    for store in both(b'K') {
        let large = Codec::Json.encode(&"value-secret".repeat(1_000)).unwrap();
        let large = Arc::new((*record()).clone().with_value("large", large));
        let sealed = store.create(&record(), NOW).await.unwrap();
        let updated = update(&store, &sealed, &record(), NOW).await.unwrap();
        let too_large = store.create(&large, NOW).await.unwrap_err();
        let texts = [
            format!("{store:?}"),
            format!("{sealed:?} {updated:?}"),
            format!("{too_large} {too_large:?}"),
        ];
        for text in texts {
            for secret in ["secret", "KKKK", "75, 75", "4b4b", &token(&sealed)[..12]] {
                assert!(!text.contains(secret), "{text}");
            }
        }
    }
    assert_eq!(
        format!(
            "{:?}",
            CookieStore::signed(ring(1)).with_former_sealing(Sealing::Encrypted)
        ),
        "CookieStore { sealing: Signed, opens: [Signed, Encrypted], cookies: 1, cut_off: none, \
         keys: 1, .. }"
    );
}
