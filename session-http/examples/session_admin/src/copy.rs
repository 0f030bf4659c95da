//! Copying all sessions to another store.
//!
//! It is for a site that stands still, or for a backup. What changes or ends in the source
//! afterwards stays as it was in the target: `MigratingStore` moves the sessions of a running site.
//!
//! What the target has under the id of a session is compared. The version does not count: an update
//! of the target gives a session the next version there.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::json;
use session_core::store::{
    Changes, Metadata, Record, RecordKey, ScanPage, SessionStore, StoreError, Update, Updated,
    scan_of,
};
use session_core::{Limits, Timestamp};

use crate::interrupt::Interrupt;
use crate::output::{Failure, Output};
use crate::pages::{Pages, now};

/// What to do with a session that the target has too, and that is another one there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Differing {
    Reported,
    /// It is replaced if the one in the source was active later, and reported otherwise.
    Updated,
}

/// What it has done, which it also says if it fails.
#[derive(Default)]
struct Copied {
    sessions: u64,
    marks: u64,
    updated: u64,
    already_there: u64,
    different: u64,
    expired: u64,
    unreadable: u64,
}

/// What has become of a session that the target had.
enum Met {
    Same,
    Updated,
    /// What the target has.
    Different(Option<Arc<Record>>),
}

/// Refuses a target that has sessions, or marks of ended ones. A mark is gone after a while, and
/// then nothing says any more that the session has ended there.
pub(crate) async fn refuse_used(target: &dyn SessionStore, output: &Output) -> Result<(), Failure> {
    let mut pages = Pages::<ScanPage>::of(scan_of(target)?);
    while let Some(page) = pages.next(output).await? {
        if !page.sessions.is_empty() {
            output.clear();
            return Err(Failure::Used(
                "the target has sessions already, and nothing was copied: those that have ended \
                 there for longer than their marks last would come back; name an empty target, or \
                 pass --continue if nobody has used the target since the copy began"
                    .to_owned(),
            ));
        }
    }
    Ok(())
}

pub(crate) async fn copy(
    source: &dyn SessionStore,
    target: &dyn SessionStore,
    differing: Differing,
    output: &Output,
) -> Result<(), Failure> {
    let mut copied = Copied::default();
    let done = copy_all(source, target, differing, &mut copied, output).await;
    let Copied {
        sessions,
        marks,
        updated,
        already_there,
        different,
        expired,
        unreadable,
    } = copied;
    output.result(
        &format!(
            "copied {sessions} sessions and {marks} marks, updated {updated}; {already_there} \
             were there already, {different} are different there, {expired} have expired, \
             {unreadable} cannot be read"
        ),
        &json!({
            "sessions": sessions, "marks": marks, "updated": updated,
            "already_there": already_there, "different": different, "expired": expired,
            "unreadable": unreadable,
        }),
    );
    done?;
    match (unreadable, different) {
        (0, 0) => Ok(()),
        (1.., _) => Err(Failure::failed(
            "some sessions cannot be read and were not copied; `check` lists them",
        )),
        _ => Err(Failure::Different(
            "the target has other content under the ids of some sessions, and it was left alone; \
             `copy --continue --update` replaces sessions that were active later in the source"
                .to_owned(),
        )),
    }
}

async fn copy_all(
    source: &dyn SessionStore,
    target: &dyn SessionStore,
    differing: Differing,
    copied: &mut Copied,
    output: &Output,
) -> Result<(), Failure> {
    let interrupt = Interrupt::listen();
    let (mut seen, mut pages) = (HashSet::new(), Pages::<ScanPage>::of(scan_of(source)?));
    while let Some(page) = pages.next(output).await? {
        for listed in page.sessions {
            interrupt.check()?;
            let now = now();
            if !seen.insert(listed.id()) {
                continue;
            }
            let Some(record) = listed.record() else {
                copied.unreadable += 1;
                continue;
            };
            if !record.is_live(now) {
                copied.expired += 1;
                continue;
            }
            let met = match target.create(record, now).await {
                Ok(_) if record.ended().is_some() => {
                    copied.marks += 1;
                    continue;
                }
                Ok(_) => {
                    copied.sessions += 1;
                    continue;
                }
                Err(StoreError::IdTaken) => meet(target, record, differing, now).await,
                Err(error) => Err(error),
            };
            match met {
                Ok(Met::Same) => copied.already_there += 1,
                Ok(Met::Updated) => copied.updated += 1,
                Ok(Met::Different(there)) => {
                    copied.different += 1;
                    report(record, there.as_deref(), output);
                }
                Err(error) => {
                    output.message(
                        "stopped; run it again with --continue, it goes on with what is missing",
                    );
                    return Err(error.into());
                }
            }
        }
    }
    Ok(())
}

async fn meet(
    target: &dyn SessionStore,
    record: &Arc<Record>,
    differing: Differing,
    now: Timestamp,
) -> Result<Met, StoreError> {
    let key = RecordKey::Id(record.id());
    let there = match target.load(&key, now).await {
        Ok(Some(there)) => there,
        // It has gone since, or cannot be read.
        Ok(None) | Err(StoreError::Corrupt(_)) => return Ok(Met::Different(None)),
        Err(error) => return Err(error),
    };
    if (*there).clone().with_version(record.version()) == **record {
        return Ok(Met::Same);
    }
    // Versions of two stores say nothing of each other, so of two that were active last at the same
    // time nobody knows which is newer.
    let is_older = there.ended().is_none()
        && record.ended().is_none()
        && there.last_seen() < record.last_seen();
    if differing == Differing::Reported || !is_older {
        return Ok(Met::Different(Some(there)));
    }
    let updated = target
        .update(&key, &replacement(record, &there), now)
        .await?;
    Ok(match updated {
        Updated::Saved { .. } => Met::Updated,
        // A request of the target was faster.
        _ => Met::Different(Some(there)),
    })
}

/// An update that makes a session like another one, unless a request changes it first.
fn replacement(record: &Record, there: &Record) -> Update {
    let after = record.clone().with_version(there.version() + 1);
    let mut changes = Changes::new().clear().with_metadata(Metadata::Replaced);
    for (key, value) in record.values().iter() {
        changes = changes.set(key.to_owned(), value.clone());
    }
    let limits = Limits::default().with_room_for(&after);
    Update::new(Arc::new(after), changes, there.epoch())
        .with_base_tag(there.tag())
        .with_expected_version(there.version())
        .with_limits(limits)
}

fn report(record: &Record, there: Option<&Record>, output: &Output) {
    let id = record.id().encode();
    let state = |record: Option<&Record>| match record {
        None => "not readable".to_owned(),
        Some(record) => match record.ended() {
            Some(ended) => format!("ended ({:?})", ended.reason),
            None => format!("version {}", record.version()),
        },
    };
    let (here, there_state) = (state(Some(record)), state(there));
    let seen = |record: &Record| record.last_seen().as_millis();
    output.result(
        &format!("different  {id}  source: {here}, target: {there_state}"),
        &json!({
            "different": id, "source": here, "target": there_state,
            "source_seen": seen(record), "target_seen": there.map(seen),
        }),
    );
}
