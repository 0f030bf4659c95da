//! Sealing the values of all sessions again, with the newest key.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::json;
use session_core::store::{Record, ScanPage, SessionStore, scan_of};
use session_core::{Codec, KeyRing, Resealed, SessionManager};

use crate::interrupt::Interrupt;
use crate::output::{Failure, Output, with_causes};
use crate::pages::{Pages, now};

/// Which sessions are sealed.
pub(crate) struct Chosen {
    /// All scopes if there is none.
    pub(crate) scope: Option<String>,
    pub(crate) plain: Plain,
}

/// What happens to a session without a sealed value. Its site may have no keys for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plain {
    Left,
    Sealed,
}

/// What it has done, which it also says if it fails.
#[derive(Default)]
struct Counts {
    resealed: u64,
    current: u64,
    unopened: u64,
    unreadable: u64,
    plain: u64,
    other_scope: u64,
}

pub(crate) async fn reseal(
    store: Arc<dyn SessionStore>,
    keys: &KeyRing,
    chosen: &Chosen,
    output: &Output,
) -> Result<(), Failure> {
    let mut counts = Counts::default();
    let done = reseal_all(&store, keys, chosen, &mut counts, output).await;
    let Counts {
        resealed,
        current,
        unopened,
        unreadable,
        plain,
        other_scope,
    } = counts;
    output.result(
        &format!(
            "sealed {resealed} sessions again; {current} were of the newest key already, \
             {unopened} do not open with any of the keys, {unreadable} cannot be read, {plain} \
             have no sealed value, {other_scope} are of other scopes"
        ),
        &json!({
            "resealed": resealed, "current": current, "unopened": unopened,
            "unreadable": unreadable, "plain": plain, "other_scope": other_scope,
        }),
    );
    done?;
    match unopened + unreadable {
        0 => Ok(()),
        _ => Err(Failure::Damage(
            "some sessions do not open with any of the keys, or cannot be read; they were left as \
             they are: add the key that is missing, or keep the old keys until they have expired"
                .to_owned(),
        )),
    }
}

async fn reseal_all(
    store: &Arc<dyn SessionStore>,
    keys: &KeyRing,
    chosen: &Chosen,
    counts: &mut Counts,
    output: &Output,
) -> Result<(), Failure> {
    let interrupt = Interrupt::listen();
    let (mut managers, mut seen) = (HashMap::<String, SessionManager>::new(), HashSet::new());
    let mut pages = Pages::<ScanPage>::of(scan_of(store)?);
    while let Some(page) = pages.next(output).await? {
        for listed in page.sessions {
            interrupt.check()?;
            if !seen.insert(listed.id()) {
                continue;
            }
            let Some(record) = listed.record() else {
                counts.unreadable += 1;
                continue;
            };
            if !record.is_live(now()) || record.ended().is_some() {
                continue;
            }
            if chosen
                .scope
                .as_deref()
                .is_some_and(|it| it != record.scope())
            {
                counts.other_scope += 1;
                continue;
            }
            if chosen.plain == Plain::Left && !has_sealed(record) {
                counts.plain += 1;
                continue;
            }
            if !managers.contains_key(record.scope()) {
                let manager = manager(store, record.scope(), keys)?;
                managers.insert(record.scope().to_owned(), manager);
            }
            let Some(manager) = managers.get(record.scope()) else {
                continue;
            };
            let resealed = manager.reseal(record).await;
            match resealed.map_err(|error| Failure::failed(with_causes(&error)))? {
                Resealed::Done => counts.resealed += 1,
                Resealed::Current => counts.current += 1,
                Resealed::Unopened(error) => {
                    counts.unopened += 1;
                    let (id, why) = (record.id().encode(), with_causes(&error));
                    output.result(
                        &format!("unopened  {id}  {why}"),
                        &json!({ "unopened": id, "why": why }),
                    );
                }
                Resealed::OtherScope => counts.other_scope += 1,
                _ => {}
            }
        }
    }
    Ok(())
}

fn has_sealed(record: &Record) -> bool {
    let mut values = record.values().iter();
    values.any(|(_, value)| value.codec() == Codec::Sealed)
}

fn manager(
    store: &Arc<dyn SessionStore>,
    scope: &str,
    keys: &KeyRing,
) -> Result<SessionManager, Failure> {
    SessionManager::builder(Arc::clone(store))
        .scope(scope)
        .seal_values(keys.clone())
        .build()
        .map_err(|error| Failure::failed(format!("scope {scope:?}: {error}")))
}
