//! A device: it has a key, and signs with it as a browser does.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::json;

/// A part of a JWS.
pub(crate) fn part(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[derive(Clone)]
pub(crate) struct Device(SigningKey);

impl Device {
    /// Two of different numbers have different keys.
    pub(crate) fn new(number: u8) -> Self {
        Self(SigningKey::from_slice(&[number; 32]).unwrap())
    }

    fn jwk(&self) -> serde_json::Value {
        let point = self.0.verifying_key().to_sec1_point(false);
        let (x, y) = point.as_bytes()[1..].split_at(32);
        json!({"crv": "P-256", "kty": "EC", "x": part(x), "y": part(y)})
    }

    fn sign(&self, header: &serde_json::Value, challenge: &str) -> String {
        let payload = json!({"jti": challenge}).to_string();
        let signed = format!("{}.{}", part(header.to_string()), part(payload));
        let signature: Signature = self.0.sign(signed.as_bytes());
        format!("{signed}.{}", part(signature.to_bytes()))
    }

    /// What registers this device.
    pub(crate) fn registration(&self, challenge: &str) -> String {
        let header = json!({"alg": "ES256", "typ": "dbsc+jwt", "jwk": self.jwk()});
        self.sign(&header, challenge)
    }

    /// What proves it again.
    pub(crate) fn refresh(&self, challenge: &str) -> String {
        self.sign(&json!({"alg": "ES256", "typ": "dbsc+jwt"}), challenge)
    }
}
