//! The payload: its form, and its challenge.

use super::*;

#[test]
fn the_payload_is_looked_at_once_its_signature_is_right() {
    let signature = signature_of(REFRESH, PAYLOAD).to_bytes();
    for payload in ["", "null", "{}", r#"{"jti":""}"#] {
        let jws = with_signature(REFRESH, payload, signature);
        assert_eq!(renew(jws), Err(JwsFault::Signature));
    }
}

#[test]
fn the_payload_is_one_object_with_each_name_once() {
    for payload in [
        "",
        "null",
        r#"["a-challenge"]"#,
        r#""a-challenge""#,
        r#"{"jti":"a-challenge"} {}"#,
        r#"{"jti":"a-challenge","jti":"a-challenge"}"#,
        r#"{"jti":"a-challenge","jt\u0069":"b-challenge"}"#,
        r#"{"jti":"a-challenge","iat":1,"iat":2}"#,
        r#"{"jti":"a-challenge","key":{"x":1,"x":2}}"#,
        r#"{"jti":"\ud800"}"#,
    ] {
        payload_fails(payload, JwsFault::Payload);
    }
}

#[test]
fn the_challenge_is_a_text() {
    for payload in [
        "{}",
        r#"{"JTI":"a-challenge"}"#,
        r#"{"jti":null}"#,
        r#"{"jti":1}"#,
        r#"{"jti":1.5}"#,
        r#"{"jti":true}"#,
        r#"{"jti":["a-challenge"]}"#,
        r#"{"jti":{"jti":"a-challenge"}}"#,
    ] {
        payload_fails(payload, JwsFault::NoChallenge);
    }
}

#[test]
fn the_challenge_is_neither_empty_nor_too_long() {
    let payload = |n| format!(r#"{{"jti":"{}"}}"#, "c".repeat(n));
    payload_fails(&payload(0), JwsFault::ChallengeLength);
    payload_fails(&payload(MAX_CHALLENGE + 1), JwsFault::ChallengeLength);
    for n in [1, MAX_CHALLENGE] {
        assert_eq!(renew(signed(REFRESH, &payload(n))), Ok("c".repeat(n)));
    }
}

#[test]
fn what_the_payload_has_besides_is_ignored() {
    let key = jwk();
    let payload = format!(
        r#"{{"aud":"https://h/","iat":1725579055,"jti":"a\u002dchallenge","key":{key},"sub":"s"}}"#
    );
    assert_eq!(renew(signed(REFRESH, &payload)), Ok(CHALLENGE.to_owned()));
    assert_eq!(
        register(signed(&bringing(&key), &payload)),
        register(&*A_REGISTRATION)
    );
    let payload = r#"{"authorization":"code","exp":1,"jti":"a-challenge","nbf":9999999999}"#;
    assert_eq!(renew(signed(REFRESH, payload)), Ok(CHALLENGE.to_owned()));
}
