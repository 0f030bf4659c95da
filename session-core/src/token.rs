//! What the client of a store on the server holds.
//!
//! 43 characters of base64url: 16 bytes of id, 16 bytes of secret. With keys, 22 more: a
//! 128-bit MAC. No padding and spare bits zero, so one token has one spelling.
//!
//! The MAC also tells the low two bits of the epoch in which it was issued, so that a
//! token of an earlier epoch can be told from a rotated one of this epoch after its
//! hash is forgotten: HMAC-SHA-256 over id, secret and the upper of those bits gives two
//! halves of 128 bits, and the lower bit picks one. To verify takes two HMACs at most a key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::id::decode_exact;
use crate::{Error, KeyRing, Purpose, SessionId};

const PLAIN_CHARS: usize = 43;
const MAC_CHARS: usize = 22;

pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(bytes)
}

/// The secret half of a token.
#[derive(Clone)]
pub(crate) struct Secret([u8; 16]);

impl Secret {
    pub(crate) fn random() -> Result<Self, Error> {
        random_bytes().map(Self)
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
    /// An older key verified it.
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
            let halves = halves(mac, &plain, (epoch >> 1) as u8 & 1);
            URL_SAFE_NO_PAD.encode_string(halves[(epoch & 1) as usize], &mut text);
        }
        text
    }

    /// Reads a token; `None` if it has not the right form or no key verifies it.
    pub(crate) fn read(&self, text: &str) -> Option<Presented> {
        let text = text.as_bytes();
        let signed = !self.macs.is_empty();
        let length = if signed {
            PLAIN_CHARS + MAC_CHARS
        } else {
            PLAIN_CHARS
        };
        if text.len() != length {
            return None;
        }
        let (head, tail) = text.split_at(PLAIN_CHARS);
        let plain = decode_exact::<32>(head)?;
        let old_key = if signed {
            self.verify(&plain, &decode_exact::<16>(tail)?)?
        } else {
            false
        };
        let (id, secret) = plain.split_at(16);
        Some(Presented {
            id: SessionId::from_bytes(id.try_into().ok()?),
            secret: Secret(secret.try_into().ok()?),
            old_key,
        })
    }

    /// Whether it was an older key that verified; `None` if none did.
    fn verify(&self, plain: &[u8; 32], given: &[u8; 16]) -> Option<bool> {
        for (position, mac) in self.macs.iter().enumerate() {
            for upper in 0..2 {
                let [even, odd] = halves(mac, plain, upper);
                if bool::from(even.ct_eq(given) | odd.ct_eq(given)) {
                    return Some(position > 0);
                }
            }
        }
        None
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("keys", &self.macs.len()).finish()
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
