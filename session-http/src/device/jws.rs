//! A challenge that a browser has signed with its key: a JWS (RFC 7515) of the type `dbsc+jwt`, in
//! the header `Secure-Session-Response`.
//!
//! These functions check what can be checked without a session: the form, and the signature. They
//! return the challenge that was signed. Whether the challenge was issued for this session, and is
//! still valid, is for the caller to check, and so is whose key a registration brings.
//!
//! - **One algorithm**, ES256. A JWS that names another one is refused, so a client cannot choose
//!   how it is checked.
//! - **One spelling.** The base64url has neither padding nor spare bits, the JSON has each name
//!   once, and a signature has 64 bytes. If one character is changed, the JWS is refused.
//! - **One key.** A refresh is checked with the key of the registration, and must not bring one.
//!   References to keys elsewhere (`jku`, `x5u`, `kid`) are ignored.
//! - **The payload is parsed last**, once the signature is known to be right. Its other members
//!   are ignored: older drafts of the protocol send `aud`, `iat`, `key` and `sub`.
//!
//! A signature whose `s` is in the upper half of its range is accepted, as in every JWS. So anybody
//! can make a second valid signature out of one, and a JWS must not serve as an identifier.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use p256::Sec1Point;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};

use super::json::{self, Json, Members};

/// A registration of Chromium has about 450 bytes, with a challenge of 43.
const MAX_LENGTH: usize = 4096;
const MAX_CHALLENGE: usize = 1024;

/// What a browser signed to register a key.
pub(super) struct Registration {
    /// The new key, a point of P-256: the 32 bytes of `x`, then those of `y`.
    pub(super) key: [u8; 64],
    /// The challenge that was signed with it.
    pub(super) challenge: String,
}

/// Why the values of the header are no signed challenge. Its text has nothing of what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.reason())]
pub(crate) enum JwsFault {
    NoValue,
    SeveralValues,
    TooLong,
    Form,
    Header,
    Algorithm,
    Type,
    Critical,
    NoKey,
    KeyInRefresh,
    KeyType,
    PrivateKey,
    Coordinates,
    Point,
    SignatureLength,
    SignatureRange,
    Signature,
    Payload,
    NoChallenge,
    ChallengeLength,
}

impl JwsFault {
    /// The reason, for an event.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::NoValue => "there is no signed challenge",
            Self::SeveralValues => "there are several signed challenges",
            Self::TooLong => "the JWS is too long",
            Self::Form => "the JWS is not three parts of base64url",
            Self::Header => "the header is not an object of JSON",
            Self::Algorithm => "the algorithm is not ES256",
            Self::Type => "the type is not dbsc+jwt",
            Self::Critical => "the header has a critical extension",
            Self::NoKey => "a registration brings no key",
            Self::KeyInRefresh => "a refresh brings a key",
            Self::KeyType => "the key is not of P-256",
            Self::PrivateKey => "the key is a private one",
            Self::Coordinates => "the coordinates of the key do not have 32 bytes",
            Self::Point => "the key is not on the curve",
            Self::SignatureLength => "the signature does not have 64 bytes",
            Self::SignatureRange => "a number of the signature is out of range",
            Self::Signature => "the key did not sign this",
            Self::Payload => "the payload is not an object of JSON",
            Self::NoChallenge => "the payload has no challenge",
            Self::ChallengeLength => "the challenge is empty or too long",
        }
    }
}

/// Checks a registration: a challenge that is signed with the key that comes with it.
///
/// `values` are all values of the header `Secure-Session-Response`.
pub(super) fn registration(values: &[&[u8]]) -> Result<Registration, JwsFault> {
    let jws = Jws::parse(values)?;
    let key = match jws.header.get("jwk") {
        Some(Json::Object(jwk)) => coordinates(jwk)?,
        Some(_) => return Err(JwsFault::KeyType),
        None => return Err(JwsFault::NoKey),
    };
    let challenge = jws.challenge(&key)?;
    Ok(Registration { key, challenge })
}

/// Checks a refresh: a challenge that is signed with the key of the registration. Returns the
/// challenge.
///
/// `values` are all values of the header `Secure-Session-Response`.
pub(super) fn refresh(values: &[&[u8]], key: &[u8; 64]) -> Result<String, JwsFault> {
    let jws = Jws::parse(values)?;
    if jws.header.contains_key("jwk") {
        return Err(JwsFault::KeyInRefresh);
    }
    jws.challenge(key)
}

