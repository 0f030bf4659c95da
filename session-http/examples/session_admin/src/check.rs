//! Checking a store, and mending it.
//!
//! Other requests come and go meanwhile. So what looks like damage is only a candidate: each one is
//! asked about again before it is reported.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::json;
use session_core::SessionId;
use session_core::store::{
    ByteString, IndexMend, Listed, RecordKey, RecordScan, SessionStore, StoreError, scan_of,
};

use crate::ask::Consent;
use crate::output::{Failure, Output, with_causes};
use crate::pages::{Entries, Sessions, now};
use crate::sessions::revoked;

/// An index without any entry is either the engine's own, or lost. So many principals show which.
const ASKED: usize = 16;

/// What to do about damage.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    Report,
    MendIndex,
    EndUnreadable(Consent),
}

type Entry = (ByteString, SessionId);

/// What is stored, as far as the index has to agree with it.
#[derive(Default)]
struct Stored {
    live: HashMap<SessionId, Option<ByteString>>,
    unreadable: BTreeMap<SessionId, StoreError>,
}

pub(crate) async fn check(
    store: &dyn SessionStore,
    task: Task,
    output: &Output,
) -> Result<(), Failure> {
    let scan = scan_of(store)?;
    let stored = read_sessions(scan, output).await?;
    let entries = read_entries(scan, output).await?;
    let leftover = leftover(store, &stored, &entries).await?;
    let missing = missing(store, &stored, &entries).await?;

    let mut unreadable = stored.unreadable.len();
    for (id, error) in &stored.unreadable {
        let (id, why) = (id.encode(), with_causes(error));
        output.result(
            &format!("unreadable  {id}  {why}"),
            &json!({ "unreadable": id, "why": why }),
        );
    }
    report("no entry", "without_entry", &missing, output);
    report("no session", "without_session", &leftover, output);

    let (mut mended, mut waiting, mut lacking) = (0, 0, missing.len());
    if task != Task::Report {
        for (principal, id) in missing.iter().chain(&leftover) {
            match scan.mend_index(principal, *id, now()).await? {
                IndexMend::EntryAdded | IndexMend::EntryRemoved => mended += 1,
                IndexMend::EntryWaits => waiting += 1,
                _ => {}
            }
        }
        lacking = self::missing(store, &stored, &read_entries(scan, output).await?)
            .await?
            .len();
    }
    if let Task::EndUnreadable(consent) = task
        && unreadable > 0
    {
        consent.to(&format!("end {unreadable} sessions that cannot be read"))?;
        waiting += end_unreadable(store, scan, &stored, &entries).await?;
        unreadable = 0;
    }
    output.result(
        &format!(
            "{} sessions, {} entries of indexes; still damaged: {unreadable} unreadable, \
             {lacking} without entry; {mended} entries mended, {waiting} wait for a minute",
            stored.live.len(),
            entries.len(),
        ),
        &json!({
            "live": stored.live.len(), "entries": entries.len(), "unreadable_left": unreadable,
            "without_entry_left": lacking, "mended": mended, "waiting": waiting,
        }),
    );
    match (unreadable, lacking) {
        (0, 0) => Ok(()),
        (_, 1..) if task == Task::Report => Err(Failure::Damage(
            "there is damage; run `check --repair` to mend the index".to_owned(),
        )),
        (_, 1..) => Err(Failure::Damage(
            "the index lacks sessions still; run `check --repair` again".to_owned(),
        )),
        (1.., _) => Err(Failure::Damage(
            "there are sessions that this version cannot read; update this tool if a newer version \
             wrote them, or end them with `check --repair --end-unreadable`"
                .to_owned(),
        )),
    }
}

