//! Seals records and opens them; the crate's front page has the format byte by byte.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, KeyInit, Mac};
use session_core::store::{DerivedKey, Purpose};
use session_core::{KeyRing, Timestamp};
use sha2::Sha256;

const LABEL: &[u8] = b"session-cookie v1\0";
const VERSION: u8 = 1;
/// Version, algorithm, key id, issue time and expiry.
const HEADER: usize = 1 + 1 + 4 + 8 + 8;
/// Where the expiry is in a header.
const EXPIRY: Range<usize> = 14..22;
pub(crate) const NONCE: usize = 24;

/// How a sealed session is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Sealing {
    /// HMAC-SHA-256: the client can read its session, but cannot change it.
    Signed,
    /// XChaCha20-Poly1305: the client can neither read nor change its session.
    Encrypted,
}

impl Sealing {
    const fn number(self) -> u8 {
        match self {
            Self::Signed => 1,
            Self::Encrypted => 2,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Signed),
            2 => Some(Self::Encrypted),
            _ => None,
        }
    }

    const fn purpose(self) -> Purpose {
        match self {
            Self::Signed => Purpose::SealedMac,
            Self::Encrypted => Purpose::SealedAead,
        }
    }

    /// Bytes before the record.
    const fn prefix(self) -> usize {
        match self {
            Self::Signed => HEADER,
            Self::Encrypted => HEADER + NONCE,
        }
    }

    /// Bytes after the record: the MAC or the tag.
    const fn suffix(self) -> usize {
        match self {
            Self::Signed => 32,
            Self::Encrypted => 16,
        }
    }

    /// Bytes that sealing adds to a record.
    pub(crate) const fn overhead(self) -> usize {
        self.prefix() + self.suffix()
    }

    /// Characters of the token that holds a record of this many bytes.
    pub(crate) const fn token_chars(self, record: usize) -> usize {
        ((record + self.overhead()) * 4).div_ceil(3)
    }
}

/// The algorithm and the key id that a token names, neither of them authenticated yet.
pub(crate) fn hint(token: &[u8]) -> Option<(Sealing, [u8; 4])> {
    let mut start = [0; 6];
    URL_SAFE_NO_PAD
        .decode_slice(token.get(..8)?, &mut start)
        .ok()?;
    match start {
        [VERSION, number, id @ ..] => Some((Sealing::from_number(number)?, id)),
        _ => None,
    }
}

/// The keys of one algorithm in one scope.
///
/// Both directions work on one buffer: context, header, nonce if any, record, and MAC or tag. The
/// context, which is not sent, stands in front so that what is authenticated is one slice.
pub(crate) struct Suite {
    sealing: Sealing,
    context: Vec<u8>,
    /// Newest first.
    keys: Vec<SealKey>,
}

struct SealKey {
    id: [u8; 4],
    cipher: Cipher,
}

enum Cipher {
    Hmac(Hmac<Sha256>),
    Aead(XChaCha20Poly1305),
}

/// A token that opened: authentic, with the record not decoded yet.
pub(crate) struct Opened {
    buffer: Vec<u8>,
    payload: Range<usize>,
    expires: Timestamp,
}

impl Suite {
    pub(crate) fn new(sealing: Sealing, keys: &KeyRing, scope: &str) -> Self {
        let purpose = sealing.purpose();
        let mut context = LABEL.to_vec();
        context.extend_from_slice(purpose.label());
        context.push(0);
        context.extend_from_slice(&(scope.len() as u64).to_be_bytes());
        context.extend_from_slice(scope.as_bytes());
        let keys = keys.derive(purpose, scope);
        Self {
            sealing,
            context,
            keys: keys
                .iter()
                .filter_map(|key| SealKey::new(sealing, key))
                .collect(),
        }
    }

    pub(crate) const fn sealing(&self) -> Sealing {
        self.sealing
    }

