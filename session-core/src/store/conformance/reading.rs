//! Nothing is found, changed or ended where nothing lives, and keys name what they should.

use std::sync::Arc;
use std::time::Duration;

use super::edit::Edit;
use super::sample::{difference, just_before, number, same};
use super::trial::{Check, Trial, ensure, failed, name_of};
use crate::record::{Lifetime, Record};
use crate::store::{Changes, RecordKey, Updated};

pub(super) async fn load_absent(trial: &Trial) -> Check {
    trial
        .expect_none(
            &RecordKey::Id(trial.id()?),
            "`load` found a record under an id that was never used",
        )
        .await?;
    Ok(())
}

pub(super) async fn update_absent(trial: &Trial) -> Check {
    let record = trial.record()?;
    let key = RecordKey::Id(record.id());
    let plain = Edit::of(&record, Changes::new().set("a", number(1)));
    for edit in [
        plain.clone(),
        plain.meeting(record.version()),
        Edit::touching(&record, trial.now()),
    ] {
        trial
            .expect_gone(&key, &edit, "of a record that was never there")
            .await?;
        trial
            .expect_none(&key, "`update` created the record that it did not find")
            .await?;
    }
    Ok(())
}

pub(super) async fn delete_absent(trial: &Trial) -> Check {
    let key = RecordKey::Id(trial.id()?);
    trial.delete(&key).await?;
    trial
        .expect_none(&key, "there is a record after `delete` of an unused id")
        .await?;
    Ok(())
}

pub(super) async fn key(trial: &Trial) -> Check {
    let record = Arc::new(trial.record()?);
    let created = trial.create(&record).await?;
    let edit = Edit::of(&record, Changes::new().set("a", number(1)));
    let saved = trial.save(&created, &edit).await?;
    for (key, call) in [(&created, "create"), (&saved, "update")] {
        match key {
            RecordKey::Id(id) => {
                ensure!(
                    !trial.is_sealed(),
                    "`{call}` of a sealed store hands back an id"
                );
                ensure!(
                    *id == record.id(),
                    "`{call}` hands back another id than the record's"
                );
            }
            RecordKey::Sealed { scope, .. } => {
                ensure!(
                    trial.is_sealed(),
                    "`{call}` of a store on the server hands back a sealed record"
                );
                ensure!(
                    scope == record.scope(),
                    "`{call}` hands back another scope than the record's"
                );
            }
        }
    }
    trial
        .expect(
            &saved,
            &edit.record,
            "under the key that `update` handed back",
        )
        .await
}

pub(super) async fn malformed_key(trial: &Trial) -> Check {
    let (key, record) = trial.created().await?;
    let edit = Edit::of(&record, Changes::new().set("a", number(1)));
    for malformed in malformed_keys(trial, &record, &key)? {
        let found = trial.load(&malformed).await?;
        ensure!(
            found.is_none(),
            "`load` accepts the malformed key {}",
            spell(&malformed)
        );
        trial
            .expect_gone(
                &malformed,
                &edit,
                &format!("under the malformed key {}", spell(&malformed)),
            )
            .await?;
        trial.delete(&malformed).await?;
    }
    trial
        .expect(&key, &record, "after all calls with malformed keys")
        .await
}

