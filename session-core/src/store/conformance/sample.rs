//! Records to try a store with, and how they are compared.

use std::sync::Arc;
use std::time::Duration;

use super::edit::Edit;
use super::rng::Rng;
use super::trial::{Check, Trial, ensure, failed};
use crate::record::{Codec, DeviceKey, Lifetime, Record, SessionId, TokenHash, Value};
use crate::store::Changes;
use crate::time::Timestamp;

const SCOPE: &str = "__Host-id";
const MINUTE: Duration = Duration::from_secs(60);

impl Trial {
    /// Drawn by the operating system and not from the seed: what an earlier run of the
    /// same seed left in a database must not be in the way.
    pub(super) fn id(&self) -> Check<SessionId> {
        SessionId::random().or_else(|error| failed(error.to_string()))
    }

    pub(super) fn principal(&self) -> Check<String> {
        Ok(format!("user:{}", self.id()?.encode()))
    }

    /// A record with one value, idle after two hours.
    pub(super) fn record(&self) -> Check<Record> {
        Ok(self.record_of(self.id()?))
    }

    pub(super) fn record_of(&self, id: SessionId) -> Record {
        Record::new(id, SCOPE, Lifetime::default(), self.now()).with_value("first", number(1))
    }

    /// When the records of [`brief`](Self::brief) expire: soon for the sake of `delete_expired`,
    /// which must not sweep what others keep in the same store; not too soon for an engine that
    /// expires by itself.
    pub(super) fn soon(&self) -> Timestamp {
        self.now() + MINUTE
    }

    /// A record that was left alone for almost two hours and expires at [`soon`](Self::soon).
    pub(super) fn brief(&self) -> Check<Record> {
        let mut record = self.record()?;
        record.created = before(self.soon(), record.lifetime().idle());
        record.last_seen = record.created;
        record.deadline = record.created + record.lifetime().absolute();
        Ok(record)
    }

    /// A record with something in every field.
    pub(super) fn rich(&self, rng: &mut Rng) -> Check<Record> {
        let hours = |count: usize| MINUTE * 60 * u32::try_from(count).unwrap_or(1);
        let idle = hours(rng.between(2, 48)) + Duration::from_millis(7);
        let absolute = idle + hours(rng.between(1, 876_000 - 48));
        let mut lifetime = Lifetime::new(idle, absolute)
            .or_else(|error| failed(format!("a lifetime: {error}")))?;
        if rng.coin() {
            lifetime = lifetime.persistent();
        }
        let seen = self.now() + Duration::from_millis(rng.next() % 5_000);
        let mut record = Record::new(self.id()?, SCOPE, lifetime, self.now());
        record.epoch = rng.next() % 1_000;
        record.last_seen = seen;
        record.deadline += Duration::from_millis(rng.next() % 1_000);
        record.authenticated = rng.coin().then_some(seen);
        record.principal = match rng.below(3) {
            0 => None,
            1 => Some(self.principal()?.into()),
            _ => Some(format!("{}\0 ü$.*:{{}}\"\\'\n", self.principal()?).into()),
        };
        record.label = rng.coin().then(|| "Zoë's 📱, \"work\"".into());
        record.csrf_seed.copy_from_slice(&rng.bytes(16));
        record.tokens = (0..rng.below(5)).map(|_| token(rng, self.now())).collect();
        for at in 0..rng.below(8) {
            record = record.with_value(format!("value-{at}"), any_value(rng));
        }
        record.owed = rng.coin();
        if rng.coin() {
            let mut key = [0; 64];
            key.copy_from_slice(&rng.bytes(64));
            record = record.with_device(DeviceKey::from_bytes(key), seen);
        }
        Ok(record)
    }
}

pub(super) fn before(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_millis(
        at.as_millis()
            .saturating_sub(by.as_millis().try_into().unwrap_or(0)),
    )
}

/// One millisecond earlier.
pub(super) fn just_before(at: Timestamp) -> Timestamp {
    before(at, Duration::from_millis(1))
}

