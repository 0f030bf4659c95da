//! What one update does to a record, and when it is refused.

use std::sync::Arc;
use std::time::Duration;

use super::edit::Edit;
use super::rng::Rng;
use super::sample::{any_value, number, same, token};
use super::trial::{Check, Trial, describe, ensure, failed, name_of};
use crate::error::StoreError;
use crate::record::{Codec, Lifetime, Limits, Record, Value};
use crate::store::{Changes, Metadata, RecordKey, Updated};

pub(super) async fn large_version(trial: &Trial) -> Check {
    const LARGE: u64 = (1 << 40) + 1;

    let mut record = trial.record()?.with_version(LARGE);
    record.epoch = LARGE - 2;
    let mut record = Arc::new(record);
    let mut key = trial.create(&record).await?;
    trial
        .expect(&key, &record, "of a large version and epoch")
        .await?;
    for at in 0..3 {
        let edit = Edit::of(&record, Changes::new().set("a", number(at)));
        let edit = match at {
            0 => edit,
            _ => edit.meeting(record.version()),
        };
        key = trial
            .save_and_expect(&key, &edit, "of a large version, after an update")
            .await?;
        record = edit.record;
    }
    let renewed = Edit::replacing(&record, Changes::new(), |record| record.epoch += 1);
    trial
        .save_and_expect(&key, &renewed, "of a large epoch, after a renewal")
        .await?;
    Ok(())
}

pub(super) async fn version_not_met(trial: &Trial) -> Check {
    let (loaded, stored, key) = moved_on(trial).await?;
    for version in [loaded.version(), stored.version() + 1, 0, u64::MAX] {
        for base in [&loaded, &stored] {
            let edit =
                Edit::of(base, Changes::new().set("late", number(1)).clear()).meeting(version);
            let answer = trial.update(&key, &edit).await?;
            ensure!(
                matches!(answer, Updated::Conflict { .. }),
                "`update` that must meet version {version} has to conflict with version {}, but \
                 the store says {}",
                stored.version(),
                name_of(&answer)
            );
            trial.expect(&key, &stored, "after a conflict").await?;
        }
    }
    Ok(())
}

pub(super) async fn conflict_record(trial: &Trial) -> Check {
    let (loaded, stored, key) = moved_on(trial).await?;
    let edit = Edit::of(&loaded, Changes::new().set("late", number(1))).meeting(loaded.version());
    match trial.update(&key, &edit).await? {
        Updated::Conflict { current: None, .. } => Ok(()),
        Updated::Conflict {
            current: Some(record),
            ..
        } => same(
            &stored,
            Some(record),
            "the record that came with `Conflict`",
        ),
        other => failed(format!(
            "`update` has to conflict, but the store says {}",
            name_of(&other)
        )),
    }
}

pub(super) async fn version_met(trial: &Trial) -> Check {
    let mut record = Arc::new(trial.record()?);
    let mut key = trial.create(&record).await?;
    for n in 0..6 {
        let edit = Edit::of(&record, Changes::new().set(format!("value-{n}"), number(n)));
        let edit = if n % 2 == 0 {
            edit.meeting(record.version())
        } else {
            edit
        };
        key = trial
            .save_and_expect(&key, &edit, "after an update of the loaded version")
            .await?;
        record = edit.record;
    }
    Ok(())
}

pub(super) async fn stale_base(trial: &Trial) -> Check {
    let seen = trial.now() + Duration::from_secs(60);
    let late = [
        Changes::new().set("mine", number(2)),
        Changes::new().set("theirs", number(2)),
        Changes::new().remove("first"),
        Changes::new().remove("missing"),
        Changes::new().clear().set("mine", number(2)),
        Changes::new().with_metadata(Metadata::Touched(seen)),
    ];
    let replaces = Changes::new().with_metadata(Metadata::Replaced);
    let meets = |meets: bool| late.iter().map(move |changes| (changes.clone(), meets));
    let all = meets(false).chain(meets(true)).chain([(replaces, true)]);
    for (changes, meets) in all {
        let (loaded, stored, key) = moved_on(trial).await?;
        let mut edit = match changes.metadata() {
            Metadata::Replaced => Edit::replacing(&loaded, changes, |record| record.epoch += 1),
            _ => Edit::of(&loaded, changes),
        };
        // The version is met, and the base is stale all the same.
        if meets {
            edit = edit.meeting(stored.version());
        }
        let expected = match trial.update(&key, &edit).await? {
            Updated::Saved { version, .. } => {
                let mut merged = edit.changes.apply(&stored);
                if edit.changes.metadata() == Metadata::Replaced {
                    merged = Record {
                        values: merged.values.clone(),
                        version: merged.version,
                        ..(*edit.record).clone()
                    };
                }
                let next = merged.version();
                ensure!(
                    version == next,
                    "`update` says version {version} where it has to be {next}"
                );
                Arc::new(merged)
            }
            Updated::Conflict { .. } => stored,
            Updated::Gone => {
                return failed("`update` of a stale base says gone, but the record lives");
            }
        };
        trial
            .expect(&key, &expected, "after an update of a stale base")
            .await?;
    }
    Ok(())
}

