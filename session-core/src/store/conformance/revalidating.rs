//! Whoever has a record already is told whether it is still the one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::edit::Edit;
use super::racing::{Seen, look_at, write_pairs};
use super::rng::Rng;
use super::sample::{difference, number, same, token};
use super::schedule::{Task, run_all, take_turns, task, turn};
use super::trial::{Check, Trial, ensure, failed, name_of};
use crate::record::{Lifetime, Record};
use crate::store::{Changes, Metadata, RecordKey, Revalidated, Updated};
use crate::time::Timestamp;

pub(super) async fn revalidate(trial: &Trial) -> Check {
    let absent = Arc::new(trial.record()?);
    let key = RecordKey::Id(absent.id());
    still_right(trial, &key, &absent, trial.now(), "of an id never used").await?;

    let mut rng = trial.rng();
    let mut stored = Arc::new(trial.rich(&mut rng)?);
    let mut key = trial.create(&stored).await?;
    let mut known = vec![lookalike(&stored), Arc::clone(&stored)];
    for (change, when) in CHANGES {
        known.push(trial.find(&key).await?);
        still_right_for_all(trial, &key, &known, trial.now(), when).await?;
        let edit = change(trial, &stored, &mut rng);
        key = trial.save(&key, &edit).await?;
        known.extend([lookalike(&edit.record), Arc::clone(&edit.record)]);
        stored = edit.record;
    }
    known.push(trial.find(&key).await?);
    let expires = stored.expires_at();
    still_right_for_all(trial, &key, &known, expires, "of what has expired").await?;

    trial.delete(&key).await?;
    let now = trial.now();
    still_right_for_all(trial, &key, &known, now, "of what has ended").await?;
    if let Some(mark) = trial.load_raw(&key, now).await? {
        still_right(trial, &key, &mark, now, "of a mark").await?;
        let gone = mark.expires_at();
        still_right(trial, &key, &mark, gone, "of a mark that has expired").await?;
    }
    Ok(())
}

type Change = fn(&Trial, &Record, &mut Rng) -> Edit;

/// Everything that may change a record, one thing at a time.
const CHANGES: [(Change, &str); 8] = [
    (
        |_, base, _| Edit::of(base, Changes::new().set("new", number(1))),
        "of what was created",
    ),
    (
        |trial, base, _| Edit::touching(base, trial.now().max(base.last_seen()) + MINUTE),
        "after an update",
    ),
    (
        |_, base, _| Edit::of(base, Changes::new().clear()),
        "after a touch",
    ),
    (
        |_, base, _| Edit::replacing(base, Changes::new(), |record| record.epoch += 1),
        "after a clear",
    ),
    (
        |trial, base, _| {
            Edit::replacing(base, Changes::new(), |record| {
                record.principal = trial.principal().ok().map(Into::into);
            })
        },
        "after another epoch",
    ),
    (
        |_, base, _| {
            Edit::replacing(base, Changes::new(), |record| {
                record.lifetime = Lifetime::default();
            })
        },
        "after another principal",
    ),
    (
        |trial, base, rng| {
            Edit::replacing(base, Changes::new(), |record| {
                record.tokens = [token(rng, trial.now())].into_iter().collect();
            })
        },
        "after another lifetime",
    ),
    (
        |_, base, _| Edit::of(base, Changes::new()),
        "after other tokens",
    ),
];

const MINUTE: Duration = Duration::from_secs(60);

/// Another content under the same version, as there is after a fail-over that has lost writes.
fn lookalike(record: &Record) -> Arc<Record> {
    let changes = Changes::new().set("lost", number(1));
    Arc::new(changes.apply(record).with_version(record.version()))
}

async fn still_right_for_all(
    trial: &Trial,
    key: &RecordKey,
    known: &[Arc<Record>],
    now: Timestamp,
    when: &str,
) -> Check {
    for known in known {
        still_right(trial, key, known, now, when).await?;
    }
    Ok(())
}

