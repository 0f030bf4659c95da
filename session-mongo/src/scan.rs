//! Reading the whole collection in pages: ranges of `_id`, each by the index that every collection
//! has.
//!
//! Other programs may have put documents there, and their `_id` may be of any type. A condition
//! such as `$gt` meets values of one type only. So a page begins at a bound of the index (`min`),
//! which all values have a place around (but for `MaxKey`, which such a bound leaves out). No two
//! documents have the same `_id`, so none is passed over and none is read twice.

use std::sync::Arc;

use futures_util::TryStreamExt;
use mongodb::action::Action;
use mongodb::bson::raw::cstr;
use mongodb::bson::{Document, RawDocument, RawDocumentBuf, doc};
use mongodb::options::Hint;
use session_core::store::{Listed, ScanCursor, ScanPage, StoreError};

use crate::document;
use crate::fault;
use crate::sessions::{BEAT, PRIMARY, Sessions, byte_by_byte};

/// How many documents a page has at most.
const MOST: usize = 10_000;
/// A page ends behind the document with which it has this many bytes.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// What the cursors of this store begin with. A document follows that has nothing but `_id`.
const BEHIND: &[u8] = b"behind ";

/// Where a page begins: behind the document with this `_id`.
#[derive(Debug, Default)]
pub(crate) struct Place(Option<RawDocumentBuf>);

impl Place {
    pub(crate) fn read(cursor: &ScanCursor) -> Result<Self, StoreError> {
        let bytes = cursor.as_bytes().strip_prefix(BEHIND);
        let bytes = bytes.ok_or_else(ScanCursor::not_of_this_store)?;
        let place = RawDocumentBuf::from_bytes(bytes.to_vec()).ok();
        let is_place = |place: &RawDocumentBuf| {
            Document::try_from(place.as_ref()).is_ok_and(|it| it.keys().eq(["_id"]))
        };
        let place = place.filter(is_place);
        Ok(Self(Some(place.ok_or_else(ScanCursor::not_of_this_store)?)))
    }

    /// None if the document has no `_id` that can be read.
    fn of(document: &RawDocument) -> Option<RawDocumentBuf> {
        let id = document.get("_id").ok()??;
        let mut place = RawDocumentBuf::new();
        place.append(cstr!("_id"), id);
        Some(place)
    }

    /// The cursor of the page behind this place. `before` is the place of the document before it.
    ///
    /// It has to come back as it is: with another bound the scan would pass over documents, or
    /// never end.
    fn next(
        place: Option<&RawDocument>,
        before: Option<&RawDocument>,
    ) -> Result<ScanCursor, StoreError> {
        let survives = |place: &&RawDocument| {
            let bound = Document::try_from(*place).ok();
            let sent = bound.and_then(|bound| RawDocumentBuf::try_from(bound).ok());
            sent.is_some_and(|sent| sent.as_bytes() == place.as_bytes())
        };
        place
            .filter(survives)
            .map(Self::cursor)
            .ok_or_else(|| StoreError::corrupt(no_place(place, before)))
    }

    fn cursor(place: &RawDocument) -> ScanCursor {
        ScanCursor::new([BEHIND, place.as_bytes()].concat())
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
        let bound = from.0.as_deref().map(Document::try_from);
        let bound = bound.transpose().map_err(StoreError::corrupt)?;
        let mut found = self
            .collection
            .find(doc! {})
            .sort(doc! { "_id": 1 })
            .hint(Hint::Keys(doc! { "_id": 1 }))
            // The document at the bound comes first, if it is still there.
            .limit(i64::try_from(most + 1).unwrap_or(i64::MAX))
            .selection_criteria(PRIMARY)
            .collation(byte_by_byte())
            .optional(bound, |find, bound| find.min(bound))
            .await
            .map_err(fault::of_read)?;
        let (mut sessions, mut foreign) = (Vec::new(), 0);
        let (mut count, mut bytes) = (0, 0);
        let (mut last, mut before) = (None, from.0.clone());
        while let Some(document) = found.try_next().await.map_err(fault::of_read)? {
            count += 1;
            let place = Place::of(&document);
            if place.is_some() && place == from.0 {
                continue;
            }
            before = last.replace(place).unwrap_or(before);
            bytes += document.as_bytes().len();
            match document::id_of(&document) {
                Some(id) => sessions.push(match document::read(id, document) {
                    Ok(record) => Listed::Record(record),
                    Err(error) => Listed::unreadable(id, error),
                }),
                None => foreign += u64::from(!is_beat(&document)),
            }
            if bytes >= MOST_BYTES {
                break;
            }
        }
        let goes_on = count > most || bytes >= MOST_BYTES;
        let last = last.filter(|_| goes_on);
        let next = last.map(|last| Place::next(last.as_deref(), before.as_deref()));
        let next = next.transpose()?;
        Ok(ScanPage::new(sessions, next).with_foreign(foreign))
    }
}

/// Names a document behind which no page can begin, as well as that can be done.
fn no_place(place: Option<&RawDocument>, before: Option<&RawDocument>) -> String {
    let shown = |place: Option<&RawDocument>| match place.map(Document::try_from) {
        Some(Ok(place)) => place.to_string(),
        Some(Err(_)) => "one that cannot be read".to_owned(),
        None => "none".to_owned(),
    };
    format!(
        "a document of another program has an `_id` behind which no page of a scan can begin \
         ({}; it follows the document with this one: {}); remove that document, and continue the \
         scan",
        shown(place),
        shown(before)
    )
}

/// Whether a near cache has put it there.
fn is_beat(document: &RawDocument) -> bool {
    document.get_str("_id").is_ok_and(|id| id.starts_with(BEAT))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use mongodb::bson::{Bson, oid::ObjectId};

    use super::*;

    #[test]
    fn any_id_has_a_cursor_and_anything_else_is_refused() {
        for id in [
            Bson::from("a text"),
            Bson::from(7),
            Bson::from(7.5),
            Bson::ObjectId(ObjectId::new()),
            Bson::Null,
            Bson::MinKey,
            Bson::from(doc! { "a": [1, "b"] }),
        ] {
            let document = RawDocumentBuf::try_from(doc! { "a": 1, "_id": id }).unwrap();
            let place = Place::of(&document).unwrap();
            let read = Place::read(&Place::next(Some(&place), None).unwrap()).unwrap();
            assert_eq!(read.0.unwrap(), place);
        }
        let cursor = |document: Document| {
            let document = RawDocumentBuf::try_from(document).unwrap();
            Place::cursor(&document)
        };
        for cursor in [
            cursor(doc! {}),
            cursor(doc! { "id": 1 }),
            cursor(doc! { "_id": 1, "a": 1 }),
            ScanCursor::new(BEHIND),
            ScanCursor::new(&b"behind a text"[..]),
        ] {
            assert!(Place::read(&cursor).is_err());
        }
    }

    #[test]
    fn an_id_that_cannot_be_read_is_an_error_and_not_the_end() {
        let broken = RawDocumentBuf::from_bytes(BROKEN.to_vec()).unwrap();
        let before = RawDocumentBuf::try_from(doc! { "_id": "known" }).unwrap();
        let place = Place::of(&broken);
        for place in [place.as_deref(), Some(&*broken), None] {
            let error = Place::next(place, Some(&before)).unwrap_err();
            let StoreError::Corrupt(reason) = error else {
                panic!("{error:?}")
            };
            assert!(reason.to_string().contains("\"known\""), "{reason}");
        }
    }

    /// Its `_id` is no UTF-8.
    const BROKEN: &[u8] = b"\x11\0\0\0\x02_id\0\x03\0\0\0\xff\xfe\0\0";
}
