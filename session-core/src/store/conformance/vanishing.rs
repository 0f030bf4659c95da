//! Writers whose record is ended under their hands.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::edit::Edit;
use super::rng::Rng;
use super::sample::{any_edit, just_before, number, same};
use super::schedule::{Task, run_all, take_turns, task};
use super::trial::{Check, Trial, ensure, failed, name_of};
use super::writer::Writer;
use crate::record::Record;
use crate::store::{Changes, RecordKey, Updated};

pub(super) async fn no_resurrection(trial: &Trial) -> Check {
    for mut rng in trial.rounds() {
        let (key, record) = trial.created().await?;
        let edits: Vec<_> = (0..rng.between(1, 3))
            .map(|_| any_edit(trial, &record, &mut rng))
            .collect();
        let turns = rng.below(6);
        let mut tasks: Vec<Task<'_, Check>> = Vec::new();
        for edit in &edits {
            tasks.push(task(async { trial.update(&key, edit).await.map(drop) }));
        }
        tasks.push(task(async {
            take_turns(turns).await;
            trial.delete(&key).await?;
            trial.expect_deleted(&key, "`delete` has returned").await
        }));
        run_all(&mut rng, tasks).await?;
        trial
            .expect_deleted(&key, "`delete` and the updates under way have returned")
            .await?;
        for edit in &edits {
            trial
                .expect_gone(&key, edit, "of a record that was deleted")
                .await?;
        }
        trial
            .expect_deleted(&key, "the updates were tried again")
            .await?;
    }
    Ok(())
}

/// A record and what is known of its end.
struct Fated {
    key: RecordKey,
    record: Arc<Record>,
    spared: bool,
    deleted: AtomicBool,
}

pub(super) async fn delete_race(trial: &Trial) -> Check {
    for mut rng in trial.rounds() {
        let mut all = Vec::new();
        for at in 0..3 {
            let (key, record) = trial.created().await?;
            all.push(Fated {
                key,
                record,
                spared: at == 0,
                deleted: AtomicBool::new(false),
            });
        }
        let mut tasks = Vec::new();
        for fated in &all {
            for name in 0..2 {
                tasks.push(task(write_until_gone(trial, fated, name, rng.fork())));
            }
            for _ in 0..if fated.spared { 0 } else { rng.between(1, 2) } {
                tasks.push(task(end(trial, fated, rng.below(12))));
            }
        }
        run_all(&mut rng, tasks).await?;
        for fated in &all {
            let found = trial.load(&fated.key).await?;
            if !fated.spared {
                ensure!(
                    found.is_none(),
                    "`load` finds a record that was deleted while others wrote it"
                );
                continue;
            }
            let after = Changes::new()
                .set("writer-0", number(STEPS))
                .set("writer-1", number(STEPS));
            let after = after.apply(&fated.record).with_version(1 + 2 * STEPS);
            same(&after, found, "the record beside which others were deleted")?;
        }
    }
    Ok(())
}

const STEPS: u64 = 3;

async fn end(trial: &Trial, fated: &Fated, turns: usize) -> Check {
    take_turns(turns).await;
    trial.delete(&fated.key).await?;
    fated.deleted.store(true, Ordering::Relaxed);
    Ok(())
}

async fn write_until_gone(trial: &Trial, fated: &Fated, name: usize, mut rng: Rng) -> Check {
    let mut writer = Writer::new(trial, &fated.key, &fated.record);
    let own = format!("writer-{name}");
    let mut gone = false;
    for step in 1..=STEPS {
        let ended = gone || fated.deleted.load(Ordering::Relaxed);
        let set = |base: &Record| Edit::of(base, Changes::new().set(own.clone(), number(step)));
        let saved = writer.write(&mut rng, set).await?;
        ensure!(
            saved.is_none() || !ended,
            "`update` was saved after the record was deleted"
        );
        ensure!(
            saved.is_some() || !fated.spared,
            "`update` says gone of a record that nobody deleted"
        );
        gone = saved.is_none();

        let ended = gone || fated.deleted.load(Ordering::Relaxed);
        let found = trial.load(&fated.key).await?;
        ensure!(
            found.is_none() || !ended,
            "`load` finds a record that was gone already"
        );
        ensure!(
            found.is_some() || !fated.spared,
            "`load` misses a record that nobody deleted"
        );
    }
    Ok(())
}

