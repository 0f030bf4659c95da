//! Ids, lifetimes, limits, records and errors: exact values at each boundary.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::error::Error as _;
use std::time::Duration;

use session_core::store::{Record, RecordKey, StoreError, Value};
use session_core::{
    Codec, Lifetime, Limit, LimitExceeded, Limits, MalformedId, OnCorrupt, SessionError, SessionId,
    Timeouts, Timestamp,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const MILLI: Duration = Duration::from_millis(1);

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn json(text: &str) -> Value {
    Value::new(Codec::Json, text.to_owned())
}

mod ids {
    use super::*;

    fn id() -> SessionId {
        SessionId::from_bytes(std::array::from_fn(|at| 0xa0 + at as u8))
    }

    #[test]
    fn an_id_is_22_characters() {
        assert_eq!(id().encode(), "oKGio6SlpqeoqaqrrK2urw");
        assert_eq!("oKGio6SlpqeoqaqrrK2urw".parse(), Ok(id()));
        assert_eq!(id().as_bytes()[..3], [0xa0, 0xa1, 0xa2]);
        assert_eq!(SessionId::from_bytes([0; 16]).encode(), "A".repeat(22));
    }

    #[test]
    fn an_id_has_one_spelling() {
        for text in [
            "",
            "oKGio6SlpqeoqaqrrK2ur",
            "oKGio6SlpqeoqaqrrK2urwA",
            "oKGio6SlpqeoqaqrrK2urw==",
            "oKGio6SlpqeoqaqrrK2ur=",
            "oKGio6SlpqeoqaqrrK2ur+",
            " KGio6SlpqeoqaqrrK2urw",
            "oKGio6SlpqeoqaqrrK2ué",
        ] {
            assert_eq!(text.parse::<SessionId>(), Err(MalformedId), "{text}");
        }
        // The last character has 4 spare bits: `w` is 48, and 49 to 63 say the same bytes.
        for last in "xyz0123456789-_".chars() {
            let text = format!("oKGio6SlpqeoqaqrrK2ur{last}");
            assert_eq!(text.parse::<SessionId>(), Err(MalformedId), "{text}");
        }
        assert_eq!(
            MalformedId.to_string(),
            "not a session id: expected 22 characters of base64url without padding, as \
             `SessionId::encode` makes them"
        );
    }

    #[test]
    fn logs_show_a_short_hash() {
        assert_eq!(id().short().to_string(), "503563c1");
        assert_eq!(format!("{:?}", id().short()), "503563c1");
        assert_eq!(format!("{:?}", id()), "SessionId(503563c1)");
        assert_eq!(
            SessionId::from_bytes([7; 16]).short().to_string(),
            "d761d406",
            "SHA-256 by another implementation"
        );
    }

    #[test]
    fn ids_are_drawn() {
        let drawn: std::collections::HashSet<_> =
            (0..100).map(|_| SessionId::random().unwrap()).collect();
        assert_eq!(drawn.len(), 100);
    }

    #[test]
    fn keys_of_a_store() {
        let sealed = RecordKey::sealed("id", "secret");
        assert_eq!(RecordKey::from(id()), RecordKey::Id(id()));
        assert_eq!(RecordKey::Id(id()).id(), Some(id()));
        assert_eq!(sealed.id(), None);
        assert_eq!(format!("{:?}", RecordKey::Id(id())), "RecordKey(503563c1)");
        assert_eq!(format!("{sealed:?}"), "RecordKey(sealed)");
    }
}

mod lifetimes {
    use super::*;

    #[test]
    fn presets() {
        let timeouts = |lifetime: Lifetime| {
            assert!(!lifetime.is_persistent());
            (lifetime.idle(), lifetime.absolute())
        };
        assert_eq!(timeouts(Lifetime::default()), (HOUR * 2, DAY * 14));
        assert_eq!(timeouts(Lifetime::aal1()), (DAY * 30, DAY * 30));
        assert_eq!(timeouts(Lifetime::aal2()), (HOUR, HOUR * 24));
        assert_eq!(timeouts(Lifetime::aal3()), (SECOND * 900, HOUR * 12));
    }

    #[test]
    fn bounds() {
        let refusal = |idle, absolute| Lifetime::new(idle, absolute).unwrap_err().to_string();
        let zero = "the idle timeout is zero; use at least a millisecond";
        assert_eq!(refusal(Duration::ZERO, HOUR), zero);
        assert_eq!(refusal(Duration::ZERO, Duration::ZERO), zero);
        assert_eq!(refusal(MILLI - Duration::from_nanos(1), HOUR), zero);
        let longer = "the idle timeout is longer than the absolute one; make it at most as long";
        assert_eq!(refusal(HOUR + MILLI, HOUR), longer);
        assert_eq!(refusal(MILLI, Duration::ZERO), longer);
        let century = "the absolute timeout is more than a hundred years";
        assert_eq!(refusal(HOUR, DAY * 36_525 + MILLI), century);
        assert_eq!(refusal(Duration::MAX, Duration::MAX), century);

        let least = Lifetime::new(MILLI, MILLI).unwrap();
        assert_eq!((least.idle(), least.absolute()), (MILLI, MILLI));
        let most = Lifetime::new(DAY * 36_525, DAY * 36_525).unwrap();
        assert_eq!((most.idle(), most.absolute()), (DAY * 36_525, DAY * 36_525));
    }

    #[test]
    fn whole_milliseconds() {
        let odd = Duration::from_nanos(1_999_999);
        let lifetime = Lifetime::new(odd, SECOND + odd).unwrap();
        assert_eq!(lifetime.idle(), MILLI);
        assert_eq!(lifetime.absolute(), SECOND + MILLI);
        // Otherwise a record would not come back as it was written.
        let record = Record::new(SessionId::from_bytes([0; 16]), "id", lifetime, at(0));
        assert_eq!(Record::decode(record.encode()).unwrap(), record);
    }

    #[test]
    fn persistence_is_asked_for() {
        let lifetime = Lifetime::new(HOUR, DAY).unwrap();
        assert!(!lifetime.is_persistent());
        assert!(lifetime.persistent().is_persistent());
        assert_eq!(lifetime.persistent().idle(), HOUR);
        assert_eq!(lifetime.persistent().absolute(), DAY);
    }

    #[test]
    fn activity_is_written_at_most_once_a_minute() {
        let interval = |idle| Lifetime::new(idle, DAY * 30).unwrap().touch_interval();
        assert_eq!(interval(SECOND * 240), SECOND * 60);
        assert_eq!(interval(SECOND * 240 - MILLI * 4), SECOND * 60 - MILLI);
        assert_eq!(interval(SECOND * 240 + MILLI * 4), SECOND * 60);
        assert_eq!(interval(DAY), SECOND * 60);
        assert_eq!(interval(MILLI * 8), MILLI * 2);
    }
}

mod records {
    use super::*;

    fn record() -> Record {
        let lifetime = Lifetime::new(SECOND * 10, SECOND * 30).unwrap();
        Record::new(SessionId::from_bytes([3; 16]), "scope", lifetime, at(5_000))
    }

    #[test]
    fn a_new_record() {
        let record = record();
        assert_eq!(record.id(), SessionId::from_bytes([3; 16]));
        assert_eq!(record.scope(), "scope");
        assert_eq!((record.version(), record.epoch()), (1, 0));
        assert_eq!(
            (record.created_at(), record.last_seen()),
            (at(5_000), at(5_000))
        );
        assert_eq!(record.absolute_expiry(), at(35_000));
        assert_eq!(record.expires_at(), at(15_000));
        assert_eq!(record.authenticated_at(), None);
        assert_eq!((record.principal(), record.label()), (None, None));
        assert_eq!(record.lifetime().idle(), SECOND * 10);
        assert!(record.values().is_empty());
    }

    #[test]
    fn a_record_expires_at_its_expiry() {
        assert!(record().is_live(at(0)));
        assert!(record().is_live(at(14_999)));
        assert!(!record().is_live(at(15_000)));
        assert!(!record().is_live(at(u64::MAX)));
    }

    #[test]
    fn the_deadline_wins_over_activity() {
        let lifetime = Lifetime::new(SECOND * 10, SECOND * 10).unwrap();
        let record = Record::new(SessionId::from_bytes([3; 16]), "scope", lifetime, at(5_000));
        let touch = session_core::store::Metadata::Touched(at(14_000));
        let touched = session_core::store::Changes::new()
            .with_metadata(touch)
            .apply(&record);
        assert_eq!(touched.last_seen(), at(14_000));
        assert_eq!(touched.expires_at(), at(15_000));
    }

    #[test]
    fn builders() {
        let record = record()
            .with_value("b", json("1"))
            .with_value("a", json("2"))
            .with_value("b", json("3"))
            .with_principal("user:42")
            .with_version(9);
        let values: Vec<_> = record.values().iter().collect();
        assert_eq!(values, [("a", &json("2")), ("b", &json("3"))]);
        assert_eq!(record.principal(), Some("user:42"));
        assert_eq!(record.authenticated_at(), Some(at(5_000)));
        assert_eq!(record.version(), 9);
    }

    #[test]
    fn the_size_is_an_upper_bound() {
        assert_eq!(record().size(), 160 + 5);
        assert_eq!(record().with_principal("user:42").size(), 165 + 7);
        assert_eq!(
            record().with_value("key", json("12345")).size(),
            165 + 3 + 5 + 9
        );
    }

    #[test]
    fn debug_shows_no_secret() {
        let record = record()
            .with_value("card", json("\"hunter2\""))
            .with_principal("user:42");
        let shown = format!("{record:?}");
        assert_eq!(
            shown,
            format!(
                "Record {{ id: {:?}, version: 1, epoch: 0, created: Timestamp(5000), \
                 last_seen: Timestamp(5000), deadline: Timestamp(35000), values: 1, .. }}",
                record.id()
            )
        );
    }
}

mod texts {
    use super::*;

    #[test]
    fn defaults() {
        let limits = Limits::default();
        assert_eq!(
            (limits.record_bytes(), limits.keys(), limits.key_bytes()),
            (1_048_576, 1_024, 1_024)
        );
        let timeouts = Timeouts::default();
        assert_eq!(
            (timeouts.call(), timeouts.commit()),
            (SECOND * 2, SECOND * 10)
        );
        assert_eq!(OnCorrupt::default(), OnCorrupt::StartEmpty);
    }

    #[test]
    fn limits() {
        let (size, count, limit) = (11, 11, 10);
        let cases = [
            (
                LimitExceeded::new(Limit::RecordBytes, size, limit),
                "the session would be 11 bytes, the limit is 10; store less, or keep it elsewhere \
                 and store its name",
            ),
            (
                LimitExceeded::new(Limit::Keys, count, limit),
                "the session would have 11 keys, the limit is 10; group values in one struct",
            ),
            (
                LimitExceeded::new(Limit::KeyBytes, size, limit),
                "a name of 11 bytes is longer than the limit of 10; use a shorter key, principal \
                 or label",
            ),
            (
                LimitExceeded::new(Limit::TokenBytes, size, limit),
                "the sealed session would be 11 bytes, the limit is 10; store less, allow more \
                 chunks, or use a store on the server",
            ),
        ];
        for (error, text) in cases {
            assert_eq!(error.to_string(), text);
            assert_eq!(StoreError::from(error).to_string(), text);
            assert_eq!(SessionError::from(error).to_string(), text);
        }
    }

    #[test]
    fn errors_of_a_store() {
        let cases = [
            (
                StoreError::IdTaken,
                "the session id is taken; draw another",
                None,
            ),
            (
                StoreError::corrupt("why"),
                "the stored session record cannot be read; delete it if it is damaged, update \
                 this program if a newer one has written it",
                Some("why"),
            ),
            (
                StoreError::unavailable("why"),
                "the session store is unavailable; nothing was written, try again later",
                Some("why"),
            ),
            (
                StoreError::outcome_unknown("why"),
                "the session store did not say whether a write was applied; load the session \
                 again before relying on it",
                Some("why"),
            ),
            (
                StoreError::Full { capacity: 7 },
                "the session store is full at 7 sessions; raise its capacity or shorten lifetimes",
                None,
            ),
            (
                StoreError::Unsupported("that"),
                "this session store does not support that",
                None,
            ),
        ];
        for (error, text, cause) in cases {
            let source = error.source().map(ToString::to_string);
            assert_eq!(
                (error.to_string().as_str(), source.as_deref()),
                (text, cause)
            );
            let wrapped = SessionError::from(error);
            let source = wrapped.source().map(ToString::to_string);
            assert_eq!(
                (wrapped.to_string().as_str(), source.as_deref()),
                (text, cause)
            );
        }
    }
}