    /// Seals a record with the newest key; `None` only if it is too long for the cipher. Encryption
    /// needs a nonce that was never used; a signature uses none.
    pub(crate) fn seal(
        &self,
        payload: &[u8],
        issued: Timestamp,
        expires: Timestamp,
        nonce: &[u8; NONCE],
    ) -> Option<String> {
        let key = self.keys.first()?;
        let length = self.context.len() + self.sealing.overhead() + payload.len();
        let mut buffer = Vec::with_capacity(length);
        buffer.extend_from_slice(&self.context);
        buffer.extend_from_slice(&[VERSION, self.sealing.number()]);
        buffer.extend_from_slice(&key.id);
        buffer.extend_from_slice(&issued.as_millis().to_be_bytes());
        buffer.extend_from_slice(&expires.as_millis().to_be_bytes());
        if self.sealing == Sealing::Encrypted {
            buffer.extend_from_slice(nonce);
        }
        let start = buffer.len();
        buffer.extend_from_slice(payload);
        key.cipher.seal(&mut buffer, start)?;
        let mut token = String::with_capacity(self.sealing.token_chars(payload.len()));
        URL_SAFE_NO_PAD.encode_string(buffer.get(self.context.len()..)?, &mut token);
        Some(token)
    }

    /// Opens a token that one of the keys of this id sealed.
    pub(crate) fn open(&self, id: [u8; 4], token: &[u8]) -> Option<Opened> {
        let mut keys = self.keys.iter().filter(|key| key.id == id).peekable();
        keys.peek()?;
        let mut buffer = vec![0; self.context.len() + token.len() * 3 / 4];
        let (context, sealed) = buffer.split_at_mut_checked(self.context.len())?;
        context.copy_from_slice(&self.context);
        let decoded = URL_SAFE_NO_PAD.decode_slice(token, sealed).ok()?;
        if decoded < self.sealing.overhead() {
            return None;
        }
        let expires = u64::from_be_bytes(sealed.get(EXPIRY)?.try_into().ok()?);
        let payload =
            self.context.len() + self.sealing.prefix()..buffer.len() - self.sealing.suffix();
        keys.find_map(|key| key.cipher.open(&mut buffer, &payload))?;
        Some(Opened {
            buffer,
            payload,
            expires: Timestamp::from_millis(expires),
        })
    }
}

impl SealKey {
    /// Both algorithms take any key of 32 bytes, so there is always one.
    fn new(sealing: Sealing, key: &DerivedKey) -> Option<Self> {
        let cipher = match sealing {
            Sealing::Signed => Cipher::Hmac(Hmac::new_from_slice(key.bytes()).ok()?),
            Sealing::Encrypted => Cipher::Aead(KeyInit::new_from_slice(key.bytes()).ok()?),
        };
        Some(Self {
            id: key.id(),
            cipher,
        })
    }
}

impl Cipher {
    /// Protects the record, which is what the buffer has from `start` on, and adds the MAC or tag.
    fn seal(&self, buffer: &mut Vec<u8>, start: usize) -> Option<()> {
        match self {
            Self::Hmac(hmac) => {
                let mac = hmac.clone().chain_update(&*buffer).finalize();
                buffer.extend_from_slice(&mac.into_bytes());
            }
            Self::Aead(aead) => {
                let (associated, record) = buffer.split_at_mut_checked(start)?;
                let nonce = XNonce::from(*associated.last_chunk()?);
                let tag = aead
                    .encrypt_inout_detached(&nonce, associated, record.into())
                    .ok()?;
                buffer.extend_from_slice(&tag);
            }
        }
        Some(())
    }

    /// Authenticates the buffer and makes its payload readable. If that fails, the buffer is as it
    /// was, for the next key to try.
    fn open(&self, buffer: &mut [u8], payload: &Range<usize>) -> Option<()> {
        match self {
            Self::Hmac(hmac) => {
                let (signed, mac) = buffer.split_at_checked(payload.end)?;
                hmac.clone().chain_update(signed).verify_slice(mac).ok()
            }
            Self::Aead(aead) => {
                let (associated, sealed) = buffer.split_at_mut_checked(payload.start)?;
                let (record, tag) = sealed.split_at_mut_checked(payload.len())?;
                let nonce = XNonce::from(*associated.last_chunk()?);
                let tag = Tag::from(*tag.first_chunk()?);
                aead.decrypt_inout_detached(&nonce, associated, record.into(), &tag)
                    .ok()
            }
        }
    }
}

impl Opened {
    pub(crate) const fn expires(&self) -> Timestamp {
        self.expires
    }

