//! The header: its algorithm, its type, and what else it has.

use super::*;

#[test]
fn the_header_is_one_object_with_each_name_once() {
    for header in [
        "",
        " ",
        "{",
        "null",
        r#""ES256""#,
        r#"["ES256","dbsc+jwt"]"#,
        r#"{"alg":"ES256","typ":"dbsc+jwt"}{}"#,
        r#"{"alg":"ES256","typ":"dbsc+jwt",}"#,
        r#"{'alg':'ES256','typ':'dbsc+jwt'}"#,
        "\u{feff}{\"alg\":\"ES256\",\"typ\":\"dbsc+jwt\"}",
        r#"{"alg":"ES256","alg":"ES256","typ":"dbsc+jwt"}"#,
        r#"{"alg":"none","alg":"ES256","typ":"dbsc+jwt"}"#,
        r#"{"alg":"ES256","\u0061lg":"none","typ":"dbsc+jwt"}"#,
        r#"{"alg":"ES256","typ":"dbsc+jwt","kid":"1","kid":"2"}"#,
        r#"{"alg":"ES256","typ":"dbsc+jwt","more":{"a":1,"a":2}}"#,
        r#"{"alg":"ES256","typ":"dbsc+jwt","more":[{"a":1,"a":2}]}"#,
        r#"{"alg":"ES256","typ":"dbsc+jwt","more":"\ud800"}"#,
    ] {
        header_fails(header, JwsFault::Header);
        assert_eq!(
            renew(signed(header, PAYLOAD)),
            Err(JwsFault::Header),
            "{header}"
        );
    }
    let key = jwk();
    header_fails(
        &bringing(&format!(r#"{key},"jwk":{key}"#)),
        JwsFault::Header,
    );
    header_fails(
        &bringing(&key.replace('{', r#"{"x":"","#)),
        JwsFault::Header,
    );
    // As deep as a stranger likes, within the length.
    header_fails(&"[".repeat(2000), JwsFault::Header);
    header_fails(&r#"{"a":"#.repeat(500), JwsFault::Header);
    // Bytes that are no UTF-8, in a member that nobody looks at.
    let header = [
        br#"{"alg":"ES256","typ":"dbsc+jwt","more":""#,
        b"\xff".as_slice(),
        b"\"}",
    ]
    .concat();
    let message = format!("{}.{}", base64url(header), base64url(PAYLOAD));
    let signature: Signature = SIGNING_KEY.sign(message.as_bytes());
    let jws = format!("{message}.{}", base64url(signature.to_bytes()));
    assert_eq!(renew(jws), Err(JwsFault::Header));
}

#[test]
fn what_the_header_has_besides_is_ignored() {
    for more in [
        r#""kid":"1""#,
        r#""jku":"https://elsewhere.example/keys""#,
        r#""x5c":["MIIB"],"x5u":"https://elsewhere.example/""#,
        r#""cty":"jwt","b64":true,"n":-1.5e3,"nothing":null,"deep":{"a":[1,{"a":2}]}"#,
    ] {
        let header = REFRESH.replace('}', &format!(",{more}}}"));
        assert_eq!(
            renew(signed(&header, PAYLOAD)),
            Ok(CHALLENGE.to_owned()),
            "{header}"
        );
    }
    let spaced = " {\n\t\"typ\" : \"dbsc\\u002Bjwt\" ,\r \"\\u0061lg\" : \"ES256\" } ";
    assert_eq!(renew(signed(spaced, PAYLOAD)), Ok(CHALLENGE.to_owned()));
}

/// The header of a registration and of a refresh, with one text replaced.
fn headers(from: &str, to: &str) -> [String; 2] {
    [bringing(&jwk()), REFRESH.to_owned()].map(|header| {
        let replaced = header.replacen(from, to, 1);
        assert_ne!(header, replaced);
        replaced
    })
}

#[track_caller]
fn both_fail(from: &str, to: &str, fault: JwsFault) {
    let [registering, refreshing] = headers(from, to);
    assert_eq!(
        register(signed(&registering, PAYLOAD)),
        Err(fault),
        "{registering}"
    );
    assert_eq!(
        renew(signed(&refreshing, PAYLOAD)),
        Err(fault),
        "{refreshing}"
    );
}

#[test]
fn the_algorithm_is_es256() {
    let algorithms = [
        "none", "None", "", "HS256", "RS256", "ES384", "ES512", "ES256K", "EdDSA",
    ];
    for name in algorithms.into_iter().chain(["es256", "ES256 ", "ES25"]) {
        both_fail("ES256", name, JwsFault::Algorithm);
    }
    for value in ["null", "256", "true", r#"["ES256"]"#, r#"{"ES256":1}"#] {
        both_fail("\"ES256\"", value, JwsFault::Algorithm);
    }
    both_fail("\"alg\":\"ES256\",", "", JwsFault::Algorithm);
    both_fail("\"alg\"", "\"Alg\"", JwsFault::Algorithm);
}

/// Nothing is signed, or it is authenticated with what everybody knows.
#[test]
fn a_client_cannot_choose_how_it_is_checked() {
    let [_, unsigned] = headers("ES256", "none");
    assert_eq!(
        renew(with_signature(&unsigned, PAYLOAD, "")),
        Err(JwsFault::Algorithm)
    );
    assert_eq!(
        renew(with_signature(REFRESH, PAYLOAD, "")),
        Err(JwsFault::SignatureLength)
    );
}

#[test]
fn the_type_is_that_of_a_proof() {
    for name in [
        "JWT",
        "jwt",
        "",
        "DBSC+JWT",
        "application/dbsc+jwt",
        "dpop+jwt",
        "dbsc+aik",
    ] {
        both_fail("dbsc+jwt", name, JwsFault::Type);
    }
    for value in ["null", "1", r#"["dbsc+jwt"]"#] {
        both_fail("\"dbsc+jwt\"", value, JwsFault::Type);
    }
    both_fail(",\"typ\":\"dbsc+jwt\"", "", JwsFault::Type);
}

#[test]
fn a_critical_extension_is_refused() {
    for value in [r#"["b64"]"#, r#"["exp"]"#, "[]", "null", r#""b64""#] {
        both_fail(
            "{",
            &format!(r#"{{"crit":{value},"b64":false,"#),
            JwsFault::Critical,
        );
    }
}
