//! How many sessions there are.

use std::collections::{BTreeMap, HashSet};

use serde_json::json;
use session_core::store::{ScanPage, SessionStore, scan_of};

use crate::output::{Failure, Output};
use crate::pages::{Pages, now};

/// Counts each session once, although a scan may return it twice.
pub(crate) async fn count(store: &dyn SessionStore, output: &Output) -> Result<(), Failure> {
    let (mut seen, now) = (HashSet::new(), now());
    let (mut live, mut expired, mut marks, mut unreadable) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut scopes = BTreeMap::<String, u64>::new();
    let (mut pages, mut foreign) = (Pages::<ScanPage>::of(scan_of(store)?), 0);
    while let Some(page) = pages.next(output).await? {
        foreign += page.foreign;
        for listed in page.sessions.iter().filter(|it| seen.insert(it.id())) {
            match listed.record() {
                None => unreadable += 1,
                Some(record) if record.ended().is_some() => marks += 1,
                Some(record) if record.is_live(now) => {
                    live += 1;
                    *scopes.entry(record.scope().to_owned()).or_default() += 1;
                }
                Some(_) => expired += 1,
            }
        }
    }
    let mut text = format!(
        "live        {live}\nexpired     {expired}\nmarks       {marks}\nunreadable  {unreadable}"
    );
    if foreign > 0 {
        text.push_str(&format!("\nof other programs  {foreign}"));
    }
    for (scope, count) in &scopes {
        text.push_str(&format!("\nlive in scope {scope:?}  {count}"));
    }
    output.result(
        &text,
        &json!({
            "live": live, "expired": expired, "marks": marks, "unreadable": unreadable,
            "foreign": foreign, "scopes": scopes,
        }),
    );
    Ok(())
}
