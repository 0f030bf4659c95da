//! The text of a token, which a client holds where the store is on the server.
//!
//! It has 43 characters of base64url: 16 bytes of id, 16 bytes of secret. With keys 22 more follow:
//! a MAC of 128 bits. There is no padding, and spare bits are zero, so one token has one spelling.
//!
//! A rotated token of this epoch that comes back late is theft. One of an earlier epoch is only
//! reported. Their hashes are forgotten by then, so the token itself must say which it is, and its
//! form has no room. So the MAC also carries the low two bits of the epoch: HMAC-SHA-256 over id,
//! secret and the upper bit gives two halves of 128 bits, and the lower bit selects one of them.
//! To verify a token takes at most two HMACs for each key. An attacker gains a factor of four
//! against 2^128.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::crypto::{KeyRing, Purpose, decode_exact, random_bytes};
use crate::error::SessionError;
use crate::record::{EpochBits, SessionId};

const PLAIN_CHARS: usize = 43;
const MAC_CHARS: usize = 22;

/// The secret half of a token.
#[derive(Clone)]
pub(crate) struct Secret([u8; 16]);

impl Secret {
    pub(crate) fn random() -> Result<Self, SessionError> {
        Ok(Self(random_bytes()?))
    }

    pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// What a record keeps of the secret.
    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A token that has the right form; with keys, one that we issued.
#[derive(Debug)]
pub(crate) struct Presented {
    pub(crate) id: SessionId,
    pub(crate) secret: Secret,
    /// What its MAC says; `None` without keys.
    pub(crate) signature: Option<Signature>,
}

/// What the MAC of a token says, once a key has verified it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    /// The epoch in which the token was issued.
    pub(crate) epoch: EpochBits,
    /// The key that verified it is not the newest one.
    pub(crate) old_key: bool,
}

/// Writes and reads tokens in one scope.
pub(crate) struct Tokens {
    macs: Vec<Hmac<Sha256>>,
}

impl Tokens {
    /// Without keys, tokens carry no MAC.
    pub(crate) fn new(keys: Option<&KeyRing>, scope: &str) -> Self {
        let derived = keys.map(|ring| ring.derive(Purpose::Token, scope));
        let macs = derived
            .iter()
            .flatten()
            .filter_map(|key| Hmac::new_from_slice(key.bytes()).ok())
            .collect();
        Self { macs }
    }

    /// The token of this secret, signed with the newest key where there are keys.
    pub(crate) fn write(&self, id: SessionId, secret: &Secret, epoch: u64) -> String {
        let mut text = String::with_capacity(PLAIN_CHARS + MAC_CHARS);
        let plain = join(id, secret);
        URL_SAFE_NO_PAD.encode_string(plain, &mut text);
        if let Some(mac) = self.macs.first() {
            let epoch = EpochBits::of(epoch);
            let halves = halves(mac, &plain, epoch.upper());
            URL_SAFE_NO_PAD.encode_string(halves[usize::from(epoch.lower())], &mut text);
        }
        text
    }

    /// Reads a token; `None` if its form is wrong or no key verifies it.
    pub(crate) fn read(&self, text: &str) -> Option<Presented> {
        let text = text.as_bytes();
        let signed = !self.macs.is_empty();
        if text.len() != PLAIN_CHARS + if signed { MAC_CHARS } else { 0 } {
            return None;
        }
        let (head, tail) = text.split_at(PLAIN_CHARS);
        let plain = decode_exact::<32>(head)?;
        let signature = match signed {
            true => Some(self.verify(&plain, &decode_exact::<16>(tail)?)?),
            false => None,
        };
        let (id, secret) = plain.split_at(16);
        Some(Presented {
            id: SessionId::from_bytes(id.try_into().ok()?),
            secret: Secret(secret.try_into().ok()?),
            signature,
        })
    }

    /// What the MAC says; `None` if no key verifies it.
    fn verify(&self, plain: &[u8; 32], given: &[u8; 16]) -> Option<Signature> {
        for (position, mac) in self.macs.iter().enumerate() {
            for upper in 0..2 {
                let [even, odd] = halves(mac, plain, upper);
                let odd = odd.ct_eq(given);
                if bool::from(even.ct_eq(given) | odd) {
                    return Some(Signature {
                        epoch: EpochBits::new(upper, odd.unwrap_u8()),
                        old_key: position > 0,
                    });
                }
            }
        }
        None
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("keys", &self.macs.len())
            .finish()
    }
}

