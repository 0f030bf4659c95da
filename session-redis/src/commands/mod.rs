//! Each command and each script, on one key each except for one: what it sends, and what the answer
//! means.
//!
//! A session and the index of its principal may be on different nodes, so no command has two keys.
//! [`index`](crate::index) says in which order commands follow each other.
//!
//! - **What is decided, is decided on the server.** A script looks at what is there and writes in
//!   the same step. The scripts are in `lua/`; `look.lua` begins those that know both layouts.
//! - **Most merges have nothing to merge with.** If the version that was loaded is still there and
//!   only values are set, the result is the record that the update holds. `plain.lua` begins the
//!   script that merges: it compares two fields, writes, and counts nothing. `same.lua` does as
//!   much for a packed session: it compares how the text begins, which is two thirds of the work of
//!   taking it apart.
//! - **Readers that have copies ask together** (`together`, `revalidate.lua`), where one server has
//!   all keys. Where it has not, or if that fails, each asks alone.
//! - **A small packed session is not asked about, but read.** For a script the server takes longer
//!   than for a text of one packet, and `MGET` reads many of them in less than a microsecond each.
//!   A text that has not changed is not decoded.
//! - **A session of the other layout is written whole.** `replace.lua` puts a session of either
//!   layout into the place of one of either layout, by version. A packed store always uses it; a
//!   store of fields does if a merge is refused (`WRONGTYPE`). A read that is refused is followed
//!   by a script, not by the other command: between two commands the session may have moved back.
//! - **Times to live are relative**, by the application's idea of the remaining time and a minute
//!   on top. The server's clock may be wrong by any amount.
//! - **A mark has the layout of the store that writes it**, since its user may be permitted the
//!   commands of one layout only. The record is unlinked first: that makes room for the mark on a
//!   server that is out of memory.

mod commands;
mod entries;
mod revalidate;
mod scan;
mod script;
mod session;
mod together;
mod update;

pub(crate) use self::commands::Commands;
pub(crate) use self::entries::{Entry, Growth, RawEntry, Repair, session_entries};
pub(crate) use self::scan::{Names, NamesPage, Server, moving};
pub(crate) use self::session::{Deletion, Standing};
pub(crate) use self::update::UpdateOutcome;