/// Ends them, and returns how many entries of theirs wait to be removed: a store may not be able to
/// read either whose they were.
async fn end_unreadable(
    store: &dyn SessionStore,
    scan: &dyn RecordScan,
    stored: &Stored,
    entries: &HashSet<Entry>,
) -> Result<usize, Failure> {
    for id in stored.unreadable.keys() {
        // It may have been written again, or have expired meanwhile.
        if let Err(StoreError::Corrupt(_)) = store.load(&RecordKey::Id(*id), now()).await {
            store.delete(&RecordKey::Id(*id), revoked()).await?;
        }
    }
    let mut waiting = 0;
    let theirs = entries
        .iter()
        .filter(|(_, id)| stored.unreadable.contains_key(id));
    for (principal, id) in theirs {
        let mended = scan.mend_index(principal, *id, now()).await?;
        waiting += usize::from(mended == IndexMend::EntryWaits);
    }
    Ok(waiting)
}

fn report(text: &str, name: &str, entries: &[Entry], output: &Output) {
    for (principal, id) in entries {
        let id = id.encode();
        output.result(
            &format!("{text}  {id}  {principal:?}"),
            &json!({ name: id, "principal": &**principal }),
        );
    }
}

async fn read_sessions(scan: &dyn RecordScan, output: &Output) -> Result<Stored, Failure> {
    let (mut stored, mut pages, now) = (Stored::default(), Sessions::of(scan), now());
    while let Some(page) = pages.next(output).await? {
        for listed in page {
            let id = listed.id();
            match &listed {
                Listed::Unreadable { error, .. } => {
                    stored.unreadable.insert(id, error.clone());
                }
                _ => {
                    let live = listed.record().filter(|it| it.is_live(now));
                    if let Some(record) = live.filter(|record| record.ended().is_none()) {
                        let principal = record.principal().map(ByteString::from);
                        stored.live.insert(id, principal);
                    }
                }
            }
        }
    }
    Ok(stored)
}

async fn read_entries(scan: &dyn RecordScan, output: &Output) -> Result<HashSet<Entry>, Failure> {
    let (mut entries, mut pages) = (HashSet::new(), Entries::of(scan));
    while let Some(page) = pages.next(output).await? {
        entries.extend(page);
    }
    Ok(entries)
}

/// Entries without a session. Sessions that expire leave them, so they are no damage.
async fn leftover(
    store: &dyn SessionStore,
    stored: &Stored,
    entries: &HashSet<Entry>,
) -> Result<Vec<Entry>, Failure> {
    let mut left = Vec::new();
    for (principal, id) in entries {
        let known = stored.live.get(id);
        if known.is_some_and(|owner| owner.as_ref() == Some(principal))
            || stored.unreadable.contains_key(id)
        {
            continue;
        }
        let theirs = match store.load(&RecordKey::Id(*id), now()).await {
            Ok(record) => record.is_some_and(|record| record.principal() == Some(principal)),
            Err(StoreError::Corrupt(_)) => true,
            Err(error) => return Err(error.into()),
        };
        if !theirs {
            left.push((principal.clone(), *id));
        }
    }
    left.sort();
    Ok(left)
}

/// Sessions of a principal that the index does not name.
async fn missing(
    store: &dyn SessionStore,
    stored: &Stored,
    entries: &HashSet<Entry>,
) -> Result<Vec<Entry>, Failure> {
    let mut candidates = BTreeMap::<ByteString, Vec<SessionId>>::new();
    for (id, principal) in &stored.live {
        let entry = principal.clone().map(|principal| (principal, *id));
        if let Some((principal, id)) = entry.filter(|entry| !entries.contains(entry)) {
            candidates.entry(principal).or_default().push(id);
        }
    }
    let Some(index) = store.principals() else {
        return Ok(Vec::new());
    };
    let mut missing = Vec::new();
    for (number, (principal, ids)) in candidates.into_iter().enumerate() {
        if entries.is_empty() && missing.is_empty() && number == ASKED {
            break;
        }
        let listed = index.list_of(&principal, now()).await?;
        let listed: HashSet<_> = listed.iter().map(Listed::id).collect();
        for id in ids.into_iter().filter(|id| !listed.contains(id)) {
            let record = store.load(&RecordKey::Id(id), now()).await?;
            let theirs = record.is_some_and(|it| it.principal() == Some(&principal));
            if theirs {
                missing.push((principal.clone(), id));
            }
        }
    }
    missing.sort();
    Ok(missing)
}
