//! What is not exactly what a key sealed is a miss.

mod common;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{NOW, SCOPE, both, key, opens, record, ring, seal, token};
use session_cookie::{CookieStore, Sealing};
use session_core::store::{Record, RecordKey, SessionStore};
use session_core::{Ended, Lifetime, SessionId};
use std::sync::Arc;

#[tokio::test]
async fn every_flipped_bit_is_a_miss() {
    for store in both(1) {
        let token = seal(&store, &record()).await;
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let flipped = key(URL_SAFE_NO_PAD.encode(&bytes));
            assert!(!opens(&store, &flipped).await, "bit {bit}");
        }
        assert!(opens(&store, &key(token)).await);
    }
}

#[tokio::test]
async fn every_other_character_is_a_miss() {
    for store in both(1) {
        let token = seal(&store, &record()).await;
        for at in 0..token.len() {
            for other in ["A", "_", "=", "+", "/", " ", ".", "\0", "é"] {
                if token[at..].starts_with(other) {
                    continue;
                }
                let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
                assert!(!opens(&store, &key(changed)).await, "{other:?} at {at}");
            }
        }
    }
}

#[tokio::test]
async fn shorter_and_longer_tokens_are_misses() {
    for store in both(1) {
        let token = seal(&store, &record()).await;
        for length in 0..token.len() {
            assert!(
                !opens(&store, &key(&token[..length])).await,
                "{length} characters"
            );
            assert!(!opens(&store, &key(&token[length + 1..])).await);
        }
        for more in ["A", "AA", "AAA", "AAAA", "=", "==", " ", "\n", "."] {
            assert!(
                !opens(&store, &key(format!("{token}{more}"))).await,
                "{more:?}"
            );
            assert!(
                !opens(&store, &key(format!("{more}{token}"))).await,
                "{more:?}"
            );
        }
        assert!(!opens(&store, &key(format!("{token}{token}"))).await);
    }
}

#[tokio::test]
async fn one_sealed_record_has_one_spelling() {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for store in both(1) {
        for padding in 0..3 {
            let value = session_core::Codec::Json
                .encode(&"x".repeat(padding))
                .unwrap();
            let record = Arc::new((*record()).clone().with_value("padding", value));
            let token = seal(&store, &record).await;
            let spare = match token.len() % 4 {
                0 => 0,
                2 => 4,
                _ => 2,
            };
            let (front, last) = token.split_at(token.len() - 1);
            let value = ALPHABET
                .iter()
                .position(|c| *c == last.as_bytes()[0])
                .unwrap();
            for other in 1..1 << spare {
                let spelling = format!("{front}{}", char::from(ALPHABET[value | other]));
                assert!(!opens(&store, &key(spelling)).await);
            }
            let padded = format!("{token}{}", "=".repeat((4 - token.len() % 4) % 4));
            assert_eq!(opens(&store, &key(&padded)).await, padded == token);
            let standard = token.replace('-', "+").replace('_', "/");
            assert_eq!(opens(&store, &key(&standard)).await, standard == token);
        }
    }
}

#[tokio::test]
async fn another_scope_is_a_miss() {
    for store in both(1) {
        let token = seal(&store, &record()).await;
        for scope in ["", "__Host-i", "__Host-id2", "__host-id", "admin"] {
            let elsewhere = RecordKey::sealed(scope, token.as_str());
            assert!(store.load(&elsewhere, NOW).await.unwrap().is_none());
            assert!(!opens(&store, &elsewhere).await);
        }
    }
}

#[tokio::test]
async fn another_key_is_a_miss() {
    for (store, other) in both(1).into_iter().zip(both(2)) {
        let token = seal(&store, &record()).await;
        assert!(!opens(&other, &key(token)).await);
    }
}

