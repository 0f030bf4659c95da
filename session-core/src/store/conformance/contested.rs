//! A record that changes hands while one of the two principals ends it.

use std::sync::Arc;

use super::edit::Edit;
use super::rng::Rng;
use super::sample::{any_edit, number, number_at};
use super::schedule::{interleave, take_turns, task};
use super::trial::{Check, Trial, ensure, failed};
use super::writer::Writer;
use crate::record::Record;
use crate::store::{Changes, RecordKey};

/// A record that changes hands while one of the two principals ends it.
struct Contested {
    key: RecordKey,
    record: Arc<Record>,
    /// Whose it is at first, if anybody's, and whose it is to be.
    from: Option<String>,
    to: String,
    /// Who ends it.
    by: String,
}

pub(super) async fn delete_one_of_race(trial: &Trial) -> Check {
    for mut rng in trial.rounds() {
        let (former, to) = (trial.principal()?, trial.principal()?);
        let from = (rng.below(4) > 0).then_some(former);
        // More often the one who loses it: who gets it may end it sooner or later.
        let by = match &from {
            Some(from) if rng.below(3) > 0 => from.clone(),
            _ => to.clone(),
        };
        let mut record = trial.record()?;
        record.principal = from.as_deref().map(Into::into);
        let record = Arc::new(record);
        let contested = Contested {
            key: trial.create(&record).await?,
            record,
            from,
            to,
            by,
        };
        contend(trial, &contested, &mut rng).await?;
    }
    Ok(())
}

/// What one of those has to tell who have to do with a contested record.
enum Told {
    Wrote(Option<String>),
    Moved(bool),
    Ended(bool),
}

async fn contend(trial: &Trial, contested: &Contested, rng: &mut Rng) -> Check {
    let mut tasks = vec![task(change_hands(trial, contested, rng.fork()))];
    for name in 0..rng.between(1, 2) {
        tasks.push(task(write_beside(trial, contested, name, rng.fork())));
    }
    for _ in 0..rng.between(1, 2) {
        tasks.push(task(end_theirs(trial, contested, rng.below(6))));
    }
    let (mut ended, mut moved, mut wrote) = (0, false, Vec::new());
    for told in interleave(rng, tasks).await {
        match told? {
            Told::Ended(yes) => ended += usize::from(yes),
            Told::Moved(yes) => moved = yes,
            Told::Wrote(own) => wrote.push(own),
        }
    }
    ensure!(
        ended <= 1,
        "`delete_one_of` says {ended} times that it ended one record"
    );
    let names = [contested.from.as_ref(), Some(&contested.to)];
    if ended == 1 {
        ensure!(
            !moved || contested.by == contested.to,
            "`delete_one_of` ended a record that had become another principal's"
        );
        let edit = any_edit(trial, &contested.record, rng);
        trial
            .expect_gone(
                &contested.key,
                &edit,
                "of a record that `delete_one_of` ended",
            )
            .await?;
        trial
            .expect_deleted(&contested.key, "`delete_one_of` among writers")
            .await?;
        for name in names.into_iter().flatten() {
            trial.expect_listed(name, trial.now(), &[]).await?;
        }
        return Ok(());
    }
    ensure!(moved, "`update` says gone of a record that nobody ended");
    let found = trial.find(&contested.key).await?;
    ensure!(
        found.principal() == Some(&contested.to),
        "`update` has changed the principal, but it is not to be seen"
    );
    for own in wrote {
        let Some(own) = own else {
            return failed("`update` says gone of a record that nobody ended");
        };
        ensure!(
            number_at(&found, &own)? == 1,
            "the value under {own:?} is lost"
        );
    }
    for name in names.into_iter().flatten() {
        let theirs = (*name == contested.to).then_some(&found);
        trial
            .expect_listed(name, trial.now(), theirs.map_or(&[], std::slice::from_ref))
            .await?;
    }
    Ok(())
}

async fn change_hands(trial: &Trial, contested: &Contested, mut rng: Rng) -> Check<Told> {
    let mut writer = Writer::new(trial, &contested.key, &contested.record);
    take_turns(rng.below(6)).await;
    let to = &contested.to;
    let hand = |base: &Record| {
        Edit::replacing(base, Changes::new(), |record| {
            record.principal = Some(to.clone().into());
        })
    };
    let saved = writer.write(&mut rng, hand).await?;
    Ok(Told::Moved(saved.is_some()))
}

async fn write_beside(
    trial: &Trial,
    contested: &Contested,
    name: usize,
    mut rng: Rng,
) -> Check<Told> {
    let mut writer = Writer::new(trial, &contested.key, &contested.record);
    let own = format!("writer-{name}");
    let meets = rng.coin();
    take_turns(rng.below(6)).await;
    let set = |base: &Record| {
        let edit = Edit::of(base, Changes::new().set(own.clone(), number(1)));
        if meets {
            edit.meeting(base.version())
        } else {
            edit
        }
    };
    let saved = writer.write(&mut rng, set).await?;
    Ok(Told::Wrote(saved.map(|_| own)))
}

async fn end_theirs(trial: &Trial, contested: &Contested, turns: usize) -> Check<Told> {
    take_turns(turns).await;
    let ended = trial
        .delete_one_of(&contested.by, contested.record.id())
        .await?;
    if ended {
        trial
            .expect_deleted(&contested.key, "`delete_one_of` has said that it ended it")
            .await?;
    } else if contested.by != contested.to {
        // Another may have ended it; else it has changed hands.
        let found = trial.load(&contested.key).await?;
        ensure!(
            found.is_none_or(|found| found.principal() == Some(&contested.to)),
            "`delete_one_of` says that a record of the principal is not theirs"
        );
    }
    Ok(Told::Ended(ended))
}
