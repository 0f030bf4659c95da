//! The records of one principal.

use std::sync::Arc;
use std::time::Duration;

use super::edit::Edit;
use super::sample::{just_before, number, same};
use super::trial::{Check, Trial, ensure};
use crate::record::SessionId;
use crate::store::{Changes, RecordKey};

pub(super) async fn list_of(trial: &Trial) -> Check {
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
        trial.expect_listed(other, trial.now(), &[record]).await?;
    }
    let brief = Arc::new(trial.brief()?.with_principal(name.clone()));
    trial.create(&brief).await?;
    theirs.push(brief);

    trial
        .expect_listed(&name, just_before(trial.soon()), &theirs)
        .await?;
    theirs.pop();
    trial.expect_listed(&name, trial.soon(), &theirs).await?;
    let edit = Edit::of(&theirs[0], Changes::new().set("a", number(1)));
    trial.save(&RecordKey::Id(theirs[0].id()), &edit).await?;
    theirs[0] = edit.record;
    trial
        .expect_listed(&name, trial.now() + Duration::from_secs(120), &theirs)
        .await?;
    trial.delete(&RecordKey::Id(theirs[1].id())).await?;
    theirs.pop();
    trial.expect_listed(&name, trial.soon(), &theirs).await?;
    trial
        .expect_listed(&name, theirs[0].expires_at(), &[])
        .await?;
    trial
        .expect_listed(&trial.principal()?, trial.now(), &[])
        .await
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

pub(super) async fn delete_all_of(trial: &Trial) -> Check {
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
        let count = trial.delete_all_of(&name, except).await?;
        ensure!(
            count == ended,
            "`delete_all_of` says that it ended {count} records, it has to be {ended}"
        );
        trial.expect_listed(&name, trial.now(), left).await?;
        for record in &theirs {
            let found = trial.load(&RecordKey::Id(record.id())).await?;
            if left.contains(record) {
                same(record, found, "the one that `delete_all_of` had to except")?;
            } else {
                ensure!(
                    found.is_none(),
                    "`load` finds a record that `delete_all_of` had to end"
                );
            }
        }
    }
    for record in [other, nobody] {
        trial
            .expect(
                &RecordKey::Id(record.id()),
                &record,
                "a record that is not of the principal",
            )
            .await?;
    }
    Ok(())
}

pub(super) async fn delete_one_of(trial: &Trial) -> Check {
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
        trial
            .expect(
                &RecordKey::Id(record.id()),
                record,
                "after `delete_one_of` of another principal",
            )
            .await?;
    }
    expect_not_theirs(trial, "", nobody.id()).await?;
    expect_not_theirs(trial, &name, trial.id()?).await?;

    let edit = Edit::of(&theirs[1], Changes::new().set("a", number(1)));
    trial.save(&RecordKey::Id(theirs[1].id()), &edit).await?;
    theirs[1] = edit.record;
    trial.expect_listed(&name, trial.now(), &theirs).await?;
    while let Some(record) = theirs.pop() {
        let key = RecordKey::Id(record.id());
        let ended = trial.delete_one_of(&name, record.id()).await?;
        ensure!(
            ended,
            "`delete_one_of` says that a record of the principal is not theirs"
        );
        let edit = Edit::of(&record, Changes::new().set("late", number(1)));
        trial
            .expect_gone(&key, &edit, "of a record that `delete_one_of` ended")
            .await?;
        for again in [false, true] {
            trial
                .expect_none(&key, "`load` finds a record that `delete_one_of` ended")
                .await?;
            trial.expect_listed(&name, trial.now(), &theirs).await?;
            if !again {
                expect_not_theirs(trial, &name, record.id()).await?;
            }
        }
        for record in theirs.iter().chain(&others) {
            trial
                .expect(
                    &RecordKey::Id(record.id()),
                    record,
                    "after `delete_one_of` of another record",
                )
                .await?;
        }
    }
    Ok(())
}

/// `delete_one_of` must not say that it has ended this.
async fn expect_not_theirs(trial: &Trial, name: &str, id: SessionId) -> Check {
    let ended = trial.delete_one_of(name, id).await?;
    ensure!(
        !ended,
        "`delete_one_of` says that it ended a record that {name:?} does not have"
    );
    Ok(())
}

pub(super) async fn principal_changes(trial: &Trial) -> Check {
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
            trial.expect_listed(name, trial.now(), listed).await?;
        }
        let former = next.map_or(0, |at| 1 - at);
        let ended = trial.delete_all_of(&names[former], None).await?;
        ensure!(
            ended == 0,
            "`delete_all_of` ended a record that is no longer of the principal"
        );
        expect_not_theirs(trial, &names[former], record.id()).await?;
        trial
            .expect(
                &key,
                &record,
                "after `delete_all_of` and `delete_one_of` of a former principal",
            )
            .await?;
    }
    let ended = trial.delete_all_of(&names[0], None).await?;
    ensure!(
        ended == 1,
        "`delete_all_of` missed the record that has become the principal's"
    );

    let (key, record) = trial.created().await?;
    let edit = Edit::replacing(&record, Changes::new(), |record| {
        record.principal = Some(names[1].clone().into());
    });
    trial.save(&key, &edit).await?;
    let ended = trial.delete_one_of(&names[1], record.id()).await?;
    ensure!(
        ended,
        "`delete_one_of` missed the record that has become the principal's"
    );
    trial.expect_listed(&names[1], trial.now(), &[]).await
}
