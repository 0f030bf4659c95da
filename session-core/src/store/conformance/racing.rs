//! Many who create, write and read one record at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::edit::Edit;
use super::rng::Rng;
use super::sample::{difference, number, number_at};
use super::schedule::{interleave, run_all, task, turn};
use super::trial::{Check, Trial, describe, ensure, failed, lock};
use super::writer::Writer;
use crate::error::StoreError;
use crate::record::Record;
use crate::store::{Changes, Metadata, RecordKey};
use crate::time::Timestamp;

pub(super) async fn create_race(trial: &Trial) -> Check {
    for mut rng in trial.rounds() {
        let id = trial.id()?;
        let rival = |n: usize| Arc::new(trial.record_of(id).with_value("rival", number(n as u64)));
        let rivals: Vec<_> = (0..rng.between(2, 6)).map(rival).collect();
        let tasks = rivals
            .iter()
            .map(|record| task(trial.try_create(record)))
            .collect();
        let mut winners = Vec::new();
        for (record, answer) in rivals.iter().zip(interleave(&mut rng, tasks).await) {
            match answer {
                Ok(key) => winners.push((record, key)),
                Err(StoreError::IdTaken) => {}
                Err(error) => {
                    return failed(format!(
                        "who comes too late gets `IdTaken`, not {}",
                        describe(&error)
                    ));
                }
            }
        }
        let count = winners.len();
        ensure!(
            count == 1,
            "of {} creations of one id {count} succeeded, it has to be one",
            rivals.len()
        );
        for (record, key) in winners {
            trial
                .expect(&key, record, "the record of the one who won")
                .await?;
        }
    }
    Ok(())
}

pub(super) async fn no_lost_update(trial: &Trial) -> Check {
    for mut rng in trial.rounds() {
        let record = Arc::new(trial.record()?.with_value("counter", number(0)));
        let key = trial.create(&record).await?;
        let tasks = (0..rng.between(2, 4))
            .map(|name| task(write_some(trial, &key, &record, name, rng.fork())))
            .collect();
        let mut expected = (*record).clone();
        let mut versions = Vec::new();
        let mut counter = 0;
        for wrote in interleave(&mut rng, tasks).await {
            let wrote = wrote?;
            for (key, n) in wrote.keys {
                expected = expected.with_value(key, number(n));
            }
            counter += wrote.increments;
            expected.last_seen = expected.last_seen.max(wrote.seen);
            versions.extend(wrote.versions);
        }
        versions.sort_unstable();
        let right = (2..)
            .zip(&versions)
            .all(|(right, version)| right == *version);
        ensure!(
            right,
            "{} updates on version 1 say that they saved the versions {versions:?}",
            versions.len()
        );
        expected.version += versions.len() as u64;
        let expected = expected.with_value("counter", number(counter));
        trial
            .expect(&key, &expected, "when all have written")
            .await?;
    }
    Ok(())
}

/// What one writer has written in the end.
struct Wrote {
    keys: BTreeMap<String, u64>,
    increments: u64,
    seen: Timestamp,
    versions: Vec<u64>,
}

async fn write_some(
    trial: &Trial,
    key: &RecordKey,
    base: &Arc<Record>,
    name: usize,
    mut rng: Rng,
) -> Check<Wrote> {
    let mut writer = Writer::new(trial, key, base);
    let mut wrote = Wrote {
        keys: BTreeMap::new(),
        increments: 0,
        seen: trial.now(),
        versions: Vec::new(),
    };
    for step in 1..=rng.between(1, 4) as u64 {
        if rng.coin() {
            ensure!(
                writer.reload().await?,
                "the record has vanished, and nobody deleted it"
            );
        }
        let own = format!("writer-{name}-{}", rng.below(2));
        let saved = match rng.below(4) {
            0 => {
                wrote.increments += 1;
                increment(&mut writer, &mut rng).await?
            }
            1 => {
                wrote.keys.remove(&own);
                writer
                    .write(&mut rng, |base| {
                        Edit::of(base, Changes::new().remove(own.clone()))
                    })
                    .await?
            }
            2 => {
                let seen = trial.now() + Duration::from_millis(step * 10 + name as u64);
                wrote.seen = wrote.seen.max(seen);
                writer
                    .write(&mut rng, |base| Edit::touching(base, seen))
                    .await?
            }
            _ => {
                wrote.keys.insert(own.clone(), step);
                let set =
                    |base: &Record| Edit::of(base, Changes::new().set(own.clone(), number(step)));
                writer.write(&mut rng, set).await?
            }
        };
        let Some(version) = saved else {
            return failed("`update` says gone of a record that nobody deleted");
        };
        wrote.versions.push(version);
    }
    Ok(wrote)
}

