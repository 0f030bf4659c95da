//! Holds the format still: tokens of a fixed key and nonce, computed by another implementation.

use std::collections::HashMap;

use session_core::store::{Record, RecordKey, SessionStore};
use session_core::{Codec, KeyRing, Lifetime, SessionId, Timestamp};

use crate::seal::Sealing;
use crate::seal::{NONCE, Suite, hint};
use crate::store::CookieStore;

const SIGNED: &str = include_str!("../tests/golden/signed.txt");
const ENCRYPTED: &str = include_str!("../tests/golden/encrypted.txt");

struct Golden(HashMap<&'static str, &'static str>);

impl Golden {
    fn read(text: &'static str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self(lines.map(|line| line.split_once(" = ").unwrap()).collect())
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        let hex = self.0[name].as_bytes().chunks(2);
        hex.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn time(&self, name: &str) -> Timestamp {
        Timestamp::from_millis(self.0[name].parse().unwrap())
    }

    fn ring(&self) -> KeyRing {
        KeyRing::new(self.bytes("key")).unwrap()
    }

    fn suite(&self, sealing: Sealing) -> Suite {
        Suite::new(sealing, &self.ring(), self.0["scope"])
    }

    fn token(&self) -> &'static str {
        self.0["token"]
    }

    fn check(&self, sealing: Sealing, nonce: &[u8; NONCE]) {
        let suite = self.suite(sealing);
        let record = self.bytes("record");
        let (issued, expires) = (self.time("issued"), self.time("expires"));
        assert_eq!(
            suite.seal(&record, issued, expires, nonce).unwrap(),
            self.token()
        );

        let (named, id) = hint(self.token().as_bytes()).unwrap();
        assert_eq!(named, sealing);
        let opened = suite.open(id, self.token().as_bytes()).unwrap();
        assert_eq!(opened.expires(), expires);
        assert_eq!(opened.into_payload(), record);
    }

    async fn load(&self, store: CookieStore) -> Record {
        let key = RecordKey::sealed(self.0["scope"], self.token());
        let loaded = store.load(&key, self.time("issued")).await.unwrap();
        (*loaded.unwrap()).clone()
    }
}

fn record() -> Record {
    let id = SessionId::from_bytes(*b"0123456789abcdef");
    let now = Timestamp::from_millis(1_700_000_000_000);
    Record::new(id, "__Host-id", Lifetime::default(), now)
        .with_principal("user:42")
        .with_value("visits", Codec::Json.encode(&3).unwrap())
        .with_value("name", Codec::Json.encode("Ada").unwrap())
        .with_value("packed", Codec::Postcard.encode(&(300_u16, true)).unwrap())
}

#[tokio::test]
async fn signed_tokens_keep_their_format() {
    let golden = Golden::read(SIGNED);
    golden.check(Sealing::Signed, &[0; NONCE]);
    assert_eq!(
        golden.load(CookieStore::signed(golden.ring())).await,
        record()
    );
}

#[tokio::test]
async fn encrypted_tokens_keep_their_format() {
    let golden = Golden::read(ENCRYPTED);
    golden.check(
        Sealing::Encrypted,
        &golden.bytes("nonce").try_into().unwrap(),
    );
    assert_eq!(
        golden.load(CookieStore::encrypted(golden.ring())).await,
        record()
    );
}

mod damaged {
    //! What is authentic and yet no record: only a key's holder can make it.

    use super::*;
    use session_core::store::StoreError;

    async fn load(sealing: Sealing, payload: &[u8], sealed_until: Timestamp, now: u64) -> Loaded {
        let keys = KeyRing::new([1; 32]).unwrap();
        let suite = Suite::new(sealing, &keys, "__Host-id");
        let token = suite
            .seal(
                payload,
                Timestamp::from_millis(0),
                sealed_until,
                &[3; NONCE],
            )
            .unwrap();
        let store = match sealing {
            Sealing::Signed => CookieStore::signed(keys),
            Sealing::Encrypted => CookieStore::encrypted(keys),
        };
        let key = RecordKey::sealed("__Host-id", token);
        store.load(&key, Timestamp::from_millis(now)).await
    }

    type Loaded = Result<Option<std::sync::Arc<Record>>, StoreError>;

    const NEVER: Timestamp = Timestamp::from_millis(u64::MAX);

    #[tokio::test]
    async fn an_authentic_record_that_cannot_be_read_is_corrupt() {
        for sealing in [Sealing::Signed, Sealing::Encrypted] {
            for payload in [&b""[..], b"\x01", b"\x02", b"secret words"] {
                let error = load(sealing, payload, NEVER, 0).await.unwrap_err();
                assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
                assert!(!format!("{error:?} {error}").contains("secret"));
            }
        }
    }

    #[tokio::test]
    async fn an_expired_one_that_cannot_be_read_is_a_miss() {
        for sealing in [Sealing::Signed, Sealing::Encrypted] {
            let until = Timestamp::from_millis(5);
            assert!(load(sealing, b"", until, 5).await.unwrap().is_none());
            assert!(load(sealing, b"", until, 4).await.is_err());
        }
    }

    #[tokio::test]
    async fn an_expired_one_never_looks_live() {
        let good = record();
        let end = good.expires_at();
        for sealing in [Sealing::Signed, Sealing::Encrypted] {
            let early = Timestamp::from_millis(end.as_millis() - 1);
            for until in [early, end, NEVER] {
                let loaded = load(sealing, &good.encode(), until, end.as_millis())
                    .await
                    .unwrap();
                assert_eq!(loaded.as_deref(), Some(&good));
            }
            let loaded = load(sealing, &good.encode(), early, early.as_millis()).await;
            assert!(
                loaded.unwrap().is_none(),
                "its seal has expired and its record has not"
            );
        }
    }

    #[tokio::test]
    async fn the_record_has_the_last_word_on_expiry_and_scope() {
        let good = record();
        let other_scope = Record::new(good.id(), "admin", good.lifetime(), good.created_at());
        let end = good.expires_at().as_millis();
        for sealing in [Sealing::Signed, Sealing::Encrypted] {
            let bytes = good.encode();
            assert!(
                load(sealing, &bytes, NEVER, end - 1)
                    .await
                    .unwrap()
                    .is_some()
            );
            let late = load(sealing, &bytes, NEVER, end).await.unwrap();
            assert!(late.is_some_and(|late| !late.is_live(Timestamp::from_millis(end))));
            assert!(
                load(sealing, &other_scope.encode(), NEVER, 0)
                    .await
                    .unwrap()
                    .is_none()
            );
        }
    }
}
