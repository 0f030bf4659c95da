//! The index of a principal: a sorted set of the ids of its sessions, by their deadlines.
//!
//! A session and the index of its principal may be on different nodes of a Cluster, so no step
//! covers both. The order of the steps makes up for that. It has to keep two promises:
//!
//! - **No session without an entry.** [`Index::delete_all`] ends every session that a sign-in has
//!   returned.
//! - **No entry without a session, for long.** An index has few more entries than sessions.
//!
//! # Signing in ([`sign_in`])
//!
//! | step | on | done by | if the process dies after this step |
//! |---|---|---|---|
//! | 1. add the entry | index | `index.lua` | an entry without a session |
//! | 2. write the session, on probation | session | create, update | it ends with its probation |
//! | 3. look whether the entry is still there | index | `confirm.lua` | the same |
//! | 4. take the session off probation | session | `settle.lua` | nothing |
//!
//! **Probation** (`w`) is a short time to live, which no other writer makes longer. It is longer
//! than the writer needs for steps 3 and 4, which it tries again for as long as it can: if the
//! session was there before, its probation would end what it held, too. Step 3 finds no entry, or a
//! revoked one, if the principal's sessions were all ended since step 1. Then the writer deletes
//! the session itself, and reports that.
//!
//! # Ending all sessions ([`revoke`])
//!
//! | step | on | done by | if the process dies after this step |
//! |---|---|---|---|
//! | 1. read a page of entries | index | `ZRANGE` | nothing |
//! | 2. mark them as revoked | index | `ZADD XX` | no sign-in under way is confirmed |
//! | 3. delete the sessions | session | `delete.lua` | entries without sessions |
//! | 4. remove the entries | index | `heal.lua` | nothing |
//!
//! A sign-in at the same time has either written its session before step 3, which finds it; or it
//! looks at its entry after step 2, and finds the mark or nothing.
//!
//! # Removing entries ([`list`], [`tidy`])
//!
//! Entries without a session come from sign-ins that were cut off, and from sessions that expired.
//! An entry must not be removed while a sign-in is between its steps 1 and 3. So an entry goes in
//! two rounds, a minute apart:
//!
//! 1. The session is not found: the entry gets a **mark**, a negative score with the time and some
//!    random bits ([`score`]), if it has the score that was read.
//! 2. A minute later the session is not found again: the entry is removed, if it still has that
//!    mark.
//!
//! No two marks are the same, so one that is there has been there all the time. A sign-in that
//! begins meanwhile writes over the mark in step 1; one that began before looks at its entry in
//! step 3, and takes the mark away or finds no entry. Clocks that differ by more than the minute
//! cost a sign-in its session, and nothing else.
//!
//! An index is read by rank, page by page, with an overlap ([`pages`]). A sign-in that makes an
//! index longer looks at up to 16 old entries ([`tidy`]). So an index stays short without a job,
//! and without a write to it when a session is used.
//!
//! # Mending ([`mend`])
//!
//! A tool that has found an index and a session that do not agree has one of the two mended. The
//! head of that file says how this keeps both promises.
//!
//! # Damaged sessions
//!
//! If a record cannot be read and names no principal, it belongs to the index that has its entry.
//! If it names another principal, only [`Index::delete_all`] ends it: to ask the index in each
//! [`Index::delete_one`] would cost a command.

mod index;
mod list;
mod mend;
mod pages;
mod revoke;
mod score;
mod sign_in;
#[cfg(test)]
mod tests;
mod tidy;

pub(crate) use self::index::Index;
