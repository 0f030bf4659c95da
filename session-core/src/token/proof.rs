//! Proofs of a device, and the challenges that it signs.
//!
//! Both are MACs under the key ring, so nothing is stored about them. They name the session by its
//! id and its epoch, so a renewal voids them. A proof also names the key of the device.
//!
//! | text | bytes, in base64url | the MAC is over |
//! |---|---|---|
//! | proof, 32 characters | issued (8), MAC (16) | id, epoch, issued, key |
//! | challenge, 54 characters | issued (8), nonce (16), MAC (16) | id, epoch, issued, nonce |
//!
//! Times are milliseconds since the Unix epoch. Numbers are big-endian. The MAC is the first half
//! of HMAC-SHA-256, with a key for each of the two.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use std::time::Duration;
use subtle::ConstantTimeEq;

use crate::crypto::{KeyRing, Purpose, decode_exact, random_bytes};
use crate::error::SessionError;
use crate::record::{DeviceKey, Record, SKEW};
use crate::time::Timestamp;
use crate::token::DeviceBinding;

/// Makes and checks proofs and challenges in one scope.
pub(crate) struct DeviceProofs {
    /// One for each key of the ring, newest first. So are the challenges.
    proofs: Vec<Hmac<Sha256>>,
    challenges: Vec<Hmac<Sha256>>,
    accepted_for: Duration,
}

impl DeviceProofs {
    pub(crate) fn new(keys: &KeyRing, scope: &str, binding: &DeviceBinding) -> Self {
        let macs = |purpose| {
            let keys = keys.derive(purpose, scope);
            let macs = keys
                .iter()
                .filter_map(|key| Hmac::new_from_slice(key.bytes()).ok());
            macs.collect()
        };
        Self {
            proofs: macs(Purpose::DeviceProof),
            challenges: macs(Purpose::DeviceChallenge),
            accepted_for: binding.accepted_for(),
        }
    }

    /// A proof that the client of this session has the device of this key.
    pub(crate) fn prove(&self, record: &Record, key: &DeviceKey, now: Timestamp) -> String {
        let issued = now.as_millis().to_be_bytes();
        let mac = first(&self.proofs, record, &[&issued, key.as_bytes()]);
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&issued);
        bytes[8..].copy_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whether this text was a proof for this session and device at that time.
    pub(crate) fn is_proof(
        &self,
        text: &str,
        record: &Record,
        key: &DeviceKey,
        at: Timestamp,
    ) -> bool {
        let Some(bytes) = decode_exact::<24>(text.as_bytes()) else {
            return false;
        };
        let (issued, mac) = bytes.split_at(8);
        self.is_recent(issued, at) && verifies(&self.proofs, record, &[issued, key.as_bytes()], mac)
    }

    /// Something for the client of this session to sign.
    pub(crate) fn challenge(
        &self,
        record: &Record,
        now: Timestamp,
    ) -> Result<String, SessionError> {
        Ok(self.challenge_of(record, now, random_bytes()?))
    }

    fn challenge_of(&self, record: &Record, now: Timestamp, nonce: [u8; 16]) -> String {
        let issued = now.as_millis().to_be_bytes();
        let mac = first(&self.challenges, record, &[&issued, &nonce]);
        let mut bytes = [0; 40];
        bytes[..8].copy_from_slice(&issued);
        bytes[8..24].copy_from_slice(&nonce);
        bytes[24..].copy_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whether this text was a challenge of this session at that time.
    pub(crate) fn is_challenge(&self, text: &str, record: &Record, at: Timestamp) -> bool {
        let Some(bytes) = decode_exact::<40>(text.as_bytes()) else {
            return false;
        };
        let (issued, rest) = bytes.split_at(8);
        let (nonce, mac) = rest.split_at(16);
        self.is_recent(issued, at) && verifies(&self.challenges, record, &[issued, nonce], mac)
    }

    /// Clocks of servers differ, so it may have been issued a little later than that time.
    fn is_recent(&self, issued: &[u8], at: Timestamp) -> bool {
        let Ok(issued) = issued.try_into().map(u64::from_be_bytes) else {
            return false;
        };
        let issued = Timestamp::from_millis(issued);
        at.duration_since(issued) < self.accepted_for && issued.duration_since(at) <= SKEW
    }
}

impl fmt::Debug for DeviceProofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceProofs").finish_non_exhaustive()
    }
}

/// The MAC by the newest key. `build` requires keys, so there is always one. Without any,
/// [`verifies`] accepts nothing.
fn first(macs: &[Hmac<Sha256>], record: &Record, parts: &[&[u8]]) -> [u8; 16] {
    macs.first()
        .map_or([0; 16], |mac| of_parts(mac, record, parts))
}