/// A record as one request loaded it, as another left it, and the key of the latter.
async fn moved_on(trial: &Trial) -> Check<(Arc<Record>, Arc<Record>, RecordKey)> {
    let loaded = Arc::new(trial.record()?.with_value("second", number(2)));
    let key = trial.create(&loaded).await?;
    let edit = Edit::of(
        &loaded,
        Changes::new().set("theirs", number(1)).remove("second"),
    );
    let key = trial.save(&key, &edit).await?;
    Ok((loaded, edit.record, key))
}

pub(super) async fn set_remove(trial: &Trial) -> Check {
    const NAMES: [&str; 6] = ["a", "b", "a.b", "", "ä", "first"];
    for mut rng in trial.rounds().take(16) {
        let mut record = Arc::new(trial.record()?.with_value("a", number(1)));
        let mut key = trial.create(&record).await?;
        for _ in 0..4 {
            let mut changes = Changes::new();
            for _ in 0..rng.between(1, 4) {
                let name = NAMES[rng.below(NAMES.len())];
                changes = if rng.coin() {
                    changes.remove(name)
                } else {
                    changes.set(name, any_value(&mut rng))
                };
            }
            let edit = Edit::of(&record, changes);
            key = trial
                .save_and_expect(&key, &edit, "after keys were set and removed")
                .await?;
            record = edit.record;
        }
    }
    Ok(())
}

pub(super) async fn clear(trial: &Trial) -> Check {
    let record = Arc::new(
        trial
            .record()?
            .with_principal(trial.principal()?)
            .with_value("a.b", number(2)),
    );
    for changes in [
        Changes::new().clear(),
        Changes::new().clear().set("new", number(3)),
        Changes::new().clear().set("first", number(4)).remove("a.b"),
    ] {
        let mut record = (*record).clone();
        record.id = trial.id()?;
        let record = Arc::new(record);
        let key = trial.create(&record).await?;
        let edit = Edit::of(&record, changes);
        let key = trial.save_and_expect(&key, &edit, "after a clear").await?;
        let again = Edit::of(&edit.record, Changes::new().set("first", number(5)));
        trial
            .save_and_expect(&key, &again, "after a clear and a set")
            .await?;
    }
    Ok(())
}

pub(super) async fn touch(trial: &Trial) -> Check {
    let minute = Duration::from_secs(60);
    let (key, record) = trial.created().await?;
    let seen = trial.now() + minute * 2;
    let first = Edit::touching(&record, seen);
    let key = trial.save_and_expect(&key, &first, "after a touch").await?;
    let later = trial.load_at(&key, record.expires_at()).await?;
    same(
        &first.record,
        later,
        "when it would have expired but for the touch",
    )?;

    let both = Changes::new()
        .set("a", number(1))
        .with_metadata(Metadata::Touched(seen + minute));
    let second = Edit::of(&first.record, both);
    let key = trial
        .save_and_expect(&key, &second, "after a touch and a set")
        .await?;

    let behind = Edit::touching(&second.record, seen);
    let key = trial.save(&key, &behind).await?;
    trial
        .expect(
            &key,
            &behind.record,
            "after a touch of an earlier time, which moves nothing back",
        )
        .await
}

pub(super) async fn replace_metadata(trial: &Trial) -> Check {
    for mut rng in trial.rounds().take(16) {
        let record = Arc::new(trial.rich(&mut rng)?);
        let key = trial.create(&record).await?;
        let other = trial.rich(&mut rng)?;
        let changes = match rng.below(3) {
            0 => Changes::new(),
            1 => Changes::new()
                .set("new", any_value(&mut rng))
                .remove("value-0"),
            _ => Changes::new().clear().set("new", any_value(&mut rng)),
        };
        let edit = Edit::replacing(&record, changes, |record| renew(record, &other, &mut rng));
        let key = trial
            .save_and_expect(&key, &edit, "after the metadata was replaced")
            .await?;
        let next = Edit::of(&edit.record, Changes::new().set("next", number(1)));
        trial
            .save_and_expect(&key, &next, "after the metadata was replaced and a key set")
            .await?;
    }
    Ok(())
}

/// Everything that a renewal, a rotation or a change of principal may change.
fn renew(record: &mut Record, other: &Record, rng: &mut Rng) {
    record.epoch += u64::from(rng.coin());
    record.last_seen = other.last_seen;
    record.deadline = other.deadline;
    record.authenticated = other.authenticated;
    record.principal.clone_from(&other.principal);
    record.label.clone_from(&other.label);
    record.lifetime = other.lifetime;
    record.csrf_seed = other.csrf_seed;
    record.owed = other.owed;
    record.tokens.clone_from(&other.tokens);
}