fn join(id: SessionId, secret: &Secret) -> [u8; 32] {
    let mut plain = [0; 32];
    plain[..16].copy_from_slice(id.as_bytes());
    plain[16..].copy_from_slice(&secret.0);
    plain
}

fn halves(mac: &Hmac<Sha256>, plain: &[u8; 32], upper: u8) -> [[u8; 16]; 2] {
    let mut mac = mac.clone();
    mac.update(plain);
    mac.update(&[upper]);
    let whole: [u8; 32] = mac.finalize().into_bytes().into();
    let mut halves = [[0; 16]; 2];
    halves[0].copy_from_slice(&whole[..16]);
    halves[1].copy_from_slice(&whole[16..]);
    halves
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const PLAIN: &str = "oKGio6SlpqeoqaqrrK2urxAREhMUFRYXGBkaGxwdHh8";
    /// MACs of `PLAIN` in the scope `__Host-id` for the epochs 0 to 3, by another implementation.
    const MACS: [[&str; 4]; 2] = [
        [
            "z8yqbHb7Gt_Zpdu0oNv3cQ",
            "e1MAohdg1EnrcSfR9rXmcQ",
            "mw6a7vIR6Jj24f5YqbpRtA",
            "qXvzEk1cHsV03s9nrpsMaw",
        ],
        [
            "UPebZ-cHjDIcwhU7ragmXA",
            "Egaq3ng854HEbH3E2iXwKw",
            "Ros0q_FOMxvNqrrxUNSAKg",
            "v5YFiO5kFwcOEMKSnBnGeA",
        ],
    ];

    fn id() -> SessionId {
        SessionId::from_bytes(std::array::from_fn(|at| 0xa0 + at as u8))
    }

    fn secret() -> Secret {
        Secret(std::array::from_fn(|at| 0x10 + at as u8))
    }

    fn newer() -> KeyRing {
        KeyRing::new([1; 32]).unwrap()
    }

    fn older() -> Vec<u8> {
        (0..40).collect()
    }

    fn signed() -> Tokens {
        Tokens::new(Some(&newer()), "__Host-id")
    }

    fn plain() -> Tokens {
        Tokens::new(None, "__Host-id")
    }

    /// `text` with these bits of one character flipped.
    fn respelled(text: &str, at: usize, bits: usize) -> String {
        let mut bytes = text.as_bytes().to_vec();
        let value = ALPHABET.iter().position(|byte| *byte == bytes[at]).unwrap();
        bytes[at] = ALPHABET[value ^ bits];
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_form_of_a_token() {
        let text = plain().write(id(), &secret(), 7);
        assert_eq!(text, PLAIN);
        assert_eq!((text.len(), text.capacity()), (43, 65));
        let text = signed().write(id(), &secret(), 0);
        assert_eq!(text, format!("{PLAIN}{}", MACS[0][0]));
        assert_eq!((text.len(), text.capacity()), (65, 65));
    }

    #[test]
    fn macs_of_each_epoch() {
        let rings = [newer(), KeyRing::new(older()).unwrap()];
        for (ring, macs) in rings.iter().zip(MACS) {
            let tokens = Tokens::new(Some(ring), "__Host-id");
            for epoch in 0..6 {
                let text = tokens.write(id(), &secret(), epoch);
                assert_eq!(
                    text,
                    format!("{PLAIN}{}", macs[epoch as usize % 4]),
                    "{epoch}"
                );
                let presented = tokens.read(&text).unwrap();
                assert_eq!(presented.id, id());
                assert_eq!(presented.secret.0, secret().0);
                let expected = Signature {
                    epoch: EpochBits::of(epoch),
                    old_key: false,
                };
                assert_eq!(presented.signature, Some(expected));
            }
        }
    }

    #[test]
    fn tokens_without_keys() {
        let presented = plain().read(PLAIN).unwrap();
        assert_eq!(presented.id, id());
        assert_eq!(presented.secret.0, secret().0);
        assert_eq!(presented.signature, None);
        assert!(plain().read(&format!("{PLAIN}{}", MACS[0][0])).is_none());
        assert!(signed().read(PLAIN).is_none());
    }

    #[test]
    fn only_the_exact_length_is_read() {
        let whole = format!("{PLAIN}{}", MACS[0][0]);
        for length in (0..=100).filter(|length| *length != 43) {
            assert!(plain().read(&"A".repeat(length)).is_none(), "{length}");
        }
        assert!(plain().read(&"A".repeat(43)).is_some());
        for length in 0..whole.len() {
            assert!(signed().read(&whole[..length]).is_none(), "{length}");
        }
        assert!(signed().read(&format!("{whole}A")).is_none());
        assert!(signed().read(&format!("{whole}=")).is_none());
    }

    #[test]
    fn other_characters_are_refused() {
        let whole = format!("{PLAIN}{}", MACS[0][0]);
        for at in [0, 20, 42, 43, 64] {
            for other in ["=", "+", "/", " ", "\0", "."] {
                let mut text = whole.clone();
                text.replace_range(at..=at, other);
                assert!(signed().read(&text).is_none(), "{at} {other:?}");
                if at < 43 {
                    assert!(plain().read(&text[..43]).is_none(), "{at} {other:?}");
                }
            }
        }
        // 43 bytes, and yet none of them stands alone.
        assert!(plain().read(&format!("{}é", &PLAIN[..41])).is_none());
        assert!(
            signed()
                .read(&format!("{}é{}", &PLAIN[..42], &MACS[0][0][1..]))
                .is_none()
        );
    }

    #[test]
    fn one_token_has_one_spelling() {
        // 32 bytes leave 2 spare bits in the 43rd character, 16 bytes 4 in the 22nd.
        for bits in 1..4 {
            assert!(
                plain().read(&respelled(PLAIN, 42, bits)).is_none(),
                "{bits}"
            );
        }
        for mac in MACS[0] {
            let whole = format!("{PLAIN}{mac}");
            for bits in 1..4 {
                assert!(
                    signed().read(&respelled(&whole, 42, bits)).is_none(),
                    "{bits}"
                );
            }
            for bits in 1..16 {
                assert!(
                    signed().read(&respelled(&whole, 64, bits)).is_none(),
                    "{bits}"
                );
            }
            assert!(signed().read(&respelled(&whole, 64, 0)).is_some());
        }
    }

    #[test]
    fn every_bit_of_a_signed_token_counts() {
        let whole = format!("{PLAIN}{}", MACS[0][0]);
        for at in 0..whole.len() {
            for bit in 0..6 {
                assert!(
                    signed().read(&respelled(&whole, at, 1 << bit)).is_none(),
                    "{at} {bit}"
                );
            }
        }
    }

    #[test]
    fn an_older_key_is_noticed() {
        let ring = newer().with_older(older()).unwrap();
        let tokens = Tokens::new(Some(&ring), "__Host-id");
        for (epoch, (new, old)) in MACS[0].iter().zip(MACS[1]).enumerate() {
            let written = tokens.write(id(), &secret(), epoch as u64);
            assert_eq!(written, format!("{PLAIN}{new}"), "the newest key signs");
            let old_key = |text: &str| tokens.read(text).unwrap().signature.unwrap().old_key;
            assert!(!old_key(&written) && old_key(&format!("{PLAIN}{old}")));
        }
        let old = format!("{PLAIN}{}", MACS[1][0]);
        assert!(signed().read(&old).is_none(), "the key has left the ring");
    }

    #[test]
    fn a_token_of_one_scope_says_nothing_in_another() {
        let whole = format!("{PLAIN}{}", MACS[0][0]);
        let other = Tokens::new(Some(&newer()), "other");
        assert!(other.read(&whole).is_none());
        assert!(signed().read(&other.write(id(), &secret(), 0)).is_none());
    }

    #[test]
    fn a_record_keeps_a_hash_of_the_secret() {
        let hex: String = secret()
            .hash()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            hex,
            "fc2e2c73072bfa2bda03ff9307472debd3cc8105028a8a9e235e35ba8d2e37f4"
        );
    }

    #[test]
    fn secrets_are_drawn_and_not_shown() {
        let (one, other) = (Secret::random().unwrap(), Secret::random().unwrap());
        assert_ne!(one.0, other.0);
        assert_ne!(random_bytes::<16>().unwrap(), [0; 16]);
        assert_eq!(format!("{:?}", secret()), "Secret(..)");
        assert_eq!(format!("{:?}", signed()), "Tokens { keys: 1 }");
        assert_eq!(format!("{:?}", plain()), "Tokens { keys: 0 }");
        let presented = format!("{:?}", plain().read(PLAIN).unwrap());
        assert_eq!(
            presented,
            "Presented { id: SessionId(503563c1), secret: Secret(..), signature: None }"
        );
    }
}
