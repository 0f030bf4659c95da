//! The signature: its form, its numbers, and what it is of.

use super::*;

#[test]
fn a_signature_has_64_bytes() {
    let header = bringing(&jwk());
    for (header, registers) in [(header.as_str(), true), (REFRESH, false)] {
        let signature = signature_of(header, PAYLOAD);
        let raw = signature.to_bytes().to_vec();
        for other in [
            signature.to_der().as_bytes().to_vec(),
            raw[..63].to_vec(),
            [raw.as_slice(), &[0]].concat(),
            [&[0], raw.as_slice()].concat(),
            [&[0], &raw[..32], &[0], &raw[32..]].concat(),
            raw[..32].to_vec(),
        ] {
            let jws = with_signature(header, PAYLOAD, other);
            let found = if registers {
                register(jws).err()
            } else {
                renew(jws).err()
            };
            assert_eq!(found, Some(JwsFault::SignatureLength));
        }
    }
}

#[test]
fn the_numbers_of_a_signature_are_in_their_range() {
    let raw = signature_of(REFRESH, PAYLOAD).to_bytes();
    let (r, s) = raw.split_at(32);
    for number in [[0; 32], ORDER, [0xff; 32], PRIME] {
        for other in [
            [&number, s].concat(),
            [r, &number].concat(),
            [number, number].concat(),
        ] {
            let jws = with_signature(REFRESH, PAYLOAD, other);
            assert_eq!(renew(jws), Err(JwsFault::SignatureRange));
        }
    }
    // One less is in the range, and wrong.
    let mut most = ORDER;
    most[31] -= 1;
    let jws = with_signature(REFRESH, PAYLOAD, [most, most].concat());
    assert_eq!(renew(jws), Err(JwsFault::Signature));
}

#[test]
fn both_halves_of_the_range_of_s_are_accepted() {
    let signature = signature_of(REFRESH, PAYLOAD);
    let (r, s) = signature.split_scalars();
    let other = Signature::from_scalars(r.to_bytes(), (-s).to_bytes()).unwrap();
    assert_ne!(signature, other);
    assert_ne!(
        signature.normalize_s() == signature,
        other.normalize_s() == other
    );
    for signature in [signature, other] {
        let jws = with_signature(REFRESH, PAYLOAD, signature.to_bytes());
        assert_eq!(renew(jws), Ok(CHALLENGE.to_owned()));
    }
}

#[test]
fn the_signature_is_by_this_key_and_over_these_parts() {
    let other = SigningKey::from_slice(&[8; 32]).unwrap();
    let message = format!("{}.{}", base64url(REFRESH), base64url(PAYLOAD));
    let by_other: Signature = other.sign(message.as_bytes());
    let jws = with_signature(REFRESH, PAYLOAD, by_other.to_bytes());
    assert_eq!(renew(&jws), Err(JwsFault::Signature));
    assert_eq!(
        refresh(&[jws.as_bytes()], &public_part(&other)),
        Ok(CHALLENGE.to_owned())
    );

    let header = bringing(&jwk());
    let message = format!("{}.{}", base64url(&header), base64url(PAYLOAD));
    let by_other: Signature = other.sign(message.as_bytes());
    let jws = with_signature(&header, PAYLOAD, by_other.to_bytes());
    assert_eq!(register(jws), Err(JwsFault::Signature));

    for (header, payload) in [
        (REFRESH, r#"{"jti":"b-challenge"}"#),
        (REFRESH, r#"{"jti":"a-challenge" }"#),
        (r#"{"typ":"dbsc+jwt","alg":"ES256"}"#, PAYLOAD),
    ] {
        let jws = with_signature(header, payload, signature_of(REFRESH, PAYLOAD).to_bytes());
        assert_eq!(renew(jws), Err(JwsFault::Signature));
    }
    let swapped: Vec<_> = signature_of(REFRESH, PAYLOAD).to_bytes().to_vec();
    let swapped = [&swapped[32..], &swapped[..32]].concat();
    assert_eq!(
        renew(with_signature(REFRESH, PAYLOAD, swapped)),
        Err(JwsFault::Signature)
    );
}