/// The answer has to be what `load` says at this moment.
async fn still_right(
    trial: &Trial,
    key: &RecordKey,
    known: &Arc<Record>,
    now: Timestamp,
    when: &str,
) -> Check {
    let loaded = trial.load_raw(key, now).await?;
    match (trial.revalidate_at(key, known, now).await?, loaded) {
        (Revalidated::Unchanged, Some(loaded)) => {
            let differs = difference(&loaded, known);
            ensure!(
                differs.is_none(),
                "`revalidate` {when} says unchanged, but another content is stored: {}",
                differs.unwrap_or_default()
            );
            Ok(())
        }
        (Revalidated::Unchanged, None) => failed(format!(
            "`revalidate` {when} says unchanged where `load` finds nothing"
        )),
        (Revalidated::Changed(record), Some(loaded)) => {
            same(&loaded, Some(record), &format!("`revalidate` {when}"))
        }
        (Revalidated::Changed(_), None) => failed(format!(
            "`revalidate` {when} returns a record where `load` finds nothing"
        )),
        (Revalidated::Gone, None) => Ok(()),
        (Revalidated::Gone, Some(_)) => failed(format!(
            "`revalidate` {when} says gone where `load` finds a record"
        )),
    }
}

pub(super) async fn exact(trial: &Trial) -> Check {
    let seen = trial.now() + MINUTE;
    let set = || Changes::new().set("mine", number(2));
    let all = [
        set(),
        Changes::new().remove("first"),
        Changes::new().remove("missing"),
        Changes::new().clear(),
        Changes::new().with_metadata(Metadata::Touched(seen)),
        set().with_metadata(Metadata::Replaced),
    ];
    for changes in &all {
        // Of the loaded base, as it was written and as it is loaded.
        let (key, written) = trial.created().await?;
        let edit = edit_of(&written, changes);
        apply_exactly(trial, &key, &edit, "of the written base").await?;
        let loaded = trial.find(&key).await?;
        let edit = edit_of(&loaded, changes);
        apply_exactly(trial, &key, &edit, "of the loaded base").await?;

        // Of a base that has moved on.
        let stale = loaded;
        let edit = edit_of(&stale, changes);
        apply_exactly(trial, &key, &edit, "of a stale base").await?;
        let current = trial.find(&key).await?;
        let edit = edit_of(&stale, changes).meeting(current.version());
        apply_exactly(trial, &key, &edit, "of a stale base that meets the version").await?;

        // Of a base that a fail-over has lost: it has the version of what is stored.
        let stored = trial.find(&key).await?;
        let lost = Changes::new().set("lost", number(1)).apply(&stored);
        let edit = Edit::of(&stored, Changes::new().set("theirs", number(1)));
        let key = trial.save(&key, &edit).await?;
        let late = edit_of(&lost, changes);
        apply_exactly(trial, &key, &late, "of a base that was lost").await?;
        let found = trial.find(&key).await?;
        if found.tag().is_some() && !changes.is_clear() {
            ensure!(
                found.values().get("theirs").is_some(),
                "`update` of a base that was lost has lost what others wrote"
            );
        }
    }
    Ok(())
}

fn edit_of(base: &Record, changes: &Changes) -> Edit {
    let edit = match changes.metadata() {
        Metadata::Replaced => Edit::replacing(base, changes.clone(), |record| {
            record.label = Some("another".into());
        }),
        _ => Edit::of(base, changes.clone()),
    };
    edit.of_tag(base)
}

/// If the store says that the record of the update is what it stores, that has to be so.
async fn apply_exactly(trial: &Trial, key: &RecordKey, edit: &Edit, of: &str) -> Check {
    let Updated::Saved { exact: true, .. } = trial.update(key, edit).await? else {
        return Ok(());
    };
    let when = format!("`update` {of} is said to be exact");
    let found = trial.find(key).await?;
    same(&edit.record, Some(Arc::clone(&found)), &when)?;
    let tags = (found.tag(), edit.record.tag());
    ensure!(
        tags.0.is_none() || tags.0 == tags.1,
        "{when}, but the tag is {:?} instead of {:?}",
        tags.0,
        tags.1
    );
    Ok(())
}

