//! Reading a whole store in pages, and mending its index.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::edit::Edit;
use super::sample::{number, same};
use super::schedule::{Task, run_all, take_turns, task};
use super::trial::{Check, Trial, ensure, failed};
use crate::error::StoreError;
use crate::record::{Record, SessionId};
use crate::store::{Changes, IndexMend, IndexPage, Listed, RecordKey, ScanCursor, ScanPage};

/// Small, so that there are several pages. A store that other cases have filled gets larger ones.
const PAGE: usize = 3;
const PAGES: usize = 64;
/// Each of them reads all that is stored.
const ROUNDS: usize = 8;

/// The pages of a scan, and the next cursor after it was printed and parsed.
#[derive(Default)]
struct Pages {
    next: Option<ScanCursor>,
    number: usize,
    over: bool,
}

impl Pages {
    fn most(&self) -> usize {
        PAGE << (self.number / PAGES).min(8)
    }

    fn turn(&mut self, next: Option<ScanCursor>) -> Check {
        self.number += 1;
        self.over = next.is_none();
        self.next = match next {
            Some(next) => Some(parsed(&next)?),
            None => None,
        };
        Ok(())
    }
}

fn parsed(cursor: &ScanCursor) -> Check<ScanCursor> {
    match cursor.to_string().parse::<ScanCursor>() {
        Ok(parsed) if parsed == *cursor => Ok(parsed),
        _ => failed("a cursor is another one after it was printed and parsed"),
    }
}

/// All that a scan finds, by id. What is found twice has to be found last as it is stored.
async fn scanned(trial: &Trial) -> Check<BTreeMap<SessionId, Listed>> {
    let (mut found, mut pages) = (BTreeMap::new(), Pages::default());
    while !pages.over {
        let page = trial
            .scan_records(pages.next.as_ref(), pages.most())
            .await?;
        let ScanPage { sessions, next, .. } = page;
        found.extend(sessions.into_iter().map(|listed| (listed.id(), listed)));
        pages.turn(next)?;
    }
    Ok(found)
}

fn record(found: &BTreeMap<SessionId, Listed>, id: SessionId) -> Option<Arc<Record>> {
    found.get(&id).and_then(Listed::record).cloned()
}

pub(super) async fn scan_records(trial: &Trial) -> Check {
    let mut rng = trial.rng();
    let mut records = Vec::new();
    for _ in 0..3 * PAGE {
        records.push(Arc::new(trial.rich(&mut rng)?));
        records.push(Arc::new(trial.brief()?));
    }
    for record in &records {
        trial.create(record).await?;
    }
    let ended = trial.create(&Arc::new(trial.record()?)).await?;
    trial.delete(&ended).await?;

    let none = trial.scan_records(None, 0).await?;
    ensure!(
        none.next.is_some() || none.sessions.len() >= records.len(),
        "`scan_records` of 0 sessions a page is over, and has not returned what is stored"
    );
    let found = scanned(trial).await?;
    for expected in &records {
        same(
            expected,
            record(&found, expected.id()),
            "as `scan_records` returns it",
        )?;
    }
    let ended = ended.id().and_then(|id| record(&found, id));
    ensure!(
        ended.is_none_or(|record| record.ended().is_some()),
        "`scan_records` returns a session that was deleted before"
    );
    Ok(())
}

pub(super) async fn scan_cursor(trial: &Trial) -> Check {
    for _ in 0..2 * PAGE {
        let record = trial.record()?.with_principal(trial.principal()?);
        trial.create(&Arc::new(record)).await?;
    }
    let foreign = ["", "\0", "?", "17", "-1", "999999999999999999999999999999"];
    let mut foreign: Vec<_> = foreign.map(|text| text.as_bytes().to_vec()).into();
    foreign.push(vec![0xff; 3]);
    foreign.push(vec![0xff; 100]);
    for bytes in foreign {
        let cursor = ScanCursor::new(bytes);
        refused(
            "scan_records",
            &trial.try_scan_records(Some(&cursor), PAGE).await,
        )?;
        refused(
            "scan_index",
            &trial.try_scan_index(Some(&cursor), PAGE).await,
        )?;
    }
    // A cursor that was used can be used again: what came after it is there still.
    let page = trial.scan_records(None, PAGE).await?;
    let Some(next) = page.next else {
        return Ok(());
    };
    for _ in 0..2 {
        trial.scan_records(Some(&parsed(&next)?), PAGE).await?;
    }
    Ok(())
}

fn refused<T>(call: &str, answer: &Result<T, StoreError>) -> Check {
    match answer {
        Err(StoreError::Unsupported(_)) => Ok(()),
        _ => failed(format!(
            "`{call}` has to refuse a cursor that this store cannot have made as `Unsupported`"
        )),
    }
}

