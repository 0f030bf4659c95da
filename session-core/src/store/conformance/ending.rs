//! Taken ids, deletion and sweeping.

use std::sync::Arc;
use std::time::Duration;

use super::edit::Edit;
use super::sample::{just_before, number, same};
use super::trial::{Check, Trial, describe, ensure, failed, name_of};
use crate::error::StoreError;
use crate::record::{EndReason, Ended, Record, SessionId};
use crate::store::{Changes, RecordKey, Updated};
use crate::time::Timestamp;

pub(super) async fn create_taken(trial: &Trial) -> Check {
    let (key, first) = trial.created().await?;
    let other = Arc::new(trial.record_of(first.id()).with_value("other", number(2)));
    refuses(trial, &other).await?;
    trial
        .expect(&key, &first, "after `create` found the id taken")
        .await?;

    let edit = Edit::of(&first, Changes::new().set("a", number(1)));
    let key = trial.save(&key, &edit).await?;
    for again in [&first, &other] {
        refuses(trial, again).await?;
        trial
            .expect(&key, &edit.record, "after `create` found the id taken")
            .await?;
    }
    Ok(())
}

async fn refuses(trial: &Trial, record: &Arc<Record>) -> Check {
    match trial.try_create(record).await {
        Err(StoreError::IdTaken) => Ok(()),
        Ok(_) => {
            failed("`create` of an id that is taken has to fail with `IdTaken`, but it succeeded")
        }
        Err(error) => failed(format!(
            "`create` of an id that is taken has to fail with `IdTaken`, not {}",
            describe(&error)
        )),
    }
}

