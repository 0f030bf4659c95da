//! What one visitor wrote into one session, and what must be there.
//!
//! A write is *acknowledged* if the site answered it with a success. It is *refused* if the site's
//! answer says that nothing was stored. Otherwise, after a 503 or a cut connection, its outcome is
//! *unknown*: it may be there or not.
//!
//! Nobody writes a number that was written before. Numbers of a visitor grow, so under each key a
//! later write has a larger number. A number whose outcome is unknown must not appear under or
//! after a later one that was acknowledged; for that, a key with an unknown write is left alone
//! until it can no longer arrive.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use session_http::SessionId;
use session_soak::Page;

/// After this time no write is under way any more: a commit has 10 s, and the store 2 s for each
/// call.
const SETTLED: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Acknowledged,
    Refused,
    Unknown,
}

#[derive(Clone, Copy, Debug)]
struct Write {
    known: Known,
    /// What its request was for. That of a guest is another one than after the sign-in, and if it
    /// is lost, the next request has yet another one.
    session: Option<SessionId>,
    /// When its request was sent, and when it was answered.
    began: Instant,
    at: Instant,
}

impl Write {
    fn may_be_lost(&self, may_lose: &impl Fn(SessionId, Instant, Instant) -> bool) -> bool {
        self.session
            .is_some_and(|session| may_lose(session, self.began, self.at))
    }
}

/// A request that is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) session: Option<SessionId>,
    pub(crate) began: Instant,
    pub(crate) known: Known,
}

impl Sent {
    fn write(self) -> Write {
        Write {
            known: self.known,
            session: self.session,
            began: self.began,
            at: Instant::now(),
        }
    }
}

type Writes = BTreeMap<u64, Write>;

/// What is wrong with a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// An acknowledged write is not there.
    Lost(String),
    /// The same, acknowledged when a fail-over may have lost it.
    LostByFailOver(String),
    /// A write of unknown outcome is in the place of a later acknowledged one.
    CameBack(String),
    /// What is there was refused, or nobody wrote it.
    NotWritten(String),
    /// An item was added once and is in the cart twice.
    Twice(String),
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    keys: BTreeMap<String, Writes>,
    cart: Writes,
}

impl Ledger {
    /// A request that is over was to store a number.
    pub(crate) fn note(&mut self, key: &str, number: u64, sent: Sent) {
        let writes = self.keys.entry(key.to_owned()).or_default();
        writes.insert(number, sent.write());
    }

    pub(crate) fn note_item(&mut self, item: u64, sent: Sent) {
        self.cart.insert(item, sent.write());
    }

    /// How many writes are known to be acknowledged: so many are compared.
    pub(crate) fn acknowledged(&self) -> u64 {
        let all = self.keys.values().flat_map(Writes::values);
        let all = all.chain(self.cart.values());
        all.filter(|write| write.known == Known::Acknowledged)
            .count() as u64
    }

    /// The client may hold another session now: what was acknowledged may be there or not.
    pub(crate) fn doubt_all(&mut self) {
        let all = self.keys.values_mut().flat_map(Writes::values_mut);
        for write in all.chain(self.cart.values_mut()) {
            if write.known == Known::Acknowledged {
                write.known = Known::Unknown;
            }
        }
    }

    /// Whether no write to this key can still be under way.
    pub(crate) fn is_settled(&self, key: &str) -> bool {
        let Some(writes) = self.keys.get(key) else {
            return true;
        };
        writes
            .values()
            .all(|write| write.known != Known::Unknown || write.at.elapsed() > SETTLED)
    }

    /// Compares with what a page has read, while no write but those of unknown outcome is under
    /// way. `may_lose` says whether the store may have lost what a request for a session wrote,
    /// which began and was acknowledged at these times.
    pub(crate) fn compare(
        &self,
        page: &Page,
        may_lose: impl Fn(SessionId, Instant, Instant) -> bool,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (key, writes) in &self.keys {
            let found = page.numbers.get(key).copied();
            compare_key(key, writes, found, &may_lose, &mut findings);
        }
        let foreign = page
            .numbers
            .keys()
            .filter(|key| !self.keys.contains_key(*key));
        findings.extend(foreign.map(|key| Finding::NotWritten(format!("the key {key}"))));
        self.compare_cart(page, &may_lose, &mut findings);
        findings
    }

    fn compare_cart(
        &self,
        page: &Page,
        may_lose: &impl Fn(SessionId, Instant, Instant) -> bool,
        findings: &mut Vec<Finding>,
    ) {
        let mut counts = BTreeMap::<u64, usize>::new();
        for item in &page.cart {
            *counts.entry(*item).or_default() += 1;
        }
        for (item, count) in &counts {
            let known = self.cart.get(item).map(|write| write.known);
            let text = format!("item {item} of the cart");
            match known {
                None | Some(Known::Refused) => findings.push(Finding::NotWritten(text)),
                Some(_) if *count > 1 => findings.push(Finding::Twice(text)),
                Some(_) => {}
            }
        }
        for (item, write) in &self.cart {
            if write.known == Known::Acknowledged && !counts.contains_key(item) {
                let text = format!("item {item} of the cart");
                findings.push(lost(text, write.may_be_lost(may_lose)));
            }
        }
    }
}

fn compare_key(
    key: &str,
    writes: &Writes,
    found: Option<u64>,
    may_lose: &impl Fn(SessionId, Instant, Instant) -> bool,
    findings: &mut Vec<Finding>,
) {
    let mut found_known = None;
    if let Some(number) = found {
        let text = format!("{number} under {key}");
        found_known = writes.get(&number).map(|write| write.known);
        if matches!(found_known, None | Some(Known::Refused)) {
            findings.push(Finding::NotWritten(text));
            return;
        }
    }
    let later = found.map_or(0, |number| number + 1)..;
    let missing: Vec<_> = writes
        .range(later)
        .filter(|(_, write)| write.known == Known::Acknowledged)
        .collect();
    let explained = missing.iter().all(|(_, write)| write.may_be_lost(may_lose));
    if found_known == Some(Known::Unknown) && !missing.is_empty() && !explained {
        findings.push(Finding::CameBack(format!(
            "{found:?} under {key}, and not {missing:?}"
        )));
        return;
    }
    for (number, write) in missing {
        let text = format!("{number} under {key}, which has {found:?}");
        findings.push(lost(text, write.may_be_lost(may_lose)));
    }
}

fn lost(text: String, explained: bool) -> Finding {
    match explained {
        true => Finding::LostByFailOver(text),
        false => Finding::Lost(text),
    }
}

#[cfg(test)]
mod tests;