pub(super) async fn scan_race(trial: &Trial) -> Check {
    for mut rng in trial.rounds().take(ROUNDS) {
        let (mut kept, mut passing) = (Vec::new(), Vec::new());
        for _ in 0..3 * PAGE {
            kept.push(trial.created().await?);
            passing.push(trial.created().await?);
        }
        let mut tasks: Vec<Task<'_, Check>> = Vec::new();
        for (key, _) in &passing {
            let turns = rng.below(60);
            tasks.push(task(async move {
                take_turns(turns).await;
                trial.create(&Arc::new(trial.record()?)).await?;
                trial.delete(key).await
            }));
        }
        for (key, record) in &kept {
            let (turns, written) = (rng.below(60), rng.coin());
            let edit = Edit::of(record, Changes::new().set("late", number(1)));
            tasks.push(task(async move {
                take_turns(turns).await;
                match written {
                    true => trial.save(key, &edit).await.map(drop),
                    false => Ok(()),
                }
            }));
        }
        let kept = &kept;
        tasks.push(task(async move {
            let found = scanned(trial).await?;
            let missing = kept
                .iter()
                .filter(|(_, kept)| record(&found, kept.id()).is_none())
                .count();
            ensure!(
                missing == 0,
                "while others came and went, `scan_records` passed over {missing} sessions that \
                 were stored all the time"
            );
            Ok(())
        }));
        run_all(&mut rng, tasks).await?;
    }
    Ok(())
}

pub(super) async fn scan_index(trial: &Trial) -> Check {
    let mut right = BTreeSet::new();
    for count in [1, 2, 3 * PAGE] {
        let name = trial.principal()?;
        for _ in 0..count {
            let record = trial.record()?.with_principal(name.clone());
            right.insert((name.clone(), record.id()));
            trial.create(&Arc::new(record)).await?;
        }
    }
    trial.create(&Arc::new(trial.record()?)).await?;

    let (mut found, mut pages) = (BTreeSet::new(), Pages::default());
    while !pages.over {
        let page = trial.scan_index(pages.next.as_ref(), pages.most()).await?;
        let IndexPage { entries, next, .. } = page;
        let entries = entries.into_iter();
        found.extend(entries.map(|(principal, id)| (principal.to_string(), id)));
        pages.turn(next)?;
    }
    let missing = right.difference(&found).count();
    ensure!(
        found.is_empty() || missing == 0,
        "`scan_index` returns entries, but not those of {missing} sessions of a principal"
    );
    let ids: BTreeSet<_> = right.iter().map(|(_, id)| *id).collect();
    let wrong = found
        .difference(&right)
        .filter(|(_, id)| ids.contains(id))
        .count();
    ensure!(
        wrong == 0,
        "`scan_index` returns {wrong} entries of sessions for principals that they never had"
    );
    Ok(())
}

pub(super) async fn mend_index(trial: &Trial) -> Check {
    let (name, other) = (trial.principal()?, trial.principal()?);
    let mut theirs = Vec::new();
    for _ in 0..2 {
        let record = Arc::new(trial.record()?.with_principal(name.clone()));
        trial.create(&record).await?;
        theirs.push(record);
    }
    let brief = Arc::new(trial.brief()?.with_principal(name.clone()));
    trial.create(&brief).await?;
    theirs.push(brief);
    let nobody = Arc::new(trial.record()?);
    trial.create(&nobody).await?;
    let gone = Arc::new(trial.record()?.with_principal(name.clone()));
    let gone_key = trial.create(&gone).await?;
    trial.delete(&gone_key).await?;
    let never = trial.id()?;

    let all = theirs.iter().map(|record| record.id());
    for id in all.chain([nobody.id(), gone.id(), never]) {
        for principal in [&name, &other] {
            for now in [trial.now(), trial.soon()] {
                let mended = trial.mend_index(principal, id, now).await?;
                // A store may leave the entry of a session that was deleted to be removed later.
                let left = id == gone.id() && mended != IndexMend::EntryAdded;
                ensure!(
                    mended == IndexMend::Nothing || left,
                    "`mend_index` says {mended:?} where index and session agree"
                );
            }
        }
    }
    trial.expect_listed(&name, trial.now(), &theirs).await?;
    trial.expect_listed(&other, trial.now(), &[]).await?;
    for record in theirs.iter().chain([&nobody]) {
        let key = RecordKey::Id(record.id());
        trial.expect(&key, record, "after `mend_index`").await?;
    }
    trial.expect_deleted(&gone_key, "`mend_index`").await
}

pub(super) async fn delete_unreadable(trial: &Trial) -> Check {
    let mut rng = trial.rng();
    let theirs = trial.record()?.with_principal(trial.principal()?);
    let records = [trial.rich(&mut rng)?, theirs].map(Arc::new);
    for record in &records {
        trial.create(record).await?;
    }
    let gone = trial.create(&Arc::new(trial.record()?)).await?;
    trial.delete(&gone).await?;
    let ids = records.iter().map(|record| record.id());
    for id in ids.chain(gone.id()).chain([trial.id()?]) {
        match trial.delete_unreadable(id).await {
            Ok(false) => {}
            Err(StoreError::Unsupported(_)) => return Ok(()),
            Ok(true) => return failed("`delete_unreadable` says that it deleted what can be read"),
            Err(error) => return failed(format!("`delete_unreadable` failed: {error}")),
        }
    }
    for record in &records {
        let key = RecordKey::Id(record.id());
        trial
            .expect(&key, record, "after `delete_unreadable`")
            .await?;
    }
    trial.expect_deleted(&gone, "`delete_unreadable`").await
}