fn verifies(macs: &[Hmac<Sha256>], record: &Record, parts: &[&[u8]], given: &[u8]) -> bool {
    macs.iter()
        .any(|mac| bool::from(of_parts(mac, record, parts).ct_eq(given)))
}

/// The parts have fixed lengths, so that no others give the same bytes.
fn of_parts(mac: &Hmac<Sha256>, record: &Record, parts: &[&[u8]]) -> [u8; 16] {
    let mut mac = mac.clone();
    mac.update(record.id.as_bytes());
    mac.update(&record.epoch.to_be_bytes());
    for part in parts {
        mac.update(part);
    }
    let mut half = [0; 16];
    half.copy_from_slice(&mac.finalize().into_bytes()[..16]);
    half
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Lifetime, SessionId};

    const ISSUED: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const MINUTE: Duration = Duration::from_secs(60);
    /// A proof and a challenge under each of two keys, by another implementation.
    const GOLDEN: [[&str; 2]; 2] = [
        [
            "AAABi8_laADkMeoJFdK9GyFrxVCphCVs",
            "AAABi8_laAAJCQkJCQkJCQkJCQkJCQkJIKmb9_7RWj_Lp8zAodzKYA",
        ],
        [
            "AAABi8_laABYoO74cd8SyB4_A_EOl34N",
            "AAABi8_laAAJCQkJCQkJCQkJCQkJCQkJalXnFDXdfgdOVkaG-1u6Iw",
        ],
    ];

    fn record() -> Record {
        let id = SessionId::from_bytes(std::array::from_fn(|at| 0xa0 + at as u8));
        let mut record = Record::new(id, "__Host-id", Lifetime::default(), ISSUED);
        record.epoch = 2;
        record
    }

    fn device() -> DeviceKey {
        DeviceKey::from_bytes(std::array::from_fn(|at| at as u8))
    }

    fn older() -> Vec<u8> {
        (0..40).collect()
    }

    fn with(ring: &KeyRing) -> DeviceProofs {
        DeviceProofs::new(ring, "__Host-id", &DeviceBinding::require())
    }

    fn newer() -> KeyRing {
        KeyRing::new([1; 32]).unwrap()
    }

    #[test]
    fn the_texts_are_those_of_another_implementation() {
        let rings = [newer(), KeyRing::new(older()).unwrap()];
        for (ring, [proof, challenge]) in rings.iter().zip(GOLDEN) {
            let proofs = with(ring);
            assert_eq!(proofs.prove(&record(), &device(), ISSUED), proof);
            assert_eq!(proofs.challenge_of(&record(), ISSUED, [9; 16]), challenge);
        }
        let both = with(&newer().with_older(older()).unwrap());
        assert_eq!(both.prove(&record(), &device(), ISSUED), GOLDEN[0][0]);
        for [proof, challenge] in GOLDEN {
            assert!(both.is_proof(proof, &record(), &device(), ISSUED));
            assert!(both.is_challenge(challenge, &record(), ISSUED));
        }
        let [proof, challenge] = GOLDEN[1];
        assert!(!with(&newer()).is_proof(proof, &record(), &device(), ISSUED));
        assert!(!with(&newer()).is_challenge(challenge, &record(), ISSUED));
    }

    #[test]
    fn each_part_counts() {
        let proofs = with(&newer());
        let [proof, challenge] = GOLDEN[0];
        let mut other_id = record();
        other_id.id = SessionId::from_bytes([0; 16]);
        let mut other_epoch = record();
        other_epoch.epoch += 1;
        for other in [other_id, other_epoch] {
            assert!(!proofs.is_proof(proof, &other, &device(), ISSUED));
            assert!(!proofs.is_challenge(challenge, &other, ISSUED));
        }
        let other_key = DeviceKey::from_bytes([0; 64]);
        assert!(!proofs.is_proof(proof, &record(), &other_key, ISSUED));
        let other_scope = DeviceProofs::new(&newer(), "other", &DeviceBinding::require());
        assert!(!other_scope.is_proof(proof, &record(), &device(), ISSUED));
        assert!(!other_scope.is_challenge(challenge, &record(), ISSUED));
    }

    #[test]
    fn times_count() {
        let proofs = with(&newer());
        let [proof, challenge] = GOLDEN[0];
        let good = |at| {
            let good = proofs.is_proof(proof, &record(), &device(), at);
            assert_eq!(proofs.is_challenge(challenge, &record(), at), good);
            good
        };
        let end = ISSUED + 11 * MINUTE;
        assert!(good(ISSUED) && !good(end));
        assert!(good(Timestamp::from_millis(end.as_millis() - 1)));
        // The clock of the server that issued it was ahead of this one.
        let early = Timestamp::from_millis(ISSUED.as_millis() - 300_000);
        assert!(good(early));
        assert!(!good(Timestamp::from_millis(early.as_millis() - 1)));
    }
}