pub(super) async fn revalidate_race(trial: &Trial) -> Check {
    for mut rng in trial.rounds() {
        match rng.below(3) {
            0 => among_ends(trial, &mut rng).await?,
            _ => among_writers(trial, &mut rng).await?,
        }
    }
    Ok(())
}

async fn among_writers(trial: &Trial, rng: &mut Rng) -> Check {
    let pair = trial
        .record()?
        .with_value("left", number(0))
        .with_value("right", number(0));
    let record = Arc::new(pair);
    let key = trial.create(&record).await?;
    let seen = Seen::default();
    let mut tasks: Vec<Task<'_, Check>> = Vec::new();
    for name in 1..=rng.between(1, 3) as u64 {
        let writes = write_pairs(trial, &key, &record, name, rng.fork(), &seen);
        tasks.push(task(writes));
    }
    for _ in 0..rng.between(1, 3) {
        let reads = revalidate_pairs(trial, &key, &record, rng.fork(), &seen);
        tasks.push(task(reads));
    }
    run_all(rng, tasks).await?;
    revalidate_pairs(trial, &key, &record, rng.fork(), &seen).await
}

async fn revalidate_pairs(
    trial: &Trial,
    key: &RecordKey,
    first: &Arc<Record>,
    mut rng: Rng,
    seen: &Seen,
) -> Check {
    let mut known = Arc::clone(first);
    for _ in 0..rng.between(2, 6) {
        let oldest = seen.saved.load(Ordering::Relaxed);
        match trial.revalidate_at(key, &known, trial.now()).await? {
            Revalidated::Unchanged => {}
            Revalidated::Changed(record) => known = record,
            Revalidated::Gone => return failed("`revalidate` says gone, and nobody deleted it"),
        }
        look_at(trial, &known, oldest, "revalidate", seen)?;
        if rng.coin() {
            turn().await;
        }
        if rng.coin() {
            let oldest = seen.saved.load(Ordering::Relaxed);
            let loaded = trial.find(key).await?;
            look_at(trial, &loaded, oldest, "load", seen)?;
        }
    }
    Ok(())
}

async fn among_ends(trial: &Trial, rng: &mut Rng) -> Check {
    let (key, record) = trial.created().await?;
    let ended = AtomicBool::new(false);
    let edit = Edit::of(&record, Changes::new().set("late", number(1)));
    let turns = [rng.below(6), rng.below(6)];
    let mut tasks: Vec<Task<'_, Check>> = vec![
        task(async {
            take_turns(turns[0]).await;
            match trial.update(&key, &edit).await? {
                Updated::Saved { .. } | Updated::Gone => Ok(()),
                other @ Updated::Conflict { .. } => failed(format!(
                    "`update` of the loaded version: {}",
                    name_of(&other)
                )),
            }
        }),
        task(async {
            take_turns(turns[1]).await;
            trial.delete(&key).await?;
            ended.store(true, Ordering::Relaxed);
            Ok(())
        }),
    ];
    for _ in 0..rng.between(1, 3) {
        let reads = revalidate_until_ended(trial, &key, &record, rng.fork(), &ended);
        tasks.push(task(reads));
    }
    run_all(rng, tasks).await.map(drop)
}

async fn revalidate_until_ended(
    trial: &Trial,
    key: &RecordKey,
    first: &Arc<Record>,
    mut rng: Rng,
    ended: &AtomicBool,
) -> Check {
    let mut known = Arc::clone(first);
    loop {
        let was_ended = ended.load(Ordering::Relaxed);
        match trial.revalidate_at(key, &known, trial.now()).await? {
            Revalidated::Unchanged => {}
            Revalidated::Changed(record) => known = record,
            Revalidated::Gone => return Ok(()),
        }
        if known.ended().is_some() {
            return Ok(());
        }
        ensure!(
            !was_ended,
            "`revalidate` shows a record after `delete` has returned"
        );
        take_turns(rng.between(1, 3)).await;
    }
}
