//! Checking a store, and mending it.
//!
//! Other requests come and go meanwhile. So what looks like damage is only a candidate: each one is
//! asked about again before it is reported.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::json;
use session_core::SessionId;
use session_core::store::{
    ByteString, IndexMend, IndexPage, Listed, RecordKey, RecordScan, ScanPage, SessionStore,
    StoreError, scan_of,
};

use crate::ask::Consent;
use crate::output::{Failure, Output, with_causes};
use crate::pages::{Pages, now};
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
    /// Things of other programs that were found among the sessions.
    foreign: u64,
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
    let mut agreed = Ok(());
    if let Task::EndUnreadable(consent) = task
        && unreadable > 0
    {
        agreed = consent.to(&format!("end {unreadable} sessions that cannot be read"));
        if agreed.is_ok() {
            let left = end_unreadable(store, scan, &stored, &entries, output).await?;
            waiting += left.entries;
            unreadable = left.sessions;
        }
    }
    output.result(
        &format!(
            "{} sessions, {} entries of indexes, {} things of other programs; still damaged: \
             {unreadable} unreadable, {lacking} without entry; {mended} entries mended, {waiting} \
             wait for a minute",
            stored.live.len(),
            entries.len(),
            stored.foreign,
        ),
        &json!({
            "live": stored.live.len(), "entries": entries.len(), "unreadable_left": unreadable,
            "without_entry_left": lacking, "mended": mended, "waiting": waiting,
            "foreign": stored.foreign,
        }),
    );
    // The index was mended all the same, and that was said.
    agreed?;
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

/// What is left after unreadable sessions were ended.
#[derive(Default)]
struct Left {
    /// Those that still cannot be read.
    sessions: usize,
    /// Entries that wait to be removed: a store may not be able to read either whose they were.
    entries: usize,
}

async fn end_unreadable(
    store: &dyn SessionStore,
    scan: &dyn RecordScan,
    stored: &Stored,
    entries: &HashSet<Entry>,
    output: &Output,
) -> Result<Left, Failure> {
    let mut left = Left::default();
    for id in stored.unreadable.keys() {
        // It may have been written again, or have expired meanwhile: then it stays as it is.
        match scan.delete_unreadable(*id, revoked()).await {
            Ok(true) => {}
            Ok(false) => {
                let now = store.load(&RecordKey::Id(*id), now()).await;
                left.sessions += usize::from(matches!(now, Err(StoreError::Corrupt(_))));
            }
            // The store cannot compare it. All others can still be ended.
            Err(error @ StoreError::Corrupt(_)) => {
                left.sessions += 1;
                let (id, why) = (id.encode(), with_causes(&error));
                output.result(
                    &format!("left  {id}  {why}"),
                    &json!({ "left": id, "why": why }),
                );
            }
            Err(error) => return Err(error.into()),
        }
    }
    let theirs = entries
        .iter()
        .filter(|(_, id)| stored.unreadable.contains_key(id));
    for (principal, id) in theirs {
        let mended = scan.mend_index(principal, *id, now()).await?;
        left.entries += usize::from(mended == IndexMend::EntryWaits);
    }
    Ok(left)
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
    let (mut stored, mut pages, now) = (Stored::default(), Pages::<ScanPage>::of(scan), now());
    while let Some(page) = pages.next(output).await? {
        stored.foreign += page.foreign;
        for listed in page.sessions {
            let id = listed.id();
            // What is returned twice counts as it was found last.
            stored.unreadable.remove(&id);
            stored.live.remove(&id);
            if let Listed::Unreadable { error, .. } = &listed {
                stored.unreadable.insert(id, error.clone());
            }
            let live = listed.record().filter(|it| it.is_live(now));
            if let Some(record) = live.filter(|record| record.ended().is_none()) {
                let principal = record.principal().map(ByteString::from);
                stored.live.insert(id, principal);
            }
        }
    }
    Ok(stored)
}

async fn read_entries(scan: &dyn RecordScan, output: &Output) -> Result<HashSet<Entry>, Failure> {
    let (mut entries, mut pages) = (HashSet::new(), Pages::<IndexPage>::of(scan));
    while let Some(page) = pages.next(output).await? {
        entries.extend(page.entries);
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
            let theirs = match store.load(&RecordKey::Id(id), now()).await {
                Ok(record) => record.is_some_and(|it| it.principal() == Some(&principal)),
                // Somebody has damaged it since: the next check reports it.
                Err(StoreError::Corrupt(_)) => false,
                Err(error) => return Err(error.into()),
            };
            if theirs {
                missing.push((principal.clone(), id));
            }
        }
    }
    missing.sort();
    Ok(missing)
}
