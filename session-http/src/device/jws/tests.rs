use std::sync::LazyLock;

use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer;

use super::*;

mod any_input;
mod form;
mod header;
mod key;
mod payload;
mod signature;
mod vectors;

const CHALLENGE: &str = "a-challenge";
const PAYLOAD: &str = r#"{"jti":"a-challenge"}"#;
const REFRESH: &str = r#"{"alg":"ES256","typ":"dbsc+jwt"}"#;

static SIGNING_KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::from_slice(&[7; 32]).unwrap());
/// The public key as it is stored.
static STORED: LazyLock<[u8; 64]> = LazyLock::new(|| public_part(&SIGNING_KEY));
static A_REGISTRATION: LazyLock<String> = LazyLock::new(|| signed(&bringing(&jwk()), PAYLOAD));
static A_REFRESH: LazyLock<String> = LazyLock::new(|| signed(REFRESH, PAYLOAD));

fn public_part(key: &SigningKey) -> [u8; 64] {
    key.verifying_key().to_sec1_point(false).as_bytes()[1..]
        .try_into()
        .unwrap()
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A JWK with these coordinates.
fn jwk_of(x: impl AsRef<[u8]>, y: impl AsRef<[u8]>) -> String {
    format!(
        r#"{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}}"#,
        base64url(x),
        base64url(y)
    )
}

fn jwk() -> String {
    jwk_of(&STORED[..32], &STORED[32..])
}

/// The header of a registration that brings this `jwk`.
fn bringing(jwk: &str) -> String {
    format!(r#"{{"alg":"ES256","typ":"dbsc+jwt","jwk":{jwk}}}"#)
}

/// A JWS of these parts with this signature.
fn with_signature(header: &str, payload: &str, signature: impl AsRef<[u8]>) -> String {
    format!(
        "{}.{}.{}",
        base64url(header),
        base64url(payload),
        base64url(signature)
    )
}

fn signature_of(header: &str, payload: &str) -> Signature {
    SIGNING_KEY.sign(format!("{}.{}", base64url(header), base64url(payload)).as_bytes())
}

/// A JWS of these parts with the right signature.
fn signed(header: &str, payload: &str) -> String {
    with_signature(header, payload, signature_of(header, payload).to_bytes())
}

fn register(jws: impl AsRef<[u8]>) -> Result<([u8; 64], String), JwsFault> {
    registration(&[jws.as_ref()]).map(|found| (found.key, found.challenge))
}

fn renew(jws: impl AsRef<[u8]>) -> Result<String, JwsFault> {
    refresh(&[jws.as_ref()], &STORED)
}

/// Checks that a registration with this header and the right signature fails like this.
#[track_caller]
fn header_fails(header: &str, fault: JwsFault) {
    assert_eq!(register(signed(header, PAYLOAD)), Err(fault), "{header}");
}

/// Checks that a registration which brings this key fails like this, although all else is right.
#[track_caller]
fn key_fails(jwk: &str, fault: JwsFault) {
    header_fails(&bringing(jwk), fault);
}

/// Checks that a registration and a refresh with this payload and the right signature fail.
#[track_caller]
fn payload_fails(payload: &str, fault: JwsFault) {
    assert_eq!(
        register(signed(&bringing(&jwk()), payload)),
        Err(fault),
        "{payload}"
    );
    assert_eq!(renew(signed(REFRESH, payload)), Err(fault), "{payload}");
}

/// The prime of the field of P-256.
const PRIME: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
];
/// The number of points of P-256.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

#[test]
fn a_registration_brings_its_key_and_its_challenge() {
    assert_eq!(
        register(&*A_REGISTRATION),
        Ok((*STORED, CHALLENGE.to_owned()))
    );
}

#[test]
fn a_refresh_brings_its_challenge() {
    assert_eq!(renew(&*A_REFRESH), Ok(CHALLENGE.to_owned()));
}

#[test]
fn a_proof_in_quotes_is_the_same_proof() {
    assert_eq!(
        register(format!("\"{}\"", *A_REGISTRATION)),
        register(&*A_REGISTRATION)
    );
    assert_eq!(
        renew(format!("\"{}\"", *A_REFRESH)),
        Ok(CHALLENGE.to_owned())
    );
}

#[test]
fn a_fault_says_why_and_shows_nothing() {
    let fault = renew("secret.secret.secret").unwrap_err();
    assert_eq!(fault.to_string(), "the JWS is not three parts of base64url");
    assert_eq!(fault.to_string(), fault.reason());
    assert_eq!(format!("{fault:?}"), "Form");
    assert!(std::error::Error::source(&fault).is_none());
}