#[tokio::test]
async fn the_id_of_another_key_is_a_miss() {
    let ring = ring(1).with_older([2; 32]).unwrap();
    for (store, other) in [
        CookieStore::signed(ring.clone()),
        CookieStore::encrypted(ring),
    ]
    .into_iter()
    .zip(both(2))
    {
        let mut bytes = URL_SAFE_NO_PAD
            .decode(seal(&store, &record()).await)
            .unwrap();
        let theirs = URL_SAFE_NO_PAD
            .decode(seal(&other, &record()).await)
            .unwrap();
        bytes[2..6].copy_from_slice(&theirs[2..6]);
        assert!(!opens(&store, &key(URL_SAFE_NO_PAD.encode(bytes))).await);
    }
}

#[tokio::test]
async fn another_algorithm_or_version_is_a_miss() {
    let [signed, encrypted] = both(1);
    let tolerant = [
        CookieStore::signed(ring(1)).with_former_sealing(Sealing::Encrypted),
        CookieStore::encrypted(ring(1)).with_former_sealing(Sealing::Signed),
    ];
    for sealed in [
        seal(&signed, &record()).await,
        seal(&encrypted, &record()).await,
    ] {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).unwrap();
        for version in 0..=255 {
            for algorithm in 0..=255 {
                if [version, algorithm] == bytes[..2] {
                    continue;
                }
                let mut bytes = bytes.clone();
                bytes[0] = version;
                bytes[1] = algorithm;
                let relabelled = key(URL_SAFE_NO_PAD.encode(bytes));
                for store in &tolerant {
                    assert!(store.load(&relabelled, NOW).await.unwrap().is_none());
                }
            }
        }
    }
}

#[tokio::test]
async fn garbage_is_a_miss() {
    let genuine = seal(&CookieStore::signed(ring(1)), &record()).await;
    let limit = 4096;
    let garbage = [
        String::new(),
        "A".to_owned(),
        "=".repeat(4),
        "not a token; nor a cookie".to_owned(),
        "\u{0}\u{1}\u{7f}".repeat(30),
        "ключ🍪".repeat(20),
        "A".repeat(limit),
        "A".repeat(limit + 1),
        "AQEx".repeat(limit / 4),
        "_".repeat(1_000_000),
        SessionId::from_bytes([1; 16]).encode(),
        URL_SAFE_NO_PAD.encode([1, 1]),
        URL_SAFE_NO_PAD.encode([[1; 54].as_slice(), &[0; 100]].concat()),
        genuine[..22].to_owned(),
        genuine.to_uppercase(),
        genuine.chars().rev().collect(),
        format!("\"{genuine}\""),
        format!("{}.{}", &genuine[..40], &genuine[40..]),
    ];
    for store in both(1) {
        for text in &garbage {
            assert!(!opens(&store, &key(text)).await, "{:?}", &text.get(..20));
        }
    }
}

#[tokio::test]
async fn a_token_beyond_the_limit_is_not_even_opened() {
    let roomy = CookieStore::signed(ring(1)).with_chunks(2).unwrap();
    let value = session_core::Codec::Json
        .encode(&"x".repeat(4_000))
        .unwrap();
    let large = Arc::new((*record()).clone().with_value("large", value));
    let sealed = roomy.create(&large, NOW).await.unwrap();
    assert!(token(&sealed).len() > 4096);
    assert!(opens(&roomy, &sealed).await);
    assert!(!opens(&CookieStore::signed(ring(1)), &sealed).await);
}

#[tokio::test]
async fn the_key_of_a_store_on_the_server_is_a_miss() {
    for store in both(1) {
        let id = RecordKey::Id(record().id());
        assert!(!opens(&store, &id).await);
        store.delete(&id, Ended::default()).await.unwrap();
    }
}

#[tokio::test]
async fn an_update_for_another_scope_is_gone() {
    for store in both(1) {
        let sealed = store.create(&record(), NOW).await.unwrap();
        let other = Record::new(record().id(), "admin", Lifetime::default(), NOW);
        assert_ne!(other.scope(), SCOPE);
        let updated = common::update(&store, &sealed, &Arc::new(other), NOW)
            .await
            .unwrap();
        assert!(matches!(updated, session_core::store::Updated::Gone));
    }
}
