//! What the site of the soak and its visitors agree on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The name of the cookie. It is not `Secure`: everything is plain HTTP on loopback.
pub const COOKIE: &str = "id";

/// A header that marks the 500 of a page that fails on purpose.
pub const ON_PURPOSE: &str = "x-on-purpose";

/// What a server of the site logs when a session was changed, and its request was dropped before
/// the answer.
pub const DROPPED: &str = "a session was dropped before its commit";

/// What each page answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The session in which the request ran, if it is stored already.
    pub session: Option<String>,
    /// Who is signed in.
    pub who: Option<String>,
    /// The items of the cart. Only the page that reads has them, and the numbers below.
    pub cart: Vec<u64>,
    /// The number under each other key.
    pub numbers: BTreeMap<String, u64>,
}
