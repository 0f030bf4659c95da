//! The key of a registration.

use super::*;

#[test]
fn a_key_comes_with_a_registration_and_only_with_it() {
    header_fails(REFRESH, JwsFault::NoKey);
    assert_eq!(renew(&*A_REGISTRATION), Err(JwsFault::KeyInRefresh));
    for value in ["null", "{}", "[]", r#""""#] {
        let refreshing = signed(&bringing(value), PAYLOAD);
        assert_eq!(renew(&refreshing), Err(JwsFault::KeyInRefresh), "{value}");
    }
    // A key in the payload, as in an older draft, is no key.
    let payload = format!(r#"{{"jti":"a-challenge","key":{}}}"#, jwk());
    assert_eq!(register(signed(REFRESH, &payload)), Err(JwsFault::NoKey));
}

#[test]
fn the_key_is_of_p256() {
    for (from, to) in [
        ("\"EC\"", "\"ec\""),
        ("\"EC\"", "\"OKP\""),
        ("\"EC\"", "\"RSA\""),
        ("\"EC\"", "null"),
        ("\"kty\":\"EC\",", ""),
        ("P-256", "p-256"),
        ("P-256", "P-384"),
        ("P-256", "secp256k1"),
        ("P-256", "P-256K"),
        ("\"P-256\"", "256"),
        ("\"crv\":\"P-256\",", ""),
    ] {
        key_fails(&jwk().replacen(from, to, 1), JwsFault::KeyType);
    }
    for other in ["null", "[]", "1", "\"key\"", "{}"] {
        key_fails(other, JwsFault::KeyType);
    }
    key_fails(r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#, JwsFault::KeyType);
    key_fails(r#"{"kty":"oct","k":"AQAB"}"#, JwsFault::KeyType);
}

#[test]
fn what_the_key_has_besides_is_ignored() {
    let key = jwk().replacen(
        '{',
        r#"{"use":"sig","key_ops":["verify"],"ext":true,"kid":"1","#,
        1,
    );
    assert_eq!(
        register(signed(&bringing(&key), PAYLOAD)),
        register(&*A_REGISTRATION)
    );
}

#[test]
fn a_private_key_is_refused() {
    for d in [
        format!("\"{}\"", base64url([7; 32])),
        "null".to_owned(),
        "\"\"".to_owned(),
    ] {
        key_fails(
            &jwk().replacen('{', &format!("{{\"d\":{d},"), 1),
            JwsFault::PrivateKey,
        );
    }
}

#[test]
fn a_coordinate_has_32_bytes() {
    let key = *STORED;
    let (x, y) = key.split_at(32);
    let longer = |part: &[u8]| [&[0], part].concat();
    key_fails(&jwk_of(&x[..31], y), JwsFault::Coordinates);
    key_fails(&jwk_of(x, &y[..31]), JwsFault::Coordinates);
    key_fails(&jwk_of(longer(x), y), JwsFault::Coordinates);
    key_fails(&jwk_of(x, longer(y)), JwsFault::Coordinates);
    key_fails(&jwk_of(key, ""), JwsFault::Coordinates);
    key_fails(&jwk_of("", key), JwsFault::Coordinates);
    key_fails(
        &jwk_of([[4].as_slice(), &key].concat(), y),
        JwsFault::Coordinates,
    );
    for name in ["x", "y"] {
        let from = format!("\"{name}\":\"");
        key_fails(&jwk().replacen(&from, "\"z\":\"", 1), JwsFault::Coordinates);
        for other in ["=", "+", " "] {
            let key = jwk().replacen(&from, &format!("{from}{other}"), 1);
            key_fails(&key, JwsFault::Coordinates);
        }
        let number = jwk().replacen(&from, &format!("\"{name}\":1,\"z\":\""), 1);
        key_fails(&number, JwsFault::Coordinates);
    }
    // The last of 43 characters has two spare bits.
    let text = base64url(x);
    let (rest, last) = text.split_at(42);
    let spare = format!("{rest}{}", char::from(last.as_bytes()[0] + 1));
    key_fails(&jwk().replace(&text, &spare), JwsFault::Coordinates);
    key_fails(
        &jwk().replace(&text, &format!("{text}=")),
        JwsFault::Coordinates,
    );
}

/// With `x` = 0, this is the `y` of a point: a square root of the curve's `b`.
const ROOT_OF_B: [u8; 32] = [
    0x66, 0x48, 0x5c, 0x78, 0x0e, 0x2f, 0x83, 0xd7, 0x24, 0x33, 0xbd, 0x5d, 0x84, 0xa0, 0x6b, 0xb6,
    0x54, 0x1c, 0x2a, 0xf3, 0x1d, 0xae, 0x87, 0x17, 0x28, 0xbf, 0x85, 0x6a, 0x17, 0x4f, 0x93, 0xf4,
];

#[test]
fn the_key_is_a_point_of_the_curve() {
    let key = *STORED;
    let (x, y) = key.split_at(32);
    let mut beside = y.to_vec();
    beside[31] ^= 1;
    key_fails(&jwk_of(x, beside), JwsFault::Point);
    key_fails(&jwk_of(y, x), JwsFault::Point);
    key_fails(&jwk_of([0; 32], [0; 32]), JwsFault::Point);
    key_fails(&jwk_of([0xff; 32], [0xff; 32]), JwsFault::Point);
    // A point of the curve, and the same one with a coordinate that is not reduced.
    key_fails(&jwk_of([0; 32], ROOT_OF_B), JwsFault::Signature);
    key_fails(&jwk_of(PRIME, ROOT_OF_B), JwsFault::Point);
    // A stored key that was damaged.
    let damaged = [key[..63].to_vec(), vec![key[63] ^ 1]]
        .concat()
        .try_into()
        .unwrap();
    assert_eq!(
        refresh(&[A_REFRESH.as_bytes()], &damaged),
        Err(JwsFault::Point)
    );
    assert_eq!(
        refresh(&[A_REFRESH.as_bytes()], &[0; 64]),
        Err(JwsFault::Point)
    );
}