/// A JWS of the right form, whose signature was not checked yet.
struct Jws<'a> {
    header: Members,
    /// The first two parts as they were sent, which is what the signature is of.
    signed: &'a str,
    payload: Vec<u8>,
    signature: [u8; 64],
}

impl<'a> Jws<'a> {
    fn parse(values: &[&'a [u8]]) -> Result<Self, JwsFault> {
        let value = match *values {
            [value] => value,
            [] => return Err(JwsFault::NoValue),
            _ => return Err(JwsFault::SeveralValues),
        };
        if value.len() > MAX_LENGTH {
            return Err(JwsFault::TooLong);
        }
        let jws = str::from_utf8(unquoted(value)).map_err(|_| JwsFault::Form)?;
        let (signed, signature) = jws.rsplit_once('.').ok_or(JwsFault::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(JwsFault::Form)?;
        // A further dot is not of the alphabet.
        let [header, payload, signature] = [decode(header)?, decode(payload)?, decode(signature)?];

        let header = json::object(&header).ok_or(JwsFault::Header)?;
        if !has(&header, "alg", "ES256") {
            return Err(JwsFault::Algorithm);
        }
        if !has(&header, "typ", "dbsc+jwt") {
            return Err(JwsFault::Type);
        }
        // It lists what a recipient must understand, and no extension is understood here.
        if header.contains_key("crit") {
            return Err(JwsFault::Critical);
        }
        let signature = signature
            .try_into()
            .map_err(|_| JwsFault::SignatureLength)?;
        Ok(Self {
            header,
            signed,
            payload,
            signature,
        })
    }

    /// Returns the challenge if this key has signed it.
    fn challenge(&self, key: &[u8; 64]) -> Result<String, JwsFault> {
        // It is checked here that the point is on the curve.
        let key = VerifyingKey::from_sec1_point(&Sec1Point::from_untagged_bytes(key.into()))
            .map_err(|_| JwsFault::Point)?;
        let signature =
            Signature::from_slice(&self.signature).map_err(|_| JwsFault::SignatureRange)?;
        key.verify(self.signed.as_bytes(), &signature)
            .map_err(|_| JwsFault::Signature)?;

        let mut payload = json::object(&self.payload).ok_or(JwsFault::Payload)?;
        let Some(Json::Text(challenge)) = payload.remove("jti") else {
            return Err(JwsFault::NoChallenge);
        };
        if challenge.is_empty() || challenge.len() > MAX_CHALLENGE {
            return Err(JwsFault::ChallengeLength);
        }
        Ok(challenge)
    }
}

/// Removes the quotes of a structured field's string, which the drafts ask for and Chromium 156
/// does not send. Nothing in a JWS has to be escaped.
pub(super) fn unquoted(value: &[u8]) -> &[u8] {
    let inner = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    inner.unwrap_or(value)
}

/// Decodes base64url without padding, in the one spelling that these bytes have.
fn decode(part: &str) -> Result<Vec<u8>, JwsFault> {
    BASE64_URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| JwsFault::Form)
}

fn has(members: &Members, name: &str, text: &str) -> bool {
    matches!(members.get(name), Some(Json::Text(found)) if found == text)
}

/// Takes the coordinates out of a public key (RFC 7517, and RFC 7518 in section 6.2).
fn coordinates(jwk: &Members) -> Result<[u8; 64], JwsFault> {
    if !has(jwk, "kty", "EC") || !has(jwk, "crv", "P-256") {
        return Err(JwsFault::KeyType);
    }
    // A private key that is sent around is not kept in a device.
    if jwk.contains_key("d") {
        return Err(JwsFault::PrivateKey);
    }
    let mut key = [0; 64];
    let (x, y) = key.split_at_mut(32);
    for (name, place) in [("x", x), ("y", y)] {
        let Some(Json::Text(text)) = jwk.get(name) else {
            return Err(JwsFault::Coordinates);
        };
        match decode(text) {
            Ok(bytes) if bytes.len() == place.len() => place.copy_from_slice(&bytes),
            Ok(_) | Err(_) => return Err(JwsFault::Coordinates),
        }
    }
    Ok(key)
}

#[cfg(test)]
mod tests;