/// Reads, adds one and writes, if nobody else has written since.
async fn increment(writer: &mut Writer<'_>, rng: &mut Rng) -> Check<Option<u64>> {
    writer
        .write(rng, |base| {
            let counter = number_at(base, "counter").unwrap_or(0);
            Edit::of(base, Changes::new().set("counter", number(counter + 1)))
                .meeting(base.version())
        })
        .await
}

pub(super) async fn no_torn_read(trial: &Trial) -> Check {
    for mut rng in trial.rounds() {
        let pair = trial
            .record()?
            .with_value("left", number(0))
            .with_value("right", number(0));
        let record = Arc::new(pair);
        let key = trial.create(&record).await?;
        let seen = Seen::default();
        let mut tasks = Vec::new();
        for name in 1..=rng.between(1, 3) as u64 {
            tasks.push(task(write_pairs(
                trial,
                &key,
                &record,
                name,
                rng.fork(),
                &seen,
            )));
        }
        for _ in 0..rng.between(1, 3) {
            tasks.push(task(read_pairs(trial, &key, rng.fork(), &seen)));
        }
        run_all(&mut rng, tasks).await?;
        read_pairs(trial, &key, rng, &seen).await?;
    }
    Ok(())
}

/// What all who look have seen of one record.
#[derive(Default)]
pub(super) struct Seen {
    /// The latest version that `update` has said was saved.
    pub(super) saved: AtomicU64,
    versions: Mutex<HashMap<u64, Arc<Record>>>,
}

impl Seen {
    /// The record that was first seen of this version.
    fn first_of(&self, record: &Arc<Record>) -> Arc<Record> {
        let mut versions = lock(&self.versions);
        Arc::clone(
            versions
                .entry(record.version())
                .or_insert_with(|| Arc::clone(record)),
        )
    }
}

/// Writes the same number under two keys and into the metadata.
pub(super) async fn write_pairs(
    trial: &Trial,
    key: &RecordKey,
    base: &Arc<Record>,
    name: u64,
    mut rng: Rng,
    seen: &Seen,
) -> Check {
    let mut writer = Writer::new(trial, key, base);
    for step in 1..=rng.between(2, 4) as u64 {
        let n = name * 100 + step;
        let (clears, meets) = (rng.coin(), rng.coin());
        let saved = writer
            .write(&mut rng, |base| {
                let mut changes = Changes::new()
                    .set("left", number(n))
                    .set("right", number(n));
                if clears {
                    changes = changes.clear();
                }
                let at = trial.now() + Duration::from_millis(n);
                let edit = Edit::of(base, changes.with_metadata(Metadata::Touched(at)));
                if meets {
                    edit.meeting(base.version())
                } else {
                    edit
                }
            })
            .await?;
        let Some(version) = saved else {
            return failed("`update` says gone of a record that nobody deleted");
        };
        seen.saved.fetch_max(version, Ordering::Relaxed);
    }
    Ok(())
}

async fn read_pairs(trial: &Trial, key: &RecordKey, mut rng: Rng, seen: &Seen) -> Check {
    for _ in 0..rng.between(2, 6) {
        let oldest = seen.saved.load(Ordering::Relaxed);
        let record = trial.find(key).await?;
        look_at(trial, &record, oldest, "load", seen)?;
        if rng.coin() {
            turn().await;
        }
    }
    Ok(())
}

/// What a call shows that began after version `oldest` was seen.
pub(super) fn look_at(
    trial: &Trial,
    record: &Arc<Record>,
    oldest: u64,
    call: &str,
    seen: &Seen,
) -> Check {
    let (left, right) = (number_at(record, "left")?, number_at(record, "right")?);
    ensure!(
        left == right,
        "one update wrote two keys, and `{call}` shows {left} beside {right}"
    );
    ensure!(
        record.version() >= oldest,
        "`{call}` shows version {} after version {oldest} was saved",
        record.version()
    );
    let touched = record.last_seen() >= trial.now() + Duration::from_millis(left);
    ensure!(
        touched,
        "`{call}` shows the values of an update without its touch"
    );
    let first = seen.first_of(record);
    let changed = difference(&first, record);
    ensure!(
        changed.is_none(),
        "`{call}` has shown version {} with two contents: {}",
        record.version(),
        changed.unwrap_or_default()
    );
    seen.saved.fetch_max(record.version(), Ordering::Relaxed);
    Ok(())
}
