//! The records of one principal.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::edit::Edit;
use super::reading::expect_gone;
use super::sample::{just_before, number, same};
use super::trial::{Check, Stop, Trial, describe, ensure, failed};
use crate::error::StoreError;
use crate::record::{Record, SessionId};
use crate::store::{Changes, Key, Listed};
use crate::time::Timestamp;

pub(super) async fn list(trial: &Trial) -> Check {
    needs_index(trial).await?;
    let name = trial.principal()?;
    let others = similar(&name);
    let mut theirs = vec![
        Arc::new(trial.record()?.with_principal(name.clone())),
        Arc::new(trial.record()?.with_principal(name.clone())),
    ];
    for record in &theirs {
        trial.create(record).await?;
    }
    trial.create(&Arc::new(trial.record()?)).await?;
    for other in &others {
        let record = Arc::new(trial.record()?.with_principal(other.clone()));
        trial.create(&record).await?;
        expect_listed(trial, other, trial.now(), &[record]).await?;
    }
    let brief = Arc::new(trial.brief()?.with_principal(name.clone()));
    trial.create(&brief).await?;
    theirs.push(brief);

    expect_listed(trial, &name, just_before(trial.soon()), &theirs).await?;
    theirs.pop();
    expect_listed(trial, &name, trial.soon(), &theirs).await?;
    let edit = Edit::of(&theirs[0], Changes::new().set("a", number(1)));
    trial.save(&Key::Id(theirs[0].id()), &edit).await?;
    theirs[0] = edit.record;
    expect_listed(
        trial,
        &name,
        trial.now().plus(Duration::from_secs(120)),
        &theirs,
    )
    .await?;
    trial.delete(&Key::Id(theirs[1].id())).await?;
    theirs.pop();
    expect_listed(trial, &name, trial.soon(), &theirs).await?;
    expect_listed(trial, &name, theirs[0].expires(), &[]).await?;
    expect_listed(trial, &trial.principal()?, trial.now(), &[]).await
}

/// Names that a careless comparison takes for this one.
fn similar(name: &str) -> [String; 5] {
    [
        format!("{name}x"),
        name[..name.len() - 1].to_owned(),
        name.to_uppercase(),
        format!("{name}\0"),
        format!("{name}*"),
    ]
}

pub(super) async fn delete_all(trial: &Trial) -> Check {
    needs_index(trial).await?;
    let name = trial.principal()?;
    let mut theirs = Vec::new();
    for _ in 0..4 {
        let record = Arc::new(trial.record()?.with_principal(name.clone()));
        trial.create(&record).await?;
        theirs.push(record);
    }
    let other = Arc::new(trial.record()?.with_principal(format!("{name}x")));
    let nobody = Arc::new(trial.record()?);
    for record in [&other, &nobody] {
        trial.create(record).await?;
    }
    for (except, ended, left) in [
        (Some(theirs[0].id()), 3, &theirs[..1]),
        (Some(theirs[0].id()), 0, &theirs[..1]),
        (Some(other.id()), 1, &[][..]),
        (None, 0, &[][..]),
    ] {
        let count = end_all(trial, &name, except).await?;
        ensure!(
            count == ended,
            "`delete_all` says that it ended {count} records, it has to be {ended}"
        );
        expect_listed(trial, &name, trial.now(), left).await?;
        for record in &theirs {
            let found = trial.load(&Key::Id(record.id())).await?;
            if left.contains(record) {
                same(record, found, "the one that `delete_all` had to except")?;
            } else {
                ensure!(
                    found.is_none(),
                    "`load` finds a record that `delete_all` had to end"
                );
            }
        }
    }
    for record in [other, nobody] {
        same(
            &record,
            trial.load(&Key::Id(record.id())).await?,
            "a record that is not of the principal",
        )?;
    }
    Ok(())
}

pub(super) async fn delete_one(trial: &Trial) -> Check {
    needs_index(trial).await?;
    let name = trial.principal()?;
    let mut theirs = Vec::new();
    for _ in 0..3 {
        let record = Arc::new(trial.record()?.with_principal(name.clone()));
        trial.create(&record).await?;
        theirs.push(record);
    }
    let nobody = Arc::new(trial.record()?);
    let mut others = vec![Arc::clone(&nobody)];
    for other in similar(&name) {
        others.push(Arc::new(trial.record()?.with_principal(other)));
    }
    for record in &others {
        trial.create(record).await?;
        expect_not_theirs(trial, &name, record.id()).await?;
        same(
            record,
            trial.load(&Key::Id(record.id())).await?,
            "after `delete_one` of another principal",
        )?;
    }
    expect_not_theirs(trial, "", nobody.id()).await?;
    expect_not_theirs(trial, &name, trial.id()?).await?;

    let edit = Edit::of(&theirs[1], Changes::new().set("a", number(1)));
    trial.save(&Key::Id(theirs[1].id()), &edit).await?;
    theirs[1] = edit.record;
    expect_listed(trial, &name, trial.now(), &theirs).await?;
    while let Some(record) = theirs.pop() {
        let key = Key::Id(record.id());
        let ended = end_one(trial, &name, record.id()).await?;
        ensure!(
            ended,
            "`delete_one` says that a record of the principal is not theirs"
        );
        let edit = Edit::of(&record, Changes::new().set("late", number(1)));
        expect_gone(
            &trial.update(&key, &edit).await?,
            "of a record that `delete_one` ended",
        )?;
        for again in [false, true] {
            let found = trial.load(&key).await?;
            ensure!(
                found.is_none(),
                "`load` finds a record that `delete_one` ended"
            );
            expect_listed(trial, &name, trial.now(), &theirs).await?;
            if !again {
                expect_not_theirs(trial, &name, record.id()).await?;
            }
        }
        for record in theirs.iter().chain(&others) {
            same(
                record,
                trial.load(&Key::Id(record.id())).await?,
                "after `delete_one` of another record",
            )?;
        }
    }
    Ok(())
}

