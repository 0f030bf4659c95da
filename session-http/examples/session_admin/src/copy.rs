//! Copying all sessions to another store.
//!
//! It is for a site that stands still, or for a backup. What changes or ends in the source
//! afterwards stays as it was in the target: `MigratingStore` moves the sessions of a running site.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::json;
use session_core::store::{SessionStore, StoreError, scan_of};

use crate::output::{Failure, Output};
use crate::pages::{Sessions, now};

/// What it has done, which it also says if it fails.
#[derive(Default)]
struct Copied {
    sessions: u64,
    marks: u64,
    already_there: u64,
    expired: u64,
    unreadable: u64,
}

pub(crate) async fn copy(
    source: &dyn SessionStore,
    target: &dyn SessionStore,
    output: &Output,
) -> Result<(), Failure> {
    let mut copied = Copied::default();
    let done = copy_all(source, target, &mut copied, output).await;
    let Copied {
        sessions,
        marks,
        already_there,
        expired,
        unreadable,
    } = copied;
    output.result(
        &format!(
            "copied {sessions} sessions and {marks} marks; {already_there} were there already, \
             {expired} have expired, {unreadable} cannot be read"
        ),
        &json!({
            "sessions": sessions, "marks": marks, "already_there": already_there,
            "expired": expired, "unreadable": unreadable,
        }),
    );
    done?;
    match unreadable {
        0 => Ok(()),
        _ => Err(Failure::failed(
            "some sessions cannot be read and were not copied; `check` lists them",
        )),
    }
}

async fn copy_all(
    source: &dyn SessionStore,
    target: &dyn SessionStore,
    copied: &mut Copied,
    output: &Output,
) -> Result<(), Failure> {
    let (mut seen, mut pages) = (HashSet::new(), Sessions::of(scan_of(source)?));
    while let Some(page) = pages.next(output).await? {
        let now = now();
        for listed in page {
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
            match target.create(&Arc::clone(record), now).await {
                Ok(_) if record.ended().is_some() => copied.marks += 1,
                Ok(_) => copied.sessions += 1,
                Err(StoreError::IdTaken) => copied.already_there += 1,
                Err(error) => {
                    output.message("stopped; run it again, it continues with what is missing");
                    return Err(error.into());
                }
            }
        }
    }
    Ok(())
}