pub(super) async fn other_epoch(trial: &Trial) -> Check {
    let mut rng = trial.rng();
    let (key, loaded) = trial.created().await?;
    let renewal = Edit::replacing(&loaded, Changes::new(), |record| {
        record.epoch += 1;
        record.tokens = [token(&mut rng, record.created)].into_iter().collect();
    });
    let key = trial.save(&key, &renewal).await?;
    let current = &renewal.record;
    let tagged = trial
        .load(&key)
        .await?
        .unwrap_or_else(|| Arc::clone(current));

    let changes = || Changes::new().set("late", number(1));
    let replaced = Edit::replacing(&loaded, changes(), |record| record.epoch += 1);
    for edit in [
        Edit::of(&loaded, changes()),
        Edit::of(&loaded, changes()).meeting(loaded.version()),
        Edit::of(current, changes()).of_epoch(loaded.epoch()),
        Edit::of(current, changes())
            .of_epoch(loaded.epoch())
            .of_tag(&tagged),
        Edit::of(current, changes())
            .of_epoch(loaded.epoch())
            .meeting(current.version()),
        Edit::of(current, changes()).of_epoch(current.epoch() + 1),
        Edit::touching(&loaded, trial.now() + Duration::from_secs(60)),
        replaced,
    ] {
        trial
            .expect_gone(&key, &edit, "by a request that loaded another epoch")
            .await?;
        trial
            .expect(&key, current, "after an update of another epoch")
            .await?;
    }
    let edit = Edit::of(current, changes());
    let key = trial.save(&key, &edit).await?;
    trial
        .expect(&key, &edit.record, "after an update of the right epoch")
        .await
}

pub(super) async fn merged_limits(trial: &Trial) -> Check {
    let bytes = || Value::new(Codec::Postcard, vec![7; 1_500]);
    let base = trial.record()?.size();
    let few_keys = Limits {
        keys: 2,
        ..Limits::default()
    };
    let few_bytes = Limits {
        record_bytes: base + 2_000,
        ..Limits::default()
    };
    for (limits, what) in [(few_keys, "too many keys"), (few_bytes, "too many bytes")] {
        let (key, loaded) = trial.created().await?;
        let theirs = Edit::of(&loaded, Changes::new().set("theirs", bytes())).within(limits);
        let key = trial.save(&key, &theirs).await?;
        let stored = &theirs.record;

        let mine = Edit::of(&loaded, Changes::new().set("mine", bytes())).within(limits);
        match trial.try_update(&key, &mine).await {
            Err(StoreError::TooLarge(_)) | Ok(Updated::Conflict { .. }) => {}
            Err(error) => return failed(format!("`update` failed: {}", describe(&error))),
            Ok(other) => {
                return failed(format!(
                    "what results from the merge has {what}, but the store says {}",
                    name_of(&other)
                ));
            }
        }
        trial
            .expect(
                &key,
                stored,
                &format!("after a merge that would have had {what}"),
            )
            .await?;

        let fitting = Edit::of(
            &loaded,
            Changes::new().set("theirs", number(1)).remove("first"),
        )
        .within(limits);
        let expected = match trial.update(&key, &fitting).await? {
            Updated::Saved { .. } => Arc::new(fitting.changes.apply(stored)),
            Updated::Conflict { .. } => Arc::clone(stored),
            Updated::Gone => {
                return failed("`update` of a stale base says gone, but the record lives");
            }
        };
        trial
            .expect(&key, &expected, "after a merge that fits")
            .await?;
    }
    Ok(())
}

pub(super) async fn replaced_lifetime(trial: &Trial) -> Check {
    let hour = Duration::from_secs(3600);
    let short = Lifetime::new(hour, hour * 2).or_else(|error| failed(error.to_string()))?;
    let (key, record) = trial.created().await?;
    let edit = Edit::replacing(&record, Changes::new(), |record| {
        record.lifetime = short;
        record.deadline = record.created + short.absolute();
    });
    let key = trial.save(&key, &edit).await?;
    let found = trial.load_at(&key, edit.record.expires_at()).await?;
    ensure!(
        found.is_none(),
        "`load` goes by the lifetime from before it was shortened"
    );
    let late = Edit::of(&edit.record, Changes::new().set("a", number(1)));
    let of = "of a record whose lifetime was made shorter";
    trial
        .expect_gone_at(&key, &late, edit.record.expires_at(), of)
        .await?;

    let longer = Edit::replacing(&edit.record, Changes::new(), |after| {
        after.lifetime = record.lifetime;
        after.deadline = record.deadline;
    });
    let key = trial.save(&key, &longer).await?;
    let found = trial.load_at(&key, edit.record.expires_at()).await?;
    same(&longer.record, found, "after its lifetime was made longer")?;
    let late = Edit::of(&longer.record, Changes::new().set("a", number(1)));
    match trial
        .update_at(&key, &late, edit.record.expires_at())
        .await?
    {
        Updated::Saved { .. } => Ok(()),
        other => failed(format!(
            "a record whose lifetime was made longer can be updated, but the store says {}",
            name_of(&other)
        )),
    }
}
