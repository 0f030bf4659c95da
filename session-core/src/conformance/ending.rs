//! Taken ids, deletion and sweeping.

use std::sync::Arc;
use std::time::Duration;

use super::edit::Edit;
use super::reading::expect_gone;
use super::sample::{number, same};
use super::trial::{Check, Trial, describe, ensure, failed};
use crate::{Changes, Record, SessionId, StoreError};

pub(super) async fn create_taken(trial: &Trial) -> Check {
    let first = Arc::new(trial.record()?);
    let key = trial.create(&first).await?;
    let other = Arc::new(trial.record_of(first.id()).with_value("other", number(2)));
    refuses(trial, &other).await?;
    same(
        &first,
        trial.load(&key).await?,
        "after `create` found the id taken",
    )?;

    let edit = Edit::of(&first, Changes::new().set("a", number(1)));
    let key = trial.save(&key, &edit).await?;
    for again in [&first, &other] {
        refuses(trial, again).await?;
        same(
            &edit.record,
            trial.load(&key).await?,
            "after `create` found the id taken",
        )?;
    }
    Ok(())
}

async fn refuses(trial: &Trial, record: &Arc<Record>) -> Check {
    match trial.try_create(record).await {
        Err(StoreError::IdTaken) => Ok(()),
        Ok(_) => failed("`create` of an id that is taken has to fail with `IdTaken`, but it succeeded"),
        Err(error) => failed(format!(
            "`create` of an id that is taken has to fail with `IdTaken`, not {}",
            describe(&error)
        )),
    }
}

pub(super) async fn delete(trial: &Trial) -> Check {
    let record = Arc::new(trial.record()?);
    let key = trial.create(&record).await?;
    trial.delete(&key).await?;
    let found = trial.load(&key).await?;
    ensure!(found.is_none(), "`load` finds a record that was deleted");
    for edit in [
        Edit::of(&record, Changes::new().set("a", number(1))),
        Edit::of(&record, Changes::new()).meeting(record.version()),
        Edit::touching(&record, trial.now().plus(Duration::from_secs(60))),
        Edit::replacing(&record, Changes::new(), |record| record.epoch += 1),
    ] {
        expect_gone(&trial.update(&key, &edit).await?, "of a record that was deleted")?;
        let found = trial.load(&key).await?;
        ensure!(found.is_none(), "`update` brought back a record that was deleted");
    }
    Ok(())
}

pub(super) async fn delete_twice(trial: &Trial) -> Check {
    let key = trial.create(&Arc::new(trial.record()?)).await?;
    for _ in 0..3 {
        trial.delete(&key).await?;
    }
    if trial.is_sealed() {
        return Ok(());
    }
    let found = trial.load(&key).await?;
    ensure!(
        found.is_none(),
        "`load` finds a record that was deleted more than once"
    );
    Ok(())
}

pub(super) async fn neighbours(trial: &Trial) -> Check {
    let id = trial.id()?;
    let mut near = Vec::new();
    for alike in alike(id) {
        let record = Arc::new(trial.record_of(alike).with_value("mine", number(0)));
        near.push((trial.create(&record).await?, record));
    }
    let record = Arc::new(trial.record_of(id));
    let key = trial.create(&record).await?;
    let edit = Edit::of(&record, Changes::new().clear().set("a", number(1)));
    let key = trial.save(&key, &edit).await?;
    for (key, record) in &near {
        same(
            record,
            trial.load(key).await?,
            "after an update of a record with a similar id",
        )?;
    }
    trial.delete(&key).await?;
    for (key, record) in &near {
        same(
            record,
            trial.load(key).await?,
            "after a record with a similar id was deleted",
        )?;
    }
    Ok(())
}

/// Ids that a careless spelling of `id` takes for it: other bits at the ends, and other case.
fn alike(id: SessionId) -> Vec<SessionId> {
    let bytes = *id.as_bytes();
    let mut alike: Vec<_> = [0, 7, 8, 15]
        .map(|at| {
            let mut bytes = bytes;
            bytes[at] ^= 1;
            SessionId::from_bytes(bytes)
        })
        .into();
    let text = id.encode();
    for (at, letter) in text.char_indices().take(text.len() - 1) {
        let other = if letter.is_ascii_lowercase() {
            letter.to_ascii_uppercase()
        } else {
            letter.to_ascii_lowercase()
        };
        let spelled = format!("{}{other}{}", &text[..at], &text[at + 1..]);
        alike.extend(spelled.parse::<SessionId>().ok().filter(|other| *other != id));
    }
    alike
}

pub(super) async fn delete_expired(trial: &Trial) -> Check {
    let soon = trial.soon();
    let live = Arc::new(trial.record()?);
    let mut almost = trial.brief()?;
    almost.last_seen = almost.last_seen.plus(Duration::from_millis(1));
    let almost = Arc::new(almost);
    let mut kept = Vec::new();
    for record in [live, almost] {
        kept.push((trial.create(&record).await?, record));
    }
    let touched = Arc::new(trial.brief()?);
    let touch = Edit::touching(&touched, trial.now());
    let key = trial.create(&touched).await?;
    kept.push((trial.save(&key, &touch).await?, touch.record));
    let mut expired = Vec::new();
    for _ in 0..3 {
        expired.push(trial.create(&Arc::new(trial.brief()?)).await?);
    }

    trial.delete_expired(trial.now()).await?;
    let mut before = 0;
    for key in &expired {
        before += u64::from(trial.load(key).await?.is_some());
    }
    ensure!(
        before == 3,
        "`delete_expired` removed records that had not expired at its `now`"
    );

    let removed = trial.delete_expired(soon).await?;
    for (key, record) in &kept {
        same(
            record,
            trial.load_at(key, soon).await?,
            "after `delete_expired`, at its `now`",
        )?;
    }
    let mut left = 0;
    for key in &expired {
        ensure!(
            trial.load_at(key, soon).await?.is_none(),
            "`load` finds a record that has expired"
        );
        // A look back in time tells what was swept from what is only too old.
        left += u64::from(trial.load(key).await?.is_some());
    }
    // An engine that expires by itself removes nothing here, and says so.
    ensure!(
        left == 0 || left == 3,
        "`delete_expired` removed only {} of 3 records that had expired",
        3 - left
    );
    ensure!(
        removed + left >= 3,
        "`delete_expired` says {removed}, but removed at least {}",
        3 - left
    );
    let again = trial.delete_expired(soon).await?;
    ensure!(
        again == 0,
        "`delete_expired` removed everything and then says {again} for the same time"
    );
    Ok(())
}
