//! Ending sessions: a mark takes the place of the document, in one command.

use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::options::{Collation, Hint};
use session_core::{Ended, SessionId, StoreError};

use crate::fault;
use crate::mark;
use crate::operations::name;
use crate::store::Inner;

/// Texts are equal if their bytes are, whatever the collation says: `connect` refuses one that says
/// something else, and a store that has not looked takes no principal for another.
pub(crate) fn byte_by_byte() -> Collation {
    Collation::builder().locale("simple").build()
}

impl Inner {
    /// Ends one session; says whether the server takes marks. What has ended before keeps its mark.
    pub(crate) async fn end(&self, id: SessionId, ended: Ended) -> Result<bool, StoreError> {
        let mut theirs = name(id);
        theirs.insert("ended", mark::none());
        let replaced = self
            .sessions
            .replace_one(theirs, replacement(ended)?)
            .write_concern(self.writes.clone());
        match replaced.await {
            Ok(_) => Ok(true),
            Err(error) if fault::is_invalid(&error) => self.remove(name(id)).await.map(|_| false),
            Err(error) => Err(fault::of_write(&error)),
        }
    }

    /// The same if it is of this principal; a mark is nobody's.
    pub(crate) async fn end_one(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        let mut theirs = name(id);
        theirs.insert("principal", principal);
        let replaced = self
            .sessions
            .replace_one(theirs.clone(), replacement(ended)?)
            // Not by the principal's index, in which there may be many.
            .hint(Hint::Keys(doc! { "_id": 1 }))
            .collation(byte_by_byte())
            .write_concern(self.writes.clone());
        match replaced.await {
            Ok(replaced) => Ok(replaced.matched_count > 0),
            Err(error) if fault::is_invalid(&error) => Ok(self.remove(theirs).await? > 0),
            Err(error) => Err(fault::of_write(&error)),
        }
    }

    /// The same with all of a principal.
    pub(crate) async fn end_all(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        let mut theirs = doc! { "principal": principal };
        if let Some(except) = except {
            theirs.insert("_id", doc! { "$ne": except.encode() });
        }
        let mut mark = doc! { "_id": "$_id" };
        mark.extend(mark::fields(ended));
        let replaced = self
            .sessions
            .update_many(theirs.clone(), vec![doc! { "$replaceWith": mark }])
            .collation(byte_by_byte())
            .write_concern(self.writes.clone());
        match replaced.await {
            Ok(replaced) => Ok(replaced.matched_count),
            Err(error) if fault::is_invalid(&error) => self.remove(theirs).await,
            Err(error) => Err(fault::of_write(&error)),
        }
    }

    /// Removes documents; says how many. For what leaves no mark: what has expired, and what ends
    /// where a validator refuses marks.
    pub(crate) async fn remove(&self, filter: Document) -> Result<u64, StoreError> {
        let deleted = self
            .sessions
            .delete_many(filter)
            .collation(byte_by_byte())
            .write_concern(self.writes.clone());
        let deleted = deleted.await.map_err(|error| fault::of_write(&error))?;
        Ok(deleted.deleted_count)
    }
}

fn replacement(ended: Ended) -> Result<RawDocumentBuf, StoreError> {
    RawDocumentBuf::try_from(mark::fields(ended))
        .map_err(|_| StoreError::corrupt("the mark is no document"))
}
