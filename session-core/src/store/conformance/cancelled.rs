//! Operations whose future is dropped half-way.
//!
//! What was sent before the drop may take effect later than that, so each look at the record has to
//! show it whole, before or after; which of the two may change until a later write settles it.

use std::future::Future;
use std::sync::Arc;

use super::edit::Edit;
use super::rng::Rng;
use super::sample::{number, same, token};
use super::schedule::{cut_short, run_all, task};
use super::trial::{Check, Trial, describe, ensure, failed, name_of};
use super::writer::Writer;
use crate::error::StoreError;
use crate::record::Record;
use crate::store::{Changes, RecordKey, Updated};

pub(super) async fn cancelled(trial: &Trial) -> Check {
    let indexed = trial.has_index();
    for (earlier, mut rng) in trial.rounds().enumerate() {
        if earlier > 0 {
            trial.remark("an operation that an earlier round dropped may be the cause of this");
        }
        match rng.below(6) {
            0 => creation(trial, &mut rng, indexed).await?,
            1 => renewal(trial, &mut rng, indexed).await?,
            2 => deletion(trial, &mut rng).await?,
            _ => write(trial, &mut rng).await?,
        }
    }
    Ok(())
}

/// Drops an operation after a random number of polls, unless it is over by then.
async fn drop_halfway<F: Future>(
    trial: &Trial,
    rng: &mut Rng,
    name: &str,
    operation: F,
) -> Option<F::Output> {
    let polls = rng.below(8);
    let answer = cut_short(polls, operation).await;
    if answer.is_none() {
        trial.remark(format!("{name} dropped after {polls} polls"));
    }
    answer
}

async fn creation(trial: &Trial, rng: &mut Rng, indexed: bool) -> Check {
    let name = trial.principal()?;
    let record = Arc::new(trial.record()?.with_principal(name.clone()));
    let key = RecordKey::Id(record.id());
    drop_halfway(trial, rng, "create", trial.create(&record))
        .await
        .transpose()?;
    if let Some(found) = trial.load(&key).await? {
        same(&record, Some(found), "after a cancelled `create`")?;
    }
    match trial.try_create(&record).await {
        Ok(_) | Err(StoreError::IdTaken) => {}
        Err(error) => {
            return failed(format!(
                "`create` after a cancelled one failed: {}",
                describe(&error)
            ));
        }
    }
    trial
        .expect(&key, &record, "after a cancelled `create` and another one")
        .await?;
    if indexed {
        trial.expect_listed(&name, trial.now(), &[record]).await?;
    }
    Ok(())
}

async fn write(trial: &Trial, rng: &mut Rng) -> Check {
    let (key, record) = trial.created().await?;
    let pair = Changes::new()
        .set("left", number(1))
        .set("right", number(1))
        .remove("first");
    let mut edit = Edit::of(&record, pair);
    if rng.coin() {
        edit = edit.meeting(record.version());
    }
    let mut lost = rng.fork();
    let mut beside = rng.fork();
    let tasks = vec![
        task(async {
            let answer = drop_halfway(trial, &mut lost, "update", trial.update(&key, &edit)).await;
            answer.transpose()
        }),
        task(async {
            let mut writer = Writer::new(trial, &key, &record);
            let set = |base: &Record| Edit::of(base, Changes::new().set("beside", number(1)));
            let saved = writer.write(&mut beside, set).await?;
            ensure!(saved.is_some(), "`update` beside a cancelled one says gone");
            Ok(None)
        }),
    ];
    let answers = run_all(rng, tasks).await?;
    let whole = |found: &Record, others: Changes| {
        let expected = others.apply(&record);
        let expected = if found.values().get("left").is_some() {
            edit.changes.apply(&expected)
        } else {
            expected
        };
        same(
            &expected,
            Some(Arc::new(found.clone())),
            "a look at a record of which an update was cancelled",
        )
    };
    let beside = Changes::new().set("beside", number(1));
    let found = trial.find(&key).await?;
    whole(&found, beside.clone())?;
    let applied = found.values().get("left").is_some();
    match answers.into_iter().flatten().next() {
        Some(Updated::Saved { .. }) => {
            ensure!(applied, "`update` says saved, but is not to be seen");
        }
        Some(answer) => ensure!(!applied, "`update` says {}, but wrote", name_of(&answer)),
        None => {}
    }

    let mut writer = Writer::new(trial, &key, &found);
    let after = Changes::new().set("after", number(1));
    let saved = writer
        .write(rng, |base| Edit::of(base, after.clone()))
        .await?;
    ensure!(saved.is_some(), "`update` after a cancelled one says gone");
    let mut found = (*trial.find(&key).await?).clone();
    found.version -= 1;
    whole(&found, beside.set("after", number(1)))
}

async fn renewal(trial: &Trial, rng: &mut Rng, indexed: bool) -> Check {
    let names = [trial.principal()?, trial.principal()?];
    let record = Arc::new(trial.record()?.with_principal(names[0].clone()));
    let key = trial.create(&record).await?;
    let edit = Edit::replacing(&record, Changes::new().set("first", number(2)), |after| {
        after.principal = Some(names[1].clone().into());
        after.tokens = [token(rng, record.created)].into_iter().collect();
    });
    drop_halfway(trial, rng, "update", trial.update(&key, &edit))
        .await
        .transpose()?;

    let mut writer = Writer::new(trial, &key, &record);
    let next = Changes::new().set("next", number(1));
    let settle = |base: &Record| Edit::of(base, next.clone()).meeting(base.version());
    let saved = writer.write(rng, settle).await?;
    ensure!(saved.is_some(), "`update` after a cancelled one says gone");
    let renewed = saved == Some(edit.record.version() + 1);
    let expected = Arc::new(next.apply(if renewed { &edit.record } else { &record }));
    trial
        .expect(
            &key,
            &expected,
            "after a cancelled renewal and a versioned update",
        )
        .await?;
    if indexed {
        let [former, latter] = [usize::from(!renewed), usize::from(renewed)];
        trial
            .expect_listed(&names[latter], trial.now(), &[expected])
            .await?;
        trial
            .expect_listed(&names[former], trial.now(), &[])
            .await?;
    }
    Ok(())
}

async fn deletion(trial: &Trial, rng: &mut Rng) -> Check {
    let (key, record) = trial.created().await?;
    let answer = drop_halfway(trial, rng, "delete", trial.delete(&key))
        .await
        .transpose()?;
    if let Some(found) = trial.load(&key).await? {
        ensure!(answer.is_none(), "`load` finds a record that was deleted");
        same(&record, Some(found), "after a cancelled `delete`")?;
    }
    drop_halfway(trial, rng, "load", trial.load(&key))
        .await
        .transpose()?;
    trial.delete(&key).await?;
    trial
        .expect_none(
            &key,
            "`load` finds a record that was deleted after a cancelled `delete`",
        )
        .await?;
    Ok(())
}
