//! Whatever comes in, nothing panics; whatever goes in, comes out.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{both, key, record, seal};
use proptest::prelude::*;
use session_core::store::{Record, RecordKey, SessionStore, Value};
use session_core::{Codec, Lifetime, SessionId, Timestamp};

fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn values() -> impl Strategy<Value = Vec<(String, Value)>> {
    let value = (any::<bool>(), any::<Vec<u8>>()).prop_map(|(json, bytes)| {
        let codec = if json { Codec::Json } else { Codec::Postcard };
        Value::new(codec, bytes)
    });
    proptest::collection::vec((any::<String>(), value), 0..8)
}

prop_compose! {
    fn records()(
        id in any::<[u8; 16]>(),
        scope in any::<String>(),
        principal in any::<Option<String>>(),
        idle in 1..1_000_000_u64,
        more in 0..1_000_000_u64,
        persistent in any::<bool>(),
        now in 0..u64::MAX / 2,
        version in 0..1_u64 << 53,
        values in values(),
    ) -> Record {
        let millis = Duration::from_millis;
        let lifetime = Lifetime::new(millis(idle), millis(idle + more)).unwrap();
        let lifetime = if persistent { lifetime.persistent() } else { lifetime };
        let id = SessionId::from_bytes(id);
        let now = Timestamp::from_millis(now);
        let mut record = Record::new(id, scope, lifetime, now).with_version(version);
        if let Some(principal) = principal {
            record = record.with_principal(principal);
        }
        values.into_iter().fold(record, |record, (key, value)| record.with_value(key, value))
    }
}

proptest! {
    #[test]
    fn any_text_is_a_miss(text in any::<String>(), scope in any::<String>(), now in any::<u64>()) {
        let sealed = RecordKey::sealed(scope, text);
        for store in both(1) {
            prop_assert!(wait(store.load(&sealed, Timestamp::from_millis(now))).unwrap().is_none());
        }
    }

    #[test]
    fn any_bytes_under_a_genuine_header_are_a_miss(
        bytes in any::<Vec<u8>>(),
        kept in 0..50_usize,
        now in any::<u64>(),
    ) {
        for store in both(1) {
            let genuine = URL_SAFE_NO_PAD.decode(wait(seal(&store, &record()))).unwrap();
            let forged = [&genuine[..kept], &bytes].concat();
            let sealed = key(URL_SAFE_NO_PAD.encode(forged));
            prop_assert!(wait(store.load(&sealed, Timestamp::from_millis(now))).unwrap().is_none());
        }
    }

    #[test]
    fn any_record_comes_back(record in records()) {
        for store in both(1) {
            let store = store.with_chunks(8).unwrap();
            let record = Arc::new(record.clone());
            let now = record.created_at();
            let sealed = wait(store.create(&record, now)).unwrap();
            let loaded = wait(store.load(&sealed, now)).unwrap();
            prop_assert_eq!(loaded, Some(Arc::clone(&record)));
            // So that its expiry can be told.
            let late = wait(store.load(&sealed, record.expires_at())).unwrap();
            prop_assert_eq!(late, Some(record));
        }
    }
}
