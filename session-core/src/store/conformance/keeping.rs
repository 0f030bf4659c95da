//! What is read is what was written, whatever it holds.

use std::sync::Arc;

use super::edit::Edit;
use super::sample::any_value;
use super::trial::{Check, Trial, describe, failed, name_of};
use crate::error::StoreError;
use crate::record::{Codec, Value};
use crate::store::{Changes, RecordKey, Updated};
use bytestring::ByteString;

pub(super) async fn round_trip(trial: &Trial) -> Check {
    for mut rng in trial.rounds().take(16) {
        let record = Arc::new(trial.rich(&mut rng)?);
        let key = trial.create(&record).await?;
        trial.expect(&key, &record, "after `create`").await?;
        trial
            .expect(&key, &record, "after `create` and a `load`")
            .await?;
    }
    Ok(())
}

/// Names that mean something to one engine or another.
const NAMES: [&str; 40] = [
    "",
    " ",
    ".",
    "..",
    "a",
    "a.b",
    "a.b.c",
    "a.",
    ".a",
    "$",
    "$set",
    "a$b",
    "$where",
    "0",
    "-1",
    "a.0",
    "A",
    "_id",
    "id",
    "version",
    "epoch",
    "principal",
    "data",
    "meta",
    "__proto__",
    "constructor",
    "\0",
    "a\0b",
    "\n",
    "\r\n",
    "\t",
    "'",
    "\"; --",
    "\\",
    "{}:*?[]",
    "\u{e9}",
    "e\u{301}",
    "日本語",
    "🦀",
    "\u{feff}a",
];

pub(super) async fn any_key_name(trial: &Trial) -> Check {
    let mut rng = trial.rng();
    let long = "k".repeat(1_024);
    let multi = "🦀".repeat(256);
    // What a client holds is small, so a sealed record takes a few at a time.
    let size = if trial.is_sealed() { 5 } else { NAMES.len() };
    for names in NAMES
        .chunks(size)
        .chain([&[long.as_str()][..], &[multi.as_str()][..]])
    {
        let mut record = trial.record()?;
        for name in names {
            record = record.with_value(*name, any_value(&mut rng));
        }
        let mut record = Arc::new(record);
        let mut key = trial.create(&record).await?;
        trial.expect(&key, &record, "after `create`").await?;

        let set = |changes: Changes, name: &&str| changes.set(*name, any_value(&mut rng));
        let odd = names.iter().skip(1).step_by(2);
        for changes in [
            names.iter().fold(Changes::new(), set),
            odd.fold(Changes::new(), |changes, name| changes.remove(*name)),
            names
                .iter()
                .fold(Changes::new(), |changes, name| changes.remove(*name)),
        ] {
            let edit = Edit::of(&record, changes);
            key = trial.save_and_expect(&key, &edit, "after `update`").await?;
            record = edit.record;
        }
    }
    Ok(())
}

pub(super) async fn large_record(trial: &Trial) -> Check {
    let kilobyte = |n: usize| {
        Value::new(
            Codec::Postcard,
            n.to_be_bytes().repeat(1_000 / size_of::<usize>()),
        )
    };
    let named = |n: usize| (ByteString::from(format!("value-{n}")), kilobyte(n));
    let mut large = trial.record()?;
    large.values = (0..1_000).map(named).collect();
    let large = Arc::new(large);
    match trial.try_create(&large).await {
        Ok(key) => {
            trial
                .expect(&key, &large, "after `create` of a large record")
                .await?;
        }
        Err(StoreError::TooLarge(_)) => {
            trial
                .expect_none(
                    &RecordKey::Id(large.id()),
                    "`create` refused a large record and kept it all the same",
                )
                .await?;
        }
        Err(error) => {
            return failed(format!(
                "`create` of a large record failed: {}",
                describe(&error)
            ));
        }
    }

    let (key, small) = trial.created().await?;
    let changes = (0..1_000)
        .map(named)
        .fold(Changes::new(), |all, (key, value)| all.set(key, value));
    let edit = Edit::of(&small, changes);
    match trial.try_update(&key, &edit).await {
        Ok(Updated::Saved { key, .. }) => {
            trial
                .expect(&key, &edit.record, "after a large `update`")
                .await
        }
        Err(StoreError::TooLarge(_)) => {
            trial
                .expect(&key, &small, "after `update` was refused as too large")
                .await
        }
        Ok(other) => failed(format!(
            "a large `update` has to be saved or too large, but the store says {}",
            name_of(&other)
        )),
        Err(error) => failed(format!("a large `update` failed: {}", describe(&error))),
    }
}
