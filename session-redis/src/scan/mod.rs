//! Reading all of a server, or of all primaries of a Cluster, in pages.
//!
//! - **`SCAN` returns every name that is there all the time**, in any order, some of them twice.
//!   Its cursor means something to one server until that restarts. So a page also reads the
//!   server's id, in the same script, and where that has changed the server is read again from its
//!   first page ([`cursor`]).
//! - **A Cluster is read node by node, and counted slot by slot.** A page says, in the same step,
//!   which slots its node has. A slot counts as read once its node has had it at each page, from
//!   the first to the last, and was not moving it. Next is the node of the lowest slot that was not
//!   read. So slots that have moved meanwhile, or that have a new primary, are read where they are
//!   now, and it does not matter whether the driver knows of that.
//! - **While a node is moving a slot**, its names are on two nodes, and one that was read may have
//!   gone to the other. Such a page is an error. The scan can continue once the move is over.
//! - **A page goes to the node of a slot by a key in that slot**, which is not read. If the node
//!   does not have the slot any more, it says so, and the driver finds the one that has.
//! - **An index may be long.** It is read by pages of its own, with `ZSCAN`, whose cursors are of
//!   one server too. The indexes that a page has found and not read yet are in the cursor. After
//!   the last of them the server is asked once more whether it is what it was. A slot that left
//!   and came back has changed the node's epoch.

mod cursor;
mod pages;

pub(crate) use self::pages::Scan;