pub(super) async fn sweep_race(trial: &Trial) -> Check {
    let soon = trial.soon();
    for mut rng in trial.rounds() {
        let mut touches = Vec::new();
        for _ in 0..3 {
            let record = Arc::new(trial.brief()?);
            let key = trial.create(&record).await?;
            touches.push((key, Edit::touching(&record, just_before(soon))));
        }
        // Two nodes whose clocks differ by a millisecond.
        let mut tasks: Vec<Task<'_, Check<Option<Updated>>>> = vec![task(async {
            trial.delete_expired(soon).await.map(|_| None)
        })];
        for (key, touch) in &touches {
            tasks.push(task(async {
                trial
                    .update_at(key, touch, just_before(soon))
                    .await
                    .map(Some)
            }));
        }
        let answers = run_all(&mut rng, tasks).await?;
        for ((key, touch), answer) in touches.iter().zip(answers.into_iter().flatten()) {
            let found = trial.load_at(key, soon).await?;
            match answer {
                Updated::Saved { .. } => {
                    same(&touch.record, found, "touched just before it was swept")?;
                }
                Updated::Gone => {
                    ensure!(found.is_none(), "`update` says gone, but the record lives");
                }
                Updated::Conflict { .. } => {
                    return failed(format!(
                        "nobody else has written, but the store says {}",
                        name_of(&answer)
                    ));
                }
            }
        }
    }
    Ok(())
}

pub(super) async fn delete_all_of_race(trial: &Trial) -> Check {
    for mut rng in trial.rounds() {
        let name = trial.principal()?;
        let mut theirs = Vec::new();
        for _ in 0..3 {
            let record = Arc::new(trial.record()?.with_principal(name.clone()));
            theirs.push((trial.create(&record).await?, record));
        }
        let spared = rng.coin().then(|| theirs[0].1.id());
        let edits: Vec<_> = theirs
            .iter()
            .map(|(_, record)| Edit::of(record, Changes::new().set("late", number(1))))
            .collect();
        let turns = rng.below(6);
        // One of theirs becomes another's meanwhile: whoever has it, `delete_all_of` is right about
        // it.
        let other = trial.principal()?;
        let moving = Arc::new(trial.record()?.with_principal(name.clone()));
        let moving_key = trial.create(&moving).await?;
        let hand_over = Edit::replacing(&moving, Changes::new(), |record| {
            record.principal = Some(other.clone().into());
        });
        let moved = AtomicBool::new(false);
        let mut tasks: Vec<Task<'_, Check<Option<u64>>>> = Vec::new();
        for ((key, _), edit) in theirs.iter().zip(&edits) {
            tasks.push(task(async { trial.update(key, edit).await.map(|_| None) }));
        }
        tasks.push(task(async {
            take_turns(turns).await;
            trial.delete_all_of(&name, spared).await.map(Some)
        }));
        tasks.push(task(async {
            let answer = trial.update(&moving_key, &hand_over).await?;
            moved.store(matches!(answer, Updated::Saved { .. }), Ordering::Relaxed);
            Ok(None)
        }));
        let answers = run_all(&mut rng, tasks).await?;
        let moved = moved.into_inner();
        let found = trial.load(&moving_key).await?;
        match moved {
            true => same(
                &hand_over.record,
                found,
                "which became another principal's during `delete_all_of`",
            )?,
            false => ensure!(
                found.is_none(),
                "`update` says gone of a record that is there"
            ),
        }
        let others = moved.then(|| Arc::clone(&hand_over.record));
        trial
            .expect_listed(&other, trial.now(), others.as_slice())
            .await?;
        let ended: u64 = answers.into_iter().flatten().sum();
        let right = if spared.is_some() { 2 } else { 3 } + u64::from(!moved);
        ensure!(
            ended == right,
            "`delete_all_of` says that it ended {ended} records, it has to be {right}"
        );
        let mut left = Vec::new();
        for ((key, record), edit) in theirs.iter().zip(&edits) {
            let found = trial.load(key).await?;
            if Some(record.id()) == spared {
                same(
                    &edit.record,
                    found,
                    "the one that `delete_all_of` had to except",
                )?;
                left.push(Arc::clone(&edit.record));
                continue;
            }
            ensure!(
                found.is_none(),
                "`load` finds a record that `delete_all_of` ended while others wrote it"
            );
        }
        trial.expect_listed(&name, trial.now(), &left).await?;
    }
    Ok(())
}
