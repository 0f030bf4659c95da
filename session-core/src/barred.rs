//! Requests that are anonymous and mute.

use sha2::{Digest, Sha256};

use crate::base::Base;

/// A request is anonymous and mute: it stores nothing and its response sends no token, unless somebody
/// signs in. Either its session was renewed or ended meanwhile, or its tokens open several sessions.
#[derive(Default)]
pub(crate) struct Barred {
    /// What CSRF tokens are derived from. It is made of the client's tokens, so that a form that is shown
    /// by one barred request can be sent by the next one. There is none if the session ended under this request.
    pub(crate) seed: Option<[u8; 16]>,
    /// The sessions, where there are several. They end if somebody signs in or out.
    pub(crate) rivals: Vec<Base>,
}

impl Barred {
    /// By these tokens, in any order.
    pub(crate) fn by(tokens: &[&str], rivals: Vec<Base>) -> Self {
        let mut seed = [0; 16];
        for token in tokens {
            let mut hash = Sha256::new();
            hash.update(b"session-core csrf of a request without a session");
            hash.update(token);
            for (all, byte) in seed.iter_mut().zip(hash.finalize()) {
                *all ^= byte;
            }
        }
        Self {
            seed: Some(seed),
            rivals,
        }
    }
}
