//! What is refused before any of it is parsed, or by how it is spelled.

use super::*;

#[test]
fn any_other_framing_is_refused() {
    let jws = A_REFRESH.as_str();
    for value in [
        format!("\"{jws}"),
        format!("{jws}\""),
        format!("\"\"{jws}\"\""),
        format!("'{jws}'"),
        format!(" {jws}"),
        format!("{jws} "),
        format!("\"{jws} \""),
        format!("\"{jws}\";a=1"),
        format!("{jws};a=1"),
        format!("{jws},{jws}"),
        format!("\"{jws}\", \"{jws}\""),
        format!(":{jws}:"),
        format!("{jws}\n"),
        "\"".to_owned(),
        "\"\"".to_owned(),
        String::new(),
    ] {
        assert_eq!(renew(&value), Err(JwsFault::Form), "{value}");
    }
}

#[test]
fn one_value_is_needed_and_no_more() {
    let jws = A_REGISTRATION.as_bytes();
    let two = [jws, jws];
    assert_eq!(registration(&two).err(), Some(JwsFault::SeveralValues));
    assert_eq!(registration(&[]).err(), Some(JwsFault::NoValue));
    let two = [A_REFRESH.as_bytes(), b""];
    assert_eq!(refresh(&two, &STORED), Err(JwsFault::SeveralValues));
    assert_eq!(refresh(&[], &STORED), Err(JwsFault::NoValue));
}

#[test]
fn the_length_is_limited_before_anything_else() {
    let padded = |n: usize| {
        let header = format!(
            r#"{{"alg":"ES256","typ":"dbsc+jwt","pad":"{}"}}"#,
            "p".repeat(n)
        );
        signed(&header, PAYLOAD)
    };
    // Three bytes are four characters.
    let most = (MAX_LENGTH - padded(0).len()) / 4 * 3;
    assert!((MAX_LENGTH - 4..=MAX_LENGTH).contains(&padded(most).len()));
    assert_eq!(renew(padded(most)), Ok(CHALLENGE.to_owned()));
    assert_eq!(renew(padded(most + 4)), Err(JwsFault::TooLong));
    assert_eq!(renew(vec![b'!'; MAX_LENGTH]), Err(JwsFault::Form));
    assert_eq!(renew(vec![b'!'; MAX_LENGTH + 1]), Err(JwsFault::TooLong));
}

#[test]
fn there_are_three_parts() {
    let jws = A_REFRESH.as_str();
    let parts: Vec<_> = jws.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    for value in [
        header.to_owned(),
        format!("{header}.{payload}"),
        format!("{header}{payload}.{signature}"),
        format!("{jws}."),
        format!(".{jws}"),
        format!("{jws}.{signature}"),
        format!("{header}..{payload}.{signature}"),
    ] {
        assert_eq!(renew(&value), Err(JwsFault::Form), "{value}");
    }
    assert_eq!(
        renew(format!(".{payload}.{signature}")),
        Err(JwsFault::Header)
    );
    assert_eq!(
        renew(format!("{header}.{payload}.")),
        Err(JwsFault::SignatureLength)
    );
    assert_eq!(
        renew(format!("{header}..{signature}")),
        Err(JwsFault::Signature)
    );
}

/// In each part, and with the signature over the text as it is sent.
#[test]
fn base64url_has_one_spelling() {
    let resigned = |header: &str, payload: &str| {
        let message = format!("{header}.{payload}");
        let signature: Signature = SIGNING_KEY.sign(message.as_bytes());
        format!("{message}.{}", base64url(signature.to_bytes()))
    };
    // Each leaves spare bits in its last character.
    let header = base64url(REFRESH);
    let payload = base64url(r#"{"jti":"a-challenge "}"#);
    assert_eq!(
        renew(resigned(&header, &payload)),
        Ok("a-challenge ".to_owned())
    );
    let spare = |part: &str| {
        let (rest, last) = part.split_at(part.len() - 1);
        let next = char::from(last.as_bytes()[0] + 1);
        format!("{rest}{next}")
    };
    let signature = base64url(signature_of(REFRESH, r#"{"jti":"a-challenge "}"#).to_bytes());
    for (header, payload) in [
        (spare(&header), payload.clone()),
        (header.clone(), spare(&payload)),
        (format!("{header}="), payload.clone()),
        (header.clone(), format!("{payload}=")),
        (header.clone(), format!("{payload}==")),
        (header.replacen('J', "+", 1), payload.clone()),
        (header.replacen('J', "/", 1), payload.clone()),
        (header.replacen('J', "%4A", 1), payload.clone()),
        (format!("{header}\n"), payload.clone()),
        (format!("{header} "), payload.clone()),
        (header.clone(), format!("{payload}\u{e9}")),
    ] {
        let jws = resigned(&header, &payload);
        assert_eq!(renew(&jws), Err(JwsFault::Form), "{jws}");
    }
    for signature in [
        spare(&signature),
        format!("{signature}="),
        format!("{signature}=="),
    ] {
        let jws = format!("{header}.{payload}.{signature}");
        assert_eq!(renew(&jws), Err(JwsFault::Form), "{jws}");
    }
    assert_eq!(renew(b"\xff.\xff.\xff"), Err(JwsFault::Form));
}