/// Keys that no store has handed out; for a sealed store, forgeries of `key`.
fn malformed_keys(trial: &Trial, record: &Record, key: &RecordKey) -> Check<Vec<RecordKey>> {
    let sealed = |scope: &str, token: &str| RecordKey::sealed(scope, token);
    let long = "A".repeat(100_000);
    let id = record.id().encode();
    let texts = [
        "",
        "A",
        "A===",
        "\0",
        ".",
        "*",
        "ä🦀",
        "../../etc/passwd",
        id.as_str(),
        long.as_str(),
    ];
    let mut keys: Vec<_> = texts
        .iter()
        .map(|text| sealed(record.scope(), text))
        .collect();
    let RecordKey::Sealed { scope, token } = key else {
        return Ok(keys);
    };
    keys.push(RecordKey::Id(record.id()));
    keys.push(sealed("another-scope", token));
    keys.push(sealed("", token));
    keys.push(sealed(scope, &format!("{token}A")));
    keys.push(sealed(scope, &format!("A{token}")));
    keys.push(sealed(scope, &format!("{token}{token}")));
    keys.push(sealed(scope, &token.to_lowercase()));
    keys.retain(|forged| forged != key);
    let mut rng = trial.rng();
    let letters: Vec<char> = token.chars().collect();
    let ends = [1, letters.len().saturating_sub(1)];
    keys.extend(ends.map(|end| {
        sealed(
            scope,
            &letters[..end.min(letters.len())].iter().collect::<String>(),
        )
    }));
    let last = letters.len().saturating_sub(1);
    for at in (0..32).map(|_| rng.below(letters.len())).chain([0, last]) {
        let mut forged = letters.clone();
        if let Some(letter) = forged.get_mut(at) {
            *letter = if *letter == 'A' { 'B' } else { 'A' };
        }
        keys.push(sealed(scope, &forged.iter().collect::<String>()));
    }
    Ok(keys)
}

/// A key as a failure shows it, cut where it is long.
fn spell(key: &RecordKey) -> String {
    match key {
        RecordKey::Id(_) => "that is an id".into(),
        RecordKey::Sealed { scope, token } => format!("{token:.60?} in the scope {scope:?}"),
    }
}

pub(super) async fn load_expired(trial: &Trial) -> Check {
    let (key, idle) = trial.created().await?;
    dies_on_time(trial, &idle, &key, "idle for too long").await?;

    let hour = Duration::from_secs(3600);
    let short = Lifetime::new(hour * 2, hour * 3).or_else(|error| failed(error.to_string()))?;
    let record = Arc::new(Record::new(trial.id()?, idle.scope(), short, trial.now()));
    let key = trial.create(&record).await?;
    let touch = Edit::touching(&record, trial.now() + hour + hour / 2);
    let key = trial.save(&key, &touch).await?;
    dies_on_time(trial, &touch.record, &key, "touched and past its deadline").await
}

async fn dies_on_time(trial: &Trial, record: &Record, key: &RecordKey, what: &str) -> Check {
    let expires = record.expires_at();
    let last = trial.load_at(key, just_before(expires)).await?;
    same(record, last, &format!("a millisecond before it is {what}"))?;
    for late in [0, 1, 3_600_000] {
        let now = expires + Duration::from_millis(late);
        let Some(found) = trial.load_raw(key, now).await? else {
            continue;
        };
        ensure!(
            !found.is_live(now),
            "`load` shows a record that is {what} as if it were live, {late} ms after it expired"
        );
        same(record, Some(found), &format!("{late} ms after it expired"))?;
    }
    Ok(())
}

pub(super) async fn update_expired(trial: &Trial) -> Check {
    let (key, record) = trial.created().await?;
    let edit = Edit::of(&record, Changes::new().set("a", number(1)));
    let loaded = trial
        .load(&key)
        .await?
        .unwrap_or_else(|| Arc::clone(&record));
    let late = [
        edit.clone(),
        edit.clone().of_tag(&loaded),
        edit.clone().meeting(record.version()),
        edit.meeting(record.version() + 1),
        Edit::touching(&record, record.expires_at()),
        Edit::replacing(&record, Changes::new(), |record| {
            record.last_seen = record.expires_at();
        }),
    ];
    for edit in &late {
        trial
            .expect_gone_at(
                &key,
                edit,
                record.expires_at(),
                "of a record that has expired",
            )
            .await?;
        let found = trial.load(&key).await?;
        let changed = found.and_then(|found| difference(&record, &found));
        ensure!(
            changed.is_none(),
            "`update` says gone and wrote: {}",
            changed.unwrap_or_default()
        );
    }

    let (key, record) = trial.created().await?;
    let touch = Edit::touching(&record, just_before(record.expires_at()));
    match trial
        .update_at(&key, &touch, just_before(record.expires_at()))
        .await?
    {
        Updated::Saved { .. } => Ok(()),
        other => failed(format!(
            "a millisecond before it expires a record can be updated, but the store says {}",
            name_of(&other)
        )),
    }
}
