//! Reading all of a server, or of all primaries of a Cluster, in pages.
//!
//! - **`SCAN` returns every name that is there all the time**, in any order, some of them twice.
//!   Its cursor means something to one server until that restarts. So a page also reads the
//!   server's id, in the same script, and where that has changed the slots are read again from the
//!   first page ([`cursor`]).
//! - **A Cluster is read range by range**: the slots that follow each other on one primary. Names
//!   of other slots of that primary are left out, so none is returned for two ranges. If the driver
//!   knows of another primary when the last page of the range was read, it is read again. What the
//!   driver knows may be old: a script without keys is never told that a slot was moved. So a scan
//!   can pass over the sessions of slots that are moved, or of a fail-over that somebody orders.
//! - **A name says where a script runs**, and it is an argument and no key: nothing is read under
//!   it.
//! - **An index may be long.** It is read by pages of its own, with `ZSCAN`. The indexes that a
//!   page has found and not read yet are in the cursor.

mod cursor;
mod pages;

pub(crate) use self::pages::Scan;