/// `delete_one` must not say that it has ended this.
async fn expect_not_theirs(trial: &Trial, name: &str, id: SessionId) -> Check {
    let ended = end_one(trial, name, id).await?;
    ensure!(
        !ended,
        "`delete_one` says that it ended a record that {name:?} does not have"
    );
    Ok(())
}

pub(super) async fn principal_changes(trial: &Trial) -> Check {
    needs_index(trial).await?;
    let names = [trial.principal()?, trial.principal()?];
    let mut record = Arc::new(trial.record()?);
    let key = trial.create(&record).await?;
    for next in [Some(0), Some(1), None, Some(1), Some(0)] {
        let principal = next.map(|at: usize| names[at].clone().into());
        let edit = Edit::replacing(&record, Changes::new(), |record| {
            record.principal = principal;
        });
        trial.save(&key, &edit).await?;
        record = edit.record;
        for (at, name) in names.iter().enumerate() {
            let listed = if Some(at) == next {
                std::slice::from_ref(&record)
            } else {
                &[]
            };
            expect_listed(trial, name, trial.now(), listed).await?;
        }
        let former = next.map_or(0, |at| 1 - at);
        let ended = end_all(trial, &names[former], None).await?;
        ensure!(
            ended == 0,
            "`delete_all` ended a record that is no longer of the principal"
        );
        expect_not_theirs(trial, &names[former], record.id()).await?;
        same(
            &record,
            trial.load(&key).await?,
            "after `delete_all` and `delete_one` of a former principal",
        )?;
    }
    let ended = end_all(trial, &names[0], None).await?;
    ensure!(
        ended == 1,
        "`delete_all` missed the record that has become the principal's"
    );

    let record = Arc::new(trial.record()?);
    let key = trial.create(&record).await?;
    let edit = Edit::replacing(&record, Changes::new(), |record| {
        record.principal = Some(names[1].clone().into());
    });
    trial.save(&key, &edit).await?;
    let ended = end_one(trial, &names[1], record.id()).await?;
    ensure!(
        ended,
        "`delete_one` missed the record that has become the principal's"
    );
    expect_listed(trial, &names[1], trial.now(), &[]).await
}

/// Leaves the case out where none of the three is supported.
pub(super) async fn needs_index(trial: &Trial) -> Check {
    let name = trial.principal()?;
    let listed = trial.try_list(&name, trial.now()).await;
    let all = trial.try_delete_all(&name, None).await;
    let one = trial.try_delete_one(&name, trial.id()?).await;
    let nothing = [
        ("list", listed.map(|listed| listed.is_empty())),
        ("delete_all", all.map(|ended| ended == 0)),
        ("delete_one", one.map(|ended| !ended)),
    ];
    let (without, with): (Vec<_>, Vec<_>) = nothing
        .into_iter()
        .partition(|(_, answer)| matches!(answer, Err(StoreError::Unsupported(_))));
    match (without.first(), with.first()) {
        (Some(_), None) => {
            let reason = "`list`, `delete_all` and `delete_one` are unsupported";
            return Err(Stop::LeftOut(reason.into()));
        }
        (Some((missing, _)), Some((there, _))) => {
            return failed(format!("`{missing}` is unsupported, but `{there}` is not"));
        }
        (None, _) => {}
    }
    for (call, answer) in with {
        match answer {
            Err(error) => return failed(format!("`{call}` failed: {}", describe(&error))),
            Ok(nothing) => ensure!(
                nothing,
                "a principal that was never used has records, says `{call}`"
            ),
        }
    }
    Ok(())
}

pub(super) async fn end_one(trial: &Trial, name: &str, id: SessionId) -> Check<bool> {
    let ended = trial.try_delete_one(name, id).await;
    ended.or_else(|error| failed(format!("`delete_one` failed: {}", describe(&error))))
}

pub(super) async fn end_all(trial: &Trial, name: &str, except: Option<SessionId>) -> Check<u64> {
    let ended = trial.try_delete_all(name, except).await;
    ended.or_else(|error| failed(format!("`delete_all` failed: {}", describe(&error))))
}

/// `list` has to name these records, in any order.
pub(super) async fn expect_listed(
    trial: &Trial,
    name: &str,
    now: Timestamp,
    expected: &[Arc<Record>],
) -> Check {
    let listed = trial.try_list(name, now).await;
    let listed = listed.or_else(|error| failed(format!("`list` failed: {}", describe(&error))))?;
    if let Some(Listed::Unreadable { error, .. }) =
        listed.iter().find(|listed| listed.record().is_none())
    {
        return failed(format!(
            "`list` cannot read a record that the store has written: {}",
            describe(error)
        ));
    }
    let ids: BTreeSet<_> = listed.iter().map(Listed::id).collect();
    let right: BTreeSet<_> = expected.iter().map(|record| record.id()).collect();
    ensure!(
        ids == right && listed.len() == right.len(),
        "`list` of {name:?} returns {} records, {} of them right; it has to be {}",
        listed.len(),
        ids.intersection(&right).count(),
        right.len()
    );
    for record in expected {
        let found = listed.iter().find(|found| found.id() == record.id());
        let found = found.and_then(Listed::record).cloned();
        same(record, found, "as `list` returns it")?;
    }
    Ok(())
}
