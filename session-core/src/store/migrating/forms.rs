//! The forms that a record takes while it moves.

use crate::error::StoreError;
use crate::record::{Record, SessionId, Tag, TokenHash, TokenHistory, Values};
use crate::store::{Changes, Metadata};
use crate::time::Timestamp;

/// The first epoch of places. No session is renewed so many times, and an epoch of 14 digits is one
/// that every engine keeps exactly.
const FIRST: u64 = 1 << 45;

/// An empty record in the new store, where a session will be; known by its epoch.
#[derive(Clone, Copy)]
pub(super) struct Place(u64);

impl Place {
    pub(super) fn draw() -> Result<Self, StoreError> {
        let id = SessionId::random().map_err(StoreError::unavailable)?;
        let random = id
            .as_bytes()
            .iter()
            .fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
        Ok(Self(FIRST + random % FIRST))
    }

    /// The place that a record is, or that a frozen record names.
    pub(super) const fn of(record: &Record) -> Self {
        Self(record.epoch)
    }

    pub(super) const fn epoch(self) -> u64 {
        self.0
    }

    /// The place that fits `record`: filling it makes its version that of the record.
    pub(super) fn for_record(self, record: &Record) -> Record {
        Record {
            epoch: self.0,
            version: record.version.saturating_sub(1),
            tokens: TokenHistory::default(),
            csrf_seed: [0; 16],
            values: Values::default(),
            // Whoever fills or deletes it makes it again, and knows no tag of it.
            tag: None,
            ..record.clone()
        }
    }
}

/// Whether a record of the new store is a place.
pub(super) const fn is_place(record: &Record) -> bool {
    is_epoch_of_place(record.epoch)
}

/// Whether a record of the old store is frozen.
pub(super) const fn is_frozen(record: &Record) -> bool {
    is_epoch_of_place(record.epoch)
}

/// Epochs above those of places are those of marks.
const fn is_epoch_of_place(epoch: u64) -> bool {
    epoch >= FIRST && epoch < 2 * FIRST
}

/// The record as it stays in the old store until it has moved. Its tokens are spoilt, so that a
/// node that knows only the old store lets nobody in. An additional first token keeps the epoch.
pub(super) fn frozen(record: &Record, place: u64) -> Record {
    let epoch = TokenHash {
        hash: [0; 32],
        issued: Timestamp::default(),
        epoch: record.epoch,
        confirmed: None,
        retired: None,
    };
    Record {
        epoch: place,
        version: record.version + 1,
        tokens: [epoch]
            .into_iter()
            .chain(record.tokens().iter().map(inverted))
            .collect(),
        tag: Some(Tag::draw()),
        ..record.clone()
    }
}

/// The record that was frozen.
pub(super) fn thawed(frozen: &Record) -> Record {
    Record {
        epoch: frozen.tokens().first().map_or(0, |first| first.epoch),
        version: frozen.version.saturating_sub(1),
        tokens: frozen.tokens().iter().skip(1).map(inverted).collect(),
        tag: Some(Tag::draw()),
        ..frozen.clone()
    }
}

fn inverted(token: &TokenHash) -> TokenHash {
    TokenHash {
        hash: token.hash.map(|byte| !byte),
        ..*token
    }
}

/// The changes that make `after` of `before`.
pub(super) fn changes_between(before: &Record, after: &Record) -> Changes {
    let changes = Changes::new().with_metadata(Metadata::Replaced);
    if before.values == after.values {
        return changes;
    }
    let sets = after.values.iter();
    sets.fold(changes.clear(), |changes, (key, value)| {
        changes.set(key, value.clone())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Codec, Lifetime};

    fn sample() -> Record {
        let id = SessionId::from_bytes([7; 16]);
        let token = TokenHash {
            hash: [3; 32],
            issued: Timestamp::from_millis(5),
            epoch: 4,
            confirmed: Some(Timestamp::from_millis(6)),
            retired: None,
        };
        let record = Record::new(id, "id", Lifetime::default(), Timestamp::from_millis(5))
            .with_principal("ann")
            .with_value("a", Codec::Json.encode(&1).unwrap())
            .with_version(9);
        Record {
            epoch: 4,
            csrf_seed: [9; 16],
            tokens: [token, token].into_iter().collect(),
            ..record
        }
    }

    #[test]
    fn what_is_frozen_thaws_whole() {
        let record = sample();
        let place = Place::draw().unwrap();
        let frozen = Record::decode(frozen(&record, place.epoch()).encode()).unwrap();
        assert!(is_frozen(&frozen) && !is_frozen(&record));
        assert_eq!((frozen.version, frozen.principal()), (10, Some("ann")));
        assert_eq!(thawed(&frozen), record);
    }

    #[test]
    fn what_lies_in_between_opens_for_nobody() {
        let record = sample();
        let place = Place::draw().unwrap();
        let frozen = frozen(&record, place.epoch());
        assert!(frozen.tokens().iter().all(|token| token.hash != [3; 32]));
        let empty = place.for_record(&record);
        assert!(is_place(&empty) && empty.tokens().is_empty() && empty.values.is_empty());
        assert_eq!((empty.version, empty.principal()), (8, Some("ann")));
        assert_eq!(
            (empty.csrf_seed, empty.expires_at()),
            ([0; 16], record.expires_at())
        );
    }

    #[test]
    fn no_two_places_are_alike_and_all_are_exact_in_fourteen_digits() {
        let all: std::collections::HashSet<_> =
            (0..1000).map(|_| Place::draw().unwrap().epoch()).collect();
        assert_eq!(all.len(), 1000);
        assert!(
            all.iter()
                .all(|epoch| (FIRST..100_000_000_000_000).contains(epoch))
        );
    }
}