    /// The encoded record, sharing the one buffer that was decoded.
    pub(crate) fn into_payload(self) -> Bytes {
        Bytes::from(self.buffer).slice(self.payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEALINGS: [Sealing; 2] = [Sealing::Signed, Sealing::Encrypted];

    fn suite(sealing: Sealing, keys: &KeyRing) -> Suite {
        Suite::new(sealing, keys, "id")
    }

    fn seal(suite: &Suite, payload: &[u8]) -> String {
        suite
            .seal(
                payload,
                Timestamp::from_millis(1),
                Timestamp::from_millis(2),
                &[7; NONCE],
            )
            .unwrap()
    }

    fn open(suite: &Suite, token: &str) -> Option<Opened> {
        let (sealing, id) = hint(token.as_bytes())?;
        assert_eq!(sealing, suite.sealing());
        suite.open(id, token.as_bytes())
    }

    #[test]
    fn a_payload_of_any_length_comes_back() {
        let keys = KeyRing::new([1; 32]).unwrap();
        for suite in SEALINGS.map(|sealing| suite(sealing, &keys)) {
            for length in 0..100 {
                let payload = vec![length as u8; length];
                let token = seal(&suite, &payload);
                assert_eq!(token.len(), suite.sealing.token_chars(length));
                let opened = open(&suite, &token).unwrap();
                assert_eq!(opened.expires(), Timestamp::from_millis(2));
                assert_eq!(opened.into_payload(), payload);
            }
        }
    }

    #[test]
    fn keys_that_share_an_id_are_all_tried() {
        let [one, two] = [[1; 32], [2; 32]].map(|key| KeyRing::new(key).unwrap());
        let ring = KeyRing::from_keys([[1; 32], [2; 32]]).unwrap();
        for sealing in SEALINGS {
            let same_id = |keys: &KeyRing| {
                let mut suite = suite(sealing, keys);
                suite.keys.iter_mut().for_each(|key| key.id = [9; 4]);
                suite
            };
            let token = seal(&same_id(&two), b"sealed with the older key");
            let payload = open(&same_id(&ring), &token).unwrap().into_payload();
            assert_eq!(payload, &b"sealed with the older key"[..]);
            assert!(open(&same_id(&one), &token).is_none());
        }
    }

    #[test]
    fn only_known_versions_and_algorithms_are_looked_into() {
        let start = |bytes: [u8; 6]| hint(URL_SAFE_NO_PAD.encode(bytes).as_bytes());
        assert_eq!(
            start([1, 1, 2, 3, 4, 5]),
            Some((Sealing::Signed, [2, 3, 4, 5]))
        );
        assert_eq!(
            start([1, 2, 2, 3, 4, 5]),
            Some((Sealing::Encrypted, [2, 3, 4, 5]))
        );
        for (version, algorithm) in [(0, 1), (2, 1), (255, 2), (1, 0), (1, 3), (1, 255)] {
            assert_eq!(start([version, algorithm, 2, 3, 4, 5]), None);
        }
        assert_eq!(hint(b"AQECAwQ"), None);
        assert_eq!(hint(b"AQECAw=="), None);
    }

    #[test]
    fn no_two_contexts_are_alike() {
        let keys = KeyRing::new([1; 32]).unwrap();
        let signed = Suite::new(Sealing::Signed, &keys, "a").context;
        assert_eq!(
            signed,
            b"session-cookie v1\0sealed-mac\0\0\0\0\0\0\0\0\x01a"
        );
        let encrypted = Suite::new(Sealing::Encrypted, &keys, "a").context;
        assert_eq!(
            encrypted,
            b"session-cookie v1\0sealed-aead\0\0\0\0\0\0\0\0\x01a"
        );
    }

    #[test]
    fn opening_copies_nothing_out_of_the_buffer() {
        let keys = KeyRing::new([1; 32]).unwrap();
        let suite = suite(Sealing::Signed, &keys);
        let opened = open(&suite, &seal(&suite, b"record")).unwrap();
        let place = opened.buffer.as_ptr_range();
        let payload = opened.into_payload();
        assert!(place.contains(&payload.as_ptr()));
    }
}
