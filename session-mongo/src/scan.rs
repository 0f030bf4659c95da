//! Reading the whole collection in pages: ranges of `_id`, each by the index that every collection
//! has.

use std::sync::Arc;

use futures_util::TryStreamExt;
use mongodb::bson::doc;
use session_core::store::{Listed, ScanCursor, ScanPage, StoreError};

use crate::document;
use crate::fault;
use crate::sessions::{PRIMARY, Sessions, byte_by_byte};

/// How many documents a page has at most.
const MOST: usize = 10_000;
/// What the cursors of this store begin with.
const BEHIND: &str = "behind ";

/// Where a page begins: behind the document with this `_id`. Other programs may have put documents
/// there, so it need not be an id of a session. Nothing is before the empty text.
#[derive(Debug, Default)]
pub(crate) struct Place(String);

impl Place {
    pub(crate) fn read(cursor: &ScanCursor) -> Result<Self, StoreError> {
        let text = std::str::from_utf8(cursor.as_bytes()).ok();
        let place = text.and_then(|text| text.strip_prefix(BEHIND));
        let place = place.ok_or_else(ScanCursor::not_of_this_store)?;
        Ok(Self(place.to_owned()))
    }

    fn cursor(id: &str) -> ScanCursor {
        ScanCursor::new(format!("{BEHIND}{id}").into_bytes())
    }
}

impl Sessions {
    /// Reads from the primary, as writes do: another node may lack what was written last.
    pub(crate) async fn page(
        self: Arc<Self>,
        from: Place,
        most: usize,
    ) -> Result<ScanPage, StoreError> {
        let most = most.clamp(1, MOST);
        let mut found = self
            .collection
            .find(doc! { "_id": { "$gt": from.0 } })
            .sort(doc! { "_id": 1 })
            .limit(i64::try_from(most).unwrap_or(i64::MAX))
            .selection_criteria(PRIMARY)
            .collation(byte_by_byte())
            .await
            .map_err(fault::of_read)?;
        let (mut sessions, mut count, mut last) = (Vec::new(), 0, None);
        while let Some(document) = found.try_next().await.map_err(fault::of_read)? {
            count += 1;
            last = document.get_str("_id").ok().map(Place::cursor);
            // A document without an id of ours is no session: another program has put it there.
            let Some(id) = document::id_of(&document) else {
                continue;
            };
            sessions.push(match document::read(id, document) {
                Ok(record) => Listed::Record(record),
                Err(error) => Listed::unreadable(id, error),
            });
        }
        Ok(ScanPage::new(sessions, last.filter(|_| count == most)))
    }
}
