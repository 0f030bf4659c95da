//! Deleting sessions: a mark takes the place of the document, in one command.
//!
//! Where a validator of the collection refuses the mark, the document is removed without one: a
//! session is deleted all the same.

use std::sync::Arc;

use mongodb::ClientSession;
use mongodb::action::Action;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::error::Error;
use mongodb::options::Hint;
use mongodb::results::UpdateResult;
use session_core::store::StoreError;
use session_core::{Ended, SessionId};

use crate::document::{self, by_id};
use crate::fault;
use crate::mark;
use crate::sessions::{PRIMARY, Sessions, byte_by_byte};

/// Why a document is not deleted: nothing could tell it from one that takes its place meanwhile.
const NO_TEXT: &str = "a document has a text that is no UTF-8, so it cannot be compared; remove it \
                       by its _id with a tool of MongoDB";

/// How many sessions were deleted, and how.
pub(crate) enum Deleted {
    Marked(u64),
    /// A validator refuses marks.
    Unmarked(u64),
}

impl Deleted {
    pub(crate) const fn count(&self) -> u64 {
        match self {
            Self::Marked(count) | Self::Unmarked(count) => *count,
        }
    }
}

impl Sessions {
    /// Deletes one session. A mark that is there already stays as it is.
    pub(crate) async fn delete(
        self: Arc<Self>,
        id: SessionId,
        ended: Ended,
    ) -> Result<Deleted, StoreError> {
        let mut unmarked = by_id(id);
        unmarked.insert("ended", mark::absent());
        let mut session = self.session().await?;
        let replacement = self
            .collection
            .replace_one(unmarked, replacement(ended)?)
            .optional(session.as_mut(), |replace, session| {
                replace.session(session)
            });
        let replaced = replacement.await;
        self.or_remove(replaced, session, by_id(id)).await
    }

    /// Deletes one session if it is this principal's. A mark is nobody's.
    pub(crate) async fn delete_one(
        self: Arc<Self>,
        principal: String,
        id: SessionId,
        ended: Ended,
    ) -> Result<Deleted, StoreError> {
        let mut theirs = by_id(id);
        theirs.insert("principal", principal);
        let mut session = self.session().await?;
        let replacement = self
            .collection
            .replace_one(theirs.clone(), replacement(ended)?)
            // Not by the index of principals: this one may have many sessions.
            .hint(Hint::Keys(doc! { "_id": 1 }))
            .collation(byte_by_byte())
            .optional(session.as_mut(), |replace, session| {
                replace.session(session)
            });
        let replaced = replacement.await;
        self.or_remove(replaced, session, theirs).await
    }

    /// Deletes what is stored under an id and cannot be read, if nobody has changed it since it was
    /// found so.
    pub(crate) async fn delete_unreadable(
        self: Arc<Self>,
        id: SessionId,
        ended: Ended,
    ) -> Result<Deleted, StoreError> {
        let found = self.collection.find_one(by_id(id));
        let found = found.selection_criteria(PRIMARY).await;
        let found = found.map_err(fault::of_read)?;
        let found = found.filter(|found| document::id_of(found) == Some(id));
        let Some(found) = found else {
            return Ok(Deleted::Marked(0));
        };
        let whole = Document::try_from(found.as_ref());
        let whole = whole.map_err(|_| StoreError::corrupt(NO_TEXT))?;
        match document::read(id, found) {
            Ok(_) => return Ok(Deleted::Marked(0)),
            Err(StoreError::Corrupt(_)) => {}
            Err(error) => return Err(error),
        }
        let mut unchanged = by_id(id);
        unchanged.insert("ended", mark::absent());
        let mut types = Vec::new();
        types_of(&whole, "", &mut types);
        if !types.is_empty() {
            unchanged.insert("$and", types);
        }
        let same = doc! { "$eq": ["$$ROOT", { "$literal": whole }] };
        unchanged.insert("$expr", same);
        let mut session = self.session().await?;
        let replacement = self
            .collection
            .replace_one(unchanged.clone(), replacement(ended)?)
            .collation(byte_by_byte())
            .optional(session.as_mut(), |replace, session| {
                replace.session(session)
            });
        let replaced = replacement.await;
        self.or_remove(replaced, session, unchanged).await
    }

    /// Deletes all sessions of a principal.
    pub(crate) async fn delete_all(
        self: Arc<Self>,
        principal: String,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<Deleted, StoreError> {
        let mut theirs = doc! { "principal": principal };
        if let Some(except) = except {
            theirs.insert("_id", doc! { "$ne": except.encode() });
        }
        let mut mark = doc! { "_id": "$_id" };
        mark.extend(mark::fields(ended));
        let mut session = self.session().await?;
        let replacement = self
            .collection
            .update_many(theirs.clone(), vec![doc! { "$replaceWith": mark }])
            .collation(byte_by_byte())
            .optional(session.as_mut(), |update, session| update.session(session));
        let replaced = replacement.await;
        self.or_remove(replaced, session, theirs).await
    }

    async fn or_remove(
        &self,
        replaced: Result<UpdateResult, Error>,
        session: Option<ClientSession>,
        filter: Document,
    ) -> Result<Deleted, StoreError> {
        match replaced {
            Ok(replaced) => {
                self.wrote(session.as_ref());
                Ok(Deleted::Marked(replaced.matched_count))
            }
            Err(error) if fault::is_invalid(&error) => {
                self.remove(filter).await.map(Deleted::Unmarked)
            }
            Err(error) => Err(fault::of_write(error)),
        }
    }
}

/// Conditions on the types of numbers. An expression takes numbers of all types for equal, and a
/// session may be unreadable for nothing but a type.
///
/// A session that can be read has no number in an array, and no name of which a path cannot be
/// made.
fn types_of(document: &Document, path: &str, types: &mut Vec<Document>) {
    for (name, value) in document {
        if name.is_empty() || name.contains('.') || name.starts_with('$') {
            continue;
        }
        let path = format!("{path}{name}");
        match value {
            Bson::Document(inner) => types_of(inner, &format!("{path}."), types),
            Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_) => {
                let number = i32::from(value.element_type() as u8);
                types.push(doc! { path: { "$type": number } });
            }
            _ => {}
        }
    }
}

fn replacement(ended: Ended) -> Result<RawDocumentBuf, StoreError> {
    RawDocumentBuf::try_from(mark::fields(ended))
        .map_err(|_| StoreError::corrupt("the mark is no document"))
}