pub(super) async fn delete(trial: &Trial) -> Check {
    let (key, record) = trial.created().await?;
    trial.delete(&key).await?;
    trial
        .expect_none(&key, "`load` finds a record that was deleted")
        .await?;
    for edit in [
        Edit::of(&record, Changes::new().set("a", number(1))),
        Edit::of(&record, Changes::new()).meeting(record.version()),
        Edit::touching(&record, trial.now() + Duration::from_secs(60)),
        Edit::replacing(&record, Changes::new(), |record| record.epoch += 1),
    ] {
        trial
            .expect_gone(&key, &edit, "of a record that was deleted")
            .await?;
        trial
            .expect_none(&key, "`update` brought back a record that was deleted")
            .await?;
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
    trial
        .expect_none(
            &key,
            "`load` finds a record that was deleted more than once",
        )
        .await?;
    Ok(())
}

pub(super) async fn ended(trial: &Trial) -> Check {
    let reasons = [
        EndReason::Destroyed,
        EndReason::Exchanged,
        EndReason::Revoked,
        EndReason::TooMany,
        EndReason::Reused,
    ];
    for (ago, reason) in (0..).zip(reasons) {
        let at = before(trial.now(), ago);
        let record = Arc::new(trial.record()?.with_value("secret", number(1)));
        let key = trial.create(&record).await?;
        trial.delete_as(&key, Ended::new(reason, at)).await?;
        expect_mark(trial, &key, Ended::new(reason, at), "`delete`").await?;
        let found = trial.load_raw(&key, trial.now()).await?;
        same(
            &Ended::new(reason, at).mark(record.id()),
            found,
            "which is the mark of a session that was deleted",
        )?;
        for epoch in [0, record.epoch(), record.epoch() + 1] {
            let edit = Edit::of(&record, Changes::new().set("late", number(1))).of_epoch(epoch);
            trial
                .expect_gone(&key, &edit, "of a session that has ended")
                .await?;
        }
        expect_mark(
            trial,
            &key,
            Ended::new(reason, at),
            "`delete`, and an update that came late",
        )
        .await?;
        refuses(trial, &record).await?;
    }
    ended_by_update(trial).await?;
    let nobody = RecordKey::Id(trial.id()?);
    trial.delete(&nobody).await?;
    let found = trial.mark_at(&nobody, trial.now()).await?;
    ensure!(found.is_none(), "`delete` of what is not there left a mark");
    Ok(())
}

/// A session that the manager ends where it must meet the epoch that it has judged.
async fn ended_by_update(trial: &Trial) -> Check {
    let record = Arc::new(trial.record()?.with_value("secret", number(1)));
    let key = trial.create(&record).await?;
    let right = Ended::new(EndReason::Reused, trial.now());
    let edit = Edit::replacing(&record, Changes::new().clear(), |after| {
        *after = right.mark(record.id()).with_version(after.version);
    });
    let answer = trial.update(&key, &edit).await?;
    ensure!(
        matches!(answer, Updated::Saved { .. }),
        "an `update` has to put a mark in the place of a record, but it says {}",
        name_of(&answer)
    );
    expect_mark(trial, &key, right, "an `update` to it").await?;
    let late = Edit::of(&record, Changes::new().set("late", number(1)));
    trial
        .expect_gone(&key, &late, "of a session that has ended")
        .await?;
    refuses(trial, &record).await
}

pub(super) async fn ended_of_principal(trial: &Trial) -> Check {
    let name = trial.principal()?;
    let mut keys = Vec::new();
    for _ in 0..3 {
        let record = Arc::new(trial.record()?.with_principal(name.clone()));
        keys.push(trial.create(&record).await?);
    }
    let ids: Vec<_> = keys.iter().filter_map(RecordKey::id).collect();
    trial.delete_one_of(&name, ids[0]).await?;
    expect_mark(trial, &keys[0], trial.ended(), "`delete_one_of`").await?;
    let again = trial.delete_one_of(&name, ids[0]).await?;
    ensure!(
        !again,
        "`delete_one_of` says that it ended a session that had ended before"
    );
    let ended = trial.delete_all_of(&name, Some(ids[1])).await?;
    ensure!(
        ended == 1,
        "`delete_all_of` counts a session that had ended before"
    );
    expect_mark(trial, &keys[2], trial.ended(), "`delete_all_of`").await?;
    let spared = trial.mark_at(&keys[1], trial.now()).await?;
    ensure!(
        spared.is_none(),
        "`delete_all_of` marked the session that it had to except"
    );
    let left = [trial.find(&keys[1]).await?];
    trial.expect_listed(&name, trial.now(), &left).await
}

pub(super) async fn ended_expires(trial: &Trial) -> Check {
    let minute = Duration::from_secs(60);
    let (key, _record) = trial.created().await?;
    trial.delete(&key).await?;
    let last = just_before(trial.now() + minute);
    let found = trial.mark_at(&key, last).await?;
    ensure!(
        found.is_some(),
        "the mark of a session is gone before its minute is over"
    );
    let over = trial.now() + minute;
    let found = trial.mark_at(&key, over).await?;
    ensure!(
        found.is_none(),
        "`load` finds the mark of a session that ended a minute ago"
    );
    trial.delete_expired(over).await?;
    // A look back in time tells what was removed from what is only too old.
    let swept = trial.load_raw(&key, last).await?.is_none();
    let again = trial.delete_expired(over).await?;
    ensure!(
        swept || again == 0,
        "`delete_expired` leaves marks that are over, and then removes them"
    );

    // What has only moved ended long ago.
    let (key, _record) = trial.created().await?;
    let ended = Ended::new(EndReason::Revoked, before(trial.now(), 60_000));
    trial.delete_as(&key, ended).await?;
    let found = trial.mark_at(&key, trial.now()).await?;
    ensure!(found.is_none(), "an end that is long over left a mark");
    trial
        .expect_none(&key, "an end that is long over ended nothing")
        .await?;
    Ok(())
}

fn before(now: Timestamp, millis: u64) -> Timestamp {
    Timestamp::from_millis(now.as_millis().saturating_sub(millis))
}

async fn expect_mark(trial: &Trial, key: &RecordKey, right: Ended, after: &str) -> Check {
    let found = trial.mark_at(key, trial.now()).await?;
    ensure!(
        found == Some(right),
        "after {after} `load` has to return the mark that says when and why the session ended, \
         but it says {found:?}"
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
        trial
            .expect(key, record, "after an update of a record with a similar id")
            .await?;
    }
    trial.delete(&key).await?;
    for (key, record) in &near {
        trial
            .expect(key, record, "after a record with a similar id was deleted")
            .await?;
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
        alike.extend(
            spelled
                .parse::<SessionId>()
                .ok()
                .filter(|other| *other != id),
        );
    }
    alike
}

pub(super) async fn delete_expired(trial: &Trial) -> Check {
    let soon = trial.soon();
    let live = Arc::new(trial.record()?);
    let mut almost = trial.brief()?;
    almost.last_seen += Duration::from_millis(1);
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
