//! What the connections of one proxy go by, and what they have seen.

use std::sync::Mutex;

use tokio::sync::watch;

use super::lock;

/// What is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The server never sees the request.
    Request,
    /// The client never sees the reply.
    Reply,
}

#[derive(Debug, Default)]
pub(super) struct Rules {
    cuts: Mutex<Vec<(Vec<u8>, Cut)>>,
    /// What is swallowed, on how many of the first connections.
    swallowed: Mutex<Option<(Vec<u8>, usize)>>,
    passed: Mutex<Vec<Vec<u8>>>,
    connections: Mutex<usize>,
    /// All connections, also those that are forgotten.
    made: Mutex<usize>,
    stalled: watch::Sender<bool>,
}

impl Rules {
    pub(super) fn cut(&self, bytes: &[u8], what: Cut) {
        lock(&self.cuts).push((bytes.to_vec(), what));
    }

    /// What is to be cut of `request`. Each rule holds once.
    pub(super) fn cut_of(&self, request: &[u8]) -> Option<Cut> {
        let mut cuts = lock(&self.cuts);
        let at = cuts
            .iter()
            .position(|(bytes, _)| contains(request, bytes))?;
        Some(cuts.remove(at).1)
    }

    pub(super) fn has_cut_all(&self) -> bool {
        lock(&self.cuts).is_empty()
    }

    pub(super) fn swallow(&self, bytes: &[u8]) {
        *lock(&self.swallowed) = Some((bytes.to_vec(), *lock(&self.made)));
    }

    /// Whether `request`, on this connection, is to be passed on to nobody.
    pub(super) fn is_swallowed(&self, connection: usize, request: &[u8]) -> bool {
        lock(&self.swallowed)
            .as_ref()
            .is_some_and(|(bytes, last)| connection <= *last && contains(request, bytes))
    }

    pub(super) fn stall(&self, stalled: bool) {
        self.stalled.send_replace(stalled);
    }

    pub(super) async fn flowing(&self) {
        let _ = self.stalled.subscribe().wait_for(|stalled| !stalled).await;
    }

    /// Returns the number of the new one.
    pub(super) fn count_connection(&self) -> usize {
        *lock(&self.connections) += 1;
        let mut made = lock(&self.made);
        *made += 1;
        *made
    }

    pub(super) fn connections(&self) -> usize {
        *lock(&self.connections)
    }

    pub(super) fn pass(&self, request: &[u8]) {
        lock(&self.passed).push(request.to_vec());
    }

    pub(super) fn passed(&self, bytes: &[u8]) -> usize {
        lock(&self.passed)
            .iter()
            .filter(|request| contains(request, bytes))
            .count()
    }

    pub(super) fn forget(&self) {
        lock(&self.passed).clear();
        *lock(&self.connections) = 0;
    }
}

fn contains(request: &[u8], bytes: &[u8]) -> bool {
    bytes.is_empty() || request.windows(bytes.len()).any(|window| window == bytes)
}
