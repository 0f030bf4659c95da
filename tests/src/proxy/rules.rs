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
    /// The server never sees the request, and the connection stays.
    Silently,
}

#[derive(Debug, Default)]
pub(super) struct Rules {
    cuts: Mutex<Vec<(Vec<u8>, Cut)>>,
    passed: Mutex<Vec<Vec<u8>>>,
    connections: Mutex<usize>,
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

    pub(super) fn stall(&self, stalled: bool) {
        self.stalled.send_replace(stalled);
    }

    pub(super) async fn flowing(&self) {
        let _ = self.stalled.subscribe().wait_for(|stalled| !stalled).await;
    }

    pub(super) fn count_connection(&self) {
        *lock(&self.connections) += 1;
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
