//! How a session is stored: the names of keys, and a record as a hash or as one text.
//!
//! Everything in this folder is a pure function between a [`Record`](session_core::store::Record)
//! and arguments or answers of the server. `docs/manual.md` shows both layouts as `redis-cli` does.
//!
//! - **What the server decides by is two short texts** (`s` and `h`, or the line of a packed
//!   session). They repeat what the metadata says, because the server does not decode the metadata.
//!   Several numbers in one field are one look-up for a script, and a person can read them. A
//!   record whose texts and metadata differ is corrupt.
//! - **Metadata is cut into pieces of 64 bytes.** The server needs half the memory for a hash whose
//!   fields are all that short.
//! - **What tells contents apart stands in one piece** (`5 0123456789abcdef `, version and tag), so
//!   that a script compares it as one text: for an update, and for a reader that has a copy.
//! - **A packed session is replaced by version, never merged.** The scripts would have to decode
//!   it. The line before it is decimal, not binary: it takes a script more time to take binary
//!   numbers apart than their shorter form would save.

mod arguments;
mod content;
mod corrupt;
mod fields;
mod keys;
mod layout;
mod numbers;
mod packed;
mod slot;
mod slots;

pub(crate) use self::arguments::{put_optional, put_principal};
pub(crate) use self::content::{Content, put_tag};
pub(crate) use self::corrupt::{damaged, unexpected};
pub(crate) use self::fields::{Summary, pieces, put_name, put_value};
pub(crate) use self::keys::{KeyName, KeyNames};
pub use self::layout::Layout;
pub(crate) use self::layout::read_record;
pub(crate) use self::packed::{is_still, put_beginning};
pub(crate) use self::slot::{name_in, only_slot, slot_of};
pub(crate) use self::slots::{Slots, range_of};