pub(super) fn token(rng: &mut Rng, now: Timestamp) -> TokenHash {
    let mut hash = [0; 32];
    hash.copy_from_slice(&rng.bytes(32));
    TokenHash {
        hash,
        issued: now,
        epoch: rng.next() % 3,
        confirmed: rng.coin().then_some(now),
        retired: rng.coin().then(|| now + MINUTE),
    }
}

/// An update of any kind.
pub(super) fn any_edit(trial: &Trial, base: &Record, rng: &mut Rng) -> Edit {
    let edit = Edit::of(base, Changes::new().set("late", number(1)));
    match rng.below(5) {
        0 => edit,
        1 => edit.meeting(base.version()),
        2 => Edit::of(base, Changes::new().clear()),
        3 => Edit::touching(base, trial.now() + MINUTE),
        _ => Edit::replacing(base, Changes::new(), |record| record.epoch += 1),
    }
}

pub(super) fn number(n: u64) -> Value {
    Value::new(Codec::Json, n.to_string())
}

/// The number under a key; an error where there is none.
pub(super) fn number_at(record: &Record, key: &str) -> Check<u64> {
    match record.values().get(key).map(Value::decode::<u64>) {
        Some(Ok(n)) => Ok(n),
        Some(Err(fault)) => failed(format!(
            "the value under {key:?} is not the number written: {fault}"
        )),
        None => failed(format!(
            "version {} has lost the key {key:?}",
            record.version()
        )),
    }
}

/// A value whose very bytes have to come back: a store that reads and writes it anew is found out.
pub(super) fn any_value(rng: &mut Rng) -> Value {
    const TEXTS: [&str; 8] = [
        "null",
        "\"\"",
        "1.0",
        " { \"b\" : 1,\n\"a\":\t[ ] } ",
        "18446744073709551615",
        "1e400",
        "\"\\u00e9\\u0000 \u{2028} \u{1f980}\"",
        "{\"a\":1,\"a\":2}",
    ];
    if rng.below(5) == 0 {
        return Value::new(Codec::Sealed, rng.bytes(50));
    }
    match rng.below(4) {
        0 => Value::new(Codec::Postcard, Vec::new()),
        1 => Value::new(Codec::Postcard, (0..=u8::MAX).collect::<Vec<_>>()),
        2 => {
            let count = rng.between(1, 40);
            Value::new(Codec::Postcard, rng.bytes(count))
        }
        _ => Value::new(Codec::Json, TEXTS[rng.below(TEXTS.len())]),
    }
}

/// The record has to be there, and the one that was written.
pub(super) fn same(expected: &Record, found: Option<Arc<Record>>, when: &str) -> Check {
    let Some(found) = found else {
        return failed(format!("{when}: there is no record"));
    };
    let difference = difference(expected, &found);
    ensure!(
        difference.is_none(),
        "{when}: the record is not the one expected: {}",
        difference.unwrap_or_default()
    );
    Ok(())
}

/// Which part differs, if any. Names keys, never values.
pub(super) fn difference(expected: &Record, found: &Record) -> Option<String> {
    macro_rules! compare {
        ($($field:ident),*) => {
            $(if expected.$field != found.$field {
                return Some(format!(
                    concat!("`", stringify!($field), "` is {:?} instead of {:?}"),
                    found.$field, expected.$field
                ));
            })*
        };
    }
    compare!(id, scope, version, epoch, created, last_seen, deadline);
    compare!(
        authenticated,
        principal,
        label,
        lifetime,
        csrf_seed,
        owed,
        tokens
    );
    for (key, value) in expected.values().iter() {
        match found.values().get(key) {
            None => return Some(format!("the key {key:.40?} is lost")),
            Some(other) if other != value => {
                return Some(format!("the value under {key:.40?} is another one"));
            }
            Some(_) => {}
        }
    }
    let more = found
        .values()
        .iter()
        .find(|(key, _)| expected.values().get(key).is_none());
    if let Some((key, _)) = more {
        return Some(format!("there is a key {key:.40?} that should not be"));
    }
    (expected != found).then(|| "the records are not equal".into())
}
