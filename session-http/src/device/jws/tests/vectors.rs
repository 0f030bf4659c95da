//! Proofs, keys and signatures that others have published, and what is to be said of them.

use super::*;

/// A registration: the proof, the key that it brings (`x` and `y`), and its challenge.
struct Published {
    jws: &'static str,
    x: &'static str,
    y: &'static str,
    challenge: &'static str,
}

/// `spec/vectors/registration.json` of dbsc-toolkit, by the copy in the tests of spring-dbsc.
const TOOLKIT: Published = Published {
    jws: "eyJhbGciOiJFUzI1NiIsInR5cCI6ImRic2Mrand0IiwiandrIjp7Imt0eSI6IkVDIiwiY3J2IjoiUC0yNTYiLCJ4\
        IjoiT2lxc0xvMkZneDhzMXg1RUk5YmpVRGk1UU45bGc5X3BNOFZHWW52ZHVQNCIsInkiOiJMSXRnd2JXZXdtZzByc\
        mF1S0kxSVg0dEUyV3pObm1CMzIyRTRVdmZTUHQ4In19.eyJqdGkiOiJLTjNxd19wUXhSOHRZNXVJOG9QMWFTMmRGM\
        2dINGpLNWxNNm5PN3BROHJTIn0.6YjXpu8GV1Yjw8R5qB42lh_5HPj0USF7RBAmp1gJaKIondZ0rpSIzjVvAbbztF\
        RTGWI0jPPheN2YqDZQ8J_heg",
    x: "OiqsLo2Fgx8s1x5EI9bjUDi5QN9lg9_pM8VGYnvduP4",
    y: "LItgwbWewmg0rrauKI1IX4tE2WzNnmB322E4UvfSPt8",
    challenge: "KN3qw_pQxR8tY5uI8oP1aS2dF3gH4jK5lM6nO7pQ8rS",
};

/// `refresh.json` of the same, by the key of its registration and with the same challenge.
const TOOLKIT_REFRESH: &str = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImRic2Mrand0In0.eyJqdGkiOiJLTjNxd19wUXh\
    SOHRZNXVJOG9QMWFTMmRGM2dINGpLNWxNNm5PN3BROHJTIn0.dZhwcoAWFE9jCoWAInYiaw9z_ZO_nJCfVv8JUGK_5xZy\
    bqIal0uWB8Svdid9A4eymcitK8amsuuhrh7t15lsew";

/// Made by WebCrypto, in the tests of Argon's web sessions (`DeviceProofInteropTests`).
const WEB_CRYPTO: Published = Published {
    jws: "eyJhbGciOiJFUzI1NiIsInR5cCI6ImRic2Mrand0IiwiandrIjp7Imt0eSI6IkVDIiwiY3J2IjoiUC0yNTYiLCJ4\
        IjoiWHlRV0t4c04xanZKRHNuVHdkT0JWUHhQNktseWNkSmNrTUVPX3R3ajNjWSIsInkiOiJ5c1VldE42TXd5cmVxM\
        VN0V01XMXdHMnlpY1ZMdklidXdwM2VDSGRISk40In19.eyJqdGkiOiJ2ZWN0b3ItY2hhbGxlbmdlLTJmOWMifQ.P4\
        nBnKBQZzzzcGObw3hqtjRPLQMEKtvkozTTk6en6JG7HhGOI_seG5dfUnU8hgtbwDL_osZXecejZVSW-GatUA",
    x: "XyQWKxsN1jvJDsnTwdOBVPxP6KlycdJckMEO_twj3cY",
    y: "ysUetN6Mwyreq1StWMW1wG2yicVLvIbuwp3eCHdHJN4",
    challenge: "vector-challenge-2f9c",
};

/// As Chromium writes it, in the tests of php-dbsc (`VALID_INITTIAL_JWT`).
const PHP: Published = Published {
    jws: "eyJhbGciOiJFUzI1NiIsImp3ayI6eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6ImJRczV3SXNDejc2NjZU\
        TDl2bkJJMFRrTktmWkFvWkhQbnZBWXowWFdlUkkiLCJ5IjoiT0pnLVpMWTB5NHc5eW85NjRXLUhxT01LZDFLajZNS\
        UFpSkxJa1E1ZTY0RSJ9LCJ0eXAiOiJkYnNjK2p3dCJ9.eyJqdGkiOiJ2NHJ6YTFtTlRyVk1xbFFLZzBaQnN4QmlHR\
        kFoQmJTSWJYcENvSmlXTWZVIn0.Qaqw0VE8Z4QbW5mQgK1Y7XGQm9hRYmqROaAIOo5Fysqxz6GHpUqDa8MW-9jjBp\
        8n-4aKgZDAphUvR5irRVI-YA",
    x: "bQs5wIsCz7666TL9vnBI0TkNKfZAoZHPnvAYz0XWeRI",
    y: "OJg-ZLY0y4w9yo964W-HqOMKd1Kj6MIAiJLIkQ5e64E",
    challenge: "v4rza1mNTrVMqlQKg0ZBsxBiGFAhBbSIbXpCoJiWMfU",
};

/// As Chromium writes it, in Andrew Lock's "Understanding Device Bound Session Credentials".
const ARTICLE: Published = Published {
    jws: "eyJhbGciOiJFUzI1NiIsImp3ayI6eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6ImxITjNhci13bFZTU0Fk\
        eThPSlhxeGhId0JpdXVyMnJUbG1ieGNnaW05X28iLCJ5IjoiemZfeTc5cDhycGI3enRuUUdaMjV4UFhfTHFfcjdvM\
        UNoOWp2bmU3MHRKNCJ9LCJ0eXAiOiJkYnNjK2p3dCJ9.eyJqdGkiOiI0YTk2ZTJjYWIwNmU3NmUyMzY2YjVlODAyY\
        mZjYmFiZmU4MWU1MmM4MWFiZmNjNzFhZmM5NzAxMDE1N2FlOWJkIn0.MO28tc5E-OwA7IlKTAMe1yCGkRA_b8ljLV\
        pP0gnc-jky7g1dcw2CrYREB0KWoE_ae5ixCjJZc4IEcVwfnP_qKA",
    x: "lHN3ar-wlVSSAdy8OJXqxhHwBiuur2rTlmbxcgim9_o",
    y: "zf_y79p8rpb7ztnQGZ25xPX_Lq_r7o1Ch9jvne70tJ4",
    challenge: "4a96e2cab06e76e2366b5e802bfcbabfe81e52c81abfcc71afc97010157ae9bd",
};

/// As Chromium writes it, in the tests of a server on axum and jsonwebtoken
/// (`it_should_decode_jwt`).
const AXUM: Published = Published {
    jws: "eyJhbGciOiJFUzI1NiIsImp3ayI6eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6ImhISkV5MWtiRE1uOUxo\
        OUJxYURraFBveGhLQzYzbHdyWTZwZkdCSGVXZFEiLCJ5IjoiMnlJaHBMTEFRVUlWWEVXOHR3ZGNrN21LS0tzWkN3Q\
        zlzSGFFZW4zWGtqMCJ9LCJ0eXAiOiJkYnNjK2p3dCJ9.eyJqdGkiOiJZMmhoYkd4bGJtZGxDZz09In0.mKqV-VmLW\
        GBBmrYKPSb7AJeyk4iP9kFN8VlfBc-qT9gNaBQDtUhXUwLgGfeIzagPPWEwcTrgcJ7dJEyVqmIi6w",
    x: "hHJEy1kbDMn9Lh9BqaDkhPoxhKC63lwrY6pfGBHeWdQ",
    y: "2yIhpLLAQUIVXEW8twdck7mKKKsZCwC9sHaEen3Xkj0",
    challenge: "Y2hhbGxlbmdlCg==",
};

/// As Chromium writes it, in a test for IBM Verify Access (`testjwtutils.lua`). The challenge is
/// itself a JWT.
const LONG: Published = Published {
    jws: "eyJhbGciOiJFUzI1NiIsImp3ayI6eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6InNqanFkTTA3RllVN3Rv\
        eFlrcWZDQnpOMkw2eFZsRXpsTU91OTNoWWthc2ciLCJ5IjoicWNXSlEzR18ycTRURHhBMmF0Q1JRZXJIQWRhQ1dvY\
        WNZRmVvMV9MZ0F4dyJ9LCJ0eXAiOiJkYnNjK2p3dCJ9.eyJqdGkiOiJleUpyYVdRaU9pSTJSa2t0TmtKZlV6WlBha\
        zExYjFaM1Z6bEZiV1F3T1dvd05WOXdRa1l3WjI1R1pVZEdhMHRTU1dNNElpd2lZV3huSWpvaVVsTXlOVFlpZlEuZX\
        lKemRXSWlPaUkwTXpneU1qaG1OUzAyT1RRM0xUUXlaRE10T0dReU5TMWlOemhrT0RJeFpEbGtORFlpTENKaGRXUWl\
        PaUpvZEhSd2N6b3ZMMlpwWkc5cGJuUmxjbTl3TG5ObFkzVnlhWFI1Y0c5akxtTnZiUzlrWW5OakwzTjBZWEowYzJW\
        emMybHZiaTlqY21Wa0lpd2laWGh3SWpveE56Y3pNVGs0TURVMUxDSnFkR2tpT2lKT1pGaHpUWGx2Ym5CWVVtMWpkM\
        jUwY3pGaGVDSjkuZFloWjR2ZktUX0ZrUlM5SDBNNGppMmtxQjlTejM2UUZDSnFCNWoxd1QyLXc5UUZjVDdyM2FySm\
        dtOEtlU01sOWxUTk1jVHc2aWdzRVcxeV9INUN2dmhOb0Z6SHd4WDBtYThINVlJSWppZUlER0dGaVpMQkdkcTFzMDV\
        WbEVEWHlfWkRZa1drTi1ReWc1YjVodlBpN2NhTElEVkJIY2ZPSHFnYU40NTdrdVBjUGdHQmJEQlR6b2VwRjFvYkxU\
        dWJsR2NBRERmRF9ldFczaTNIVkRHVXZUUzNMZGRVQXluNm1OWWdGX21jYXprQ2ZZcEo3b1NGa3h4cFJOcW14a1BRS\
        EV0MEhabmM3WHVQZUNzeVZMb3o5MkFmSjZLUWMydUQyWUt6T0V3ZnIzbmxUa2V0U1RGR2QxWmpxUFg4N2xpQTg1eE\
        U5a3phWmZucjlKRGFRWjk4SGFBIn0.4AOtXMb6qjWu6cQiqJ13lV4U2Vfb9n8taxUSWhplaQJTleVhBqZLf5-vDgH\
        wt0UHUG9yh8-OETBeq8jQaLnWJw",
    x: "sjjqdM07FYU7toxYkqfCBzN2L6xVlEzlMOu93hYkasg",
    y: "qcWJQ3G_2q4TDxA2atCRQerHAdaCWoacYFeo1_LgAxw",
    challenge: "eyJraWQiOiI2RkktNkJfUzZPak11b1Z3VzlFbWQwOWowNV9wQkYwZ25GZUdGa0tSSWM4IiwiYWxnIjoiUl\
        MyNTYifQ.eyJzdWIiOiI0MzgyMjhmNS02OTQ3LTQyZDMtOGQyNS1iNzhkODIxZDlkNDYiLCJhdWQiOiJodHRwczov\
        L2ZpZG9pbnRlcm9wLnNlY3VyaXR5cG9jLmNvbS9kYnNjL3N0YXJ0c2Vzc2lvbi9jcmVkIiwiZXhwIjoxNzczMTk4M\
        DU1LCJqdGkiOiJOZFhzTXlvbnBYUm1jd250czFheCJ9.dYhZ4vfKT_FkRS9H0M4ji2kqB9Sz36QFCJqB5j1wT2-w9\
        QFcT7r3arJgm8KeSMl9lTNMcTw6igsEW1y_H5CvvhNoFzHwxX0ma8H5YIIjieIDGGFiZLBGdq1s05VlEDXy_ZDYkW\
        kN-Qyg5b5hvPi7caLIDVBHcfOHqgaN457kuPcPgGBbDBTzoepF1obLTublGcADDfD_etW3i3HVDGUvTS3LddUAyn6\
        mNYgF_mcazkCfYpJ7oSFkxxpRNqmxkPQHEt0HZnc7XuPeCsyVLoz92AfJ6KQc2uD2YKzOEwfr3nlTketSTFGd1Zjq\
        PX87liA85xE9kzaZfnr9JDaQZ98HaA",
};

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    decode(text).unwrap().try_into().unwrap()
}

fn key_of(x: &str, y: &str) -> [u8; 64] {
    [bytes::<32>(x), bytes(y)].concat().try_into().unwrap()
}

/// Checks a signature over a text that is no JWS: what fails is that there is no challenge in it.
fn check_bare(text: &str, signature: &str, key: &[u8; 64]) -> Option<JwsFault> {
    let jws = Jws {
        header: Members::new(),
        signed: text,
        payload: b"{}".to_vec(),
        signature: bytes(signature),
    };
    jws.challenge(key).err()
}

#[test]
fn published_registrations() {
    for published in [TOOLKIT, WEB_CRYPTO, PHP, ARTICLE, AXUM, LONG] {
        let (key, challenge) = register(published.jws).unwrap();
        assert_eq!(key, key_of(published.x, published.y));
        assert_eq!(challenge, published.challenge);
        assert_eq!(
            refresh(&[published.jws.as_bytes()], &key),
            Err(JwsFault::KeyInRefresh),
            "the toolkit asks for this; Argon accepts it",
        );
    }
}

#[test]
fn a_published_refresh() {
    let key = key_of(TOOLKIT.x, TOOLKIT.y);
    assert_eq!(
        refresh(&[TOOLKIT_REFRESH.as_bytes()], &key),
        Ok(TOOLKIT.challenge.to_owned())
    );
    assert_eq!(register(TOOLKIT_REFRESH).err(), Some(JwsFault::NoKey));
    let other = key_of(PHP.x, PHP.y);
    assert_eq!(
        refresh(&[TOOLKIT_REFRESH.as_bytes()], &other),
        Err(JwsFault::Signature)
    );
}

/// The tests of Argon replace the payload of their proof by this one.
#[test]
fn a_published_forgery() {
    let parts: Vec<_> = WEB_CRYPTO.jws.split('.').collect();
    let forged = format!(
        "{}.{}.{}",
        parts[0],
        base64url(r#"{"jti":"forged"}"#),
        parts[2]
    );
    assert_eq!(register(forged).err(), Some(JwsFault::Signature));
}

/// The other vectors of dbsc-toolkit are for its own protocol, where a script signs a text which is
/// no JWS (`bound-registration.json`, `bound-refresh.json`, `per-request-proof.json`), and for DPoP
/// (`dpop-proof.json`), which is a JWS of another type. The signatures are right, and no proof.
#[test]
fn published_signatures_for_other_uses() {
    let key = key_of(TOOLKIT.x, TOOLKIT.y);
    for (text, signature) in [
        (
            "KN3qw_pQxR8tY5uI8oP1aS2dF3gH4jK5lM6nO7pQ8rS",
            "R1ixsTXPd083IdcWdjWyFSW_0UTpkyGKdeVAiXEed8Gx319c8CondczHA_q99fBytpSgosbWykACq9wfGSeIe\
                g",
        ),
        (
            "KN3qw_pQxR8tY5uI8oP1aS2dF3gH4jK5lM6nO7pQ8rS.1700000000000",
            "Z6UAtiMG1Rm-t4uJFRCZQkZvf3h6YWLMTAWL4p40qTSYwyx8ojEjzrg_kFj_Zv53dy-kzFj6VmNWYcDH6k8JL\
                A",
        ),
        (
            "sess_3f9a1c7e8b2d4f60a1b2c3d4e5f60718.POST./api/payment.1700000000000",
            "3Pm3X4NoUzSYeorTjL_lb_ilozYv7DUgef9Dw9oQq8GOq904CIMnBM6aQHl1pV6ZwYX4XQB_KYjlha07ldKVQ\
                Q",
        ),
        (
            "sess_3f9a1c7e8b2d4f60a1b2c3d4e5f60718.POST./api/payment.1700000000000.oiO2DcatvCkR58B\
                ziJsiDfEYHFU0-mvljDpwmBw1TFQ",
            "pPh1fBZeTPBH13ZwZaMCebLLLpAryZwXZvYl_H7cPYJBLhcz9DOffiqZbSIBKcr7UMEC9o-yzOb_SeJKzyjpv\
                Q",
        ),
    ] {
        assert_eq!(
            check_bare(text, signature, &key),
            Some(JwsFault::NoChallenge),
            "{text}"
        );
        let other = format!("{text}.");
        assert_eq!(
            check_bare(&other, signature, &key),
            Some(JwsFault::Signature),
            "{text}"
        );
        let jws = format!("{}.{}.{signature}", base64url(REFRESH), base64url(PAYLOAD));
        assert_eq!(
            refresh(&[jws.as_bytes()], &key),
            Err(JwsFault::Signature),
            "{text}"
        );
    }

    let dpop = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6IlZ6OVU4Y3\
        ZXajN1Uzk5bTB3VVZIcHlfRTNZQzlKX0ZSNWY1OHNBdnRWODgiLCJ5IjoidzZpZ3RmaTBDRDY2akVOdG9hY0t1OTF\
        WUGpqei11d0poMUVCSVFFeVdYQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJkcG9wLWp0aS1wb3AtMDAwMSIsImh\
        0bSI6IkdFVCIsImh0dSI6Imh0dHBzOi8vYXBpLmV4YW1wbGUuY29tL3Jlc291cmNlIiwiaWF0IjoxNzAwMDAwMDAw\
        fQ.OTZidwE0Qw-Gjmy8h9-iXx4EGgyrG43siVi8ZLN_PEqpO11hQhl70ppt-9zO7b61-wrn8xun40ZRrjFSqUNzGw";
    assert_eq!(register(dpop).err(), Some(JwsFault::Type));
    let key = key_of(
        "Vz9U8cvWj3uS99m0wUVHpy_E3YC9J_FR5f58sAvtV88",
        "w6igtfi0CD66jENtoacKu91VPjjz-uwJh1EBIQEyWXA",
    );
    let (text, signature) = dpop.rsplit_once('.').unwrap();
    assert_eq!(
        check_bare(text, signature, &key),
        Some(JwsFault::NoChallenge)
    );
}

/// In the tests of altshift's `gcp_utils`, by an older draft: the key is in the payload, and the
/// signature is DER. With the key at hand and the signature in its raw form, it is a refresh.
#[test]
fn a_published_proof_of_an_older_draft() {
    let jws = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImRic2Mrand0In0.eyJhdWQiOiJodHRwczovL2V4YW1wbGUuY29tL2F\
        waS9zZXNzaW9uL2Ric2MvcmVnaXN0ZXIiLCJqdGkiOiJjdiIsImlhdCI6MTcyNTU3OTA1NSwia2V5Ijp7Imt0eSI6\
        IkVDIiwiY3J2IjoiUC0yNTYiLCJ4IjoiSy1aSHM3cWo1RmtDZGhIeno4NFFzQ2FkOFFwVnNJdzVIRWdhQkZoeEN3T\
        SIsInkiOiJwanUtWFVCdDN3TXhzRlBRdW9EVHNWcjU4SHREc2ZnOTVkLXVqYXFMRmtNIn0sImF1dGhvcml6YXRpb2\
        4iOiJhYyJ9.MEYCIQDZAGTcudcWFHZiUkr8jgF0cbBKT-C5H8jUSwh5fplCrwIhAMRR375Bm0DjmCt9P_85Q79ovt\
        v7o97cvc1NOQaNWdrA";
    let key = key_of(
        "K-ZHs7qj5FkCdhHzz84QsCad8QpVsIw5HEgaBFhxCwM",
        "pju-XUBt3wMxsFPQuoDTsVr58HtDsfg95d-ujaqLFkM",
    );
    assert_eq!(register(jws).err(), Some(JwsFault::SignatureLength));
    assert_eq!(
        refresh(&[jws.as_bytes()], &key),
        Err(JwsFault::SignatureLength)
    );

    let (text, der) = jws.rsplit_once('.').unwrap();
    let raw = Signature::from_der(&decode(der).unwrap())
        .unwrap()
        .to_bytes();
    let jws = format!("{text}.{}", base64url(raw));
    assert_eq!(register(&jws).err(), Some(JwsFault::NoKey));
    assert_eq!(refresh(&[jws.as_bytes()], &key), Ok("cv".to_owned()));
}

/// From Chromium's `session_binding_utils_unittest.cc`: a signature as a key store returns it, and
/// as Chromium sends it, after a header that is none.
#[test]
fn the_form_of_chromiums_signatures() {
    let der = "3045022074a06f6b2b0e820e033b6e98fc899cf330b556d32989b582335f9d97fb656490022100bcb5e\
        e42e25a87ae2118da7e686530bee5693dc55fd562453e8d0b051a33798d";
    let der: Vec<_> = (0..der.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&der[at..at + 2], 16).unwrap())
        .collect();
    let raw =
        "dKBvaysOgg4DO26Y_Imc8zC1VtMpibWCM1-dl_tlZJC8te5C4lqHriEY2n5oZTC-5Wk9xV_VYkU-jQsFGjN5jQ";
    assert_eq!(
        base64url(Signature::from_der(&der).unwrap().to_bytes()),
        raw
    );
    assert_eq!(renew(format!("abc.efg.{raw}")), Err(JwsFault::Header));
}

/// RFC 7515, appendices A.1 (HS256), A.3 (ES256, without a type) and A.5 (none).
#[test]
fn the_examples_of_rfc_7515() {
    let payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19\
        yb290Ijp0cnVlfQ";
    let hs256 = format!(
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{payload}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWF\
            OEjXk"
    );
    assert_eq!(renew(hs256), Err(JwsFault::Algorithm));
    assert_eq!(
        renew(format!("eyJhbGciOiJub25lIn0.{payload}.")),
        Err(JwsFault::Algorithm)
    );

    let key = key_of(
        "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    );
    let text = format!("eyJhbGciOiJFUzI1NiJ9.{payload}");
    let signature =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let jws = format!("{text}.{signature}");
    assert_eq!(refresh(&[jws.as_bytes()], &key), Err(JwsFault::Type));
    assert_eq!(
        check_bare(&text, signature, &key),
        Some(JwsFault::NoChallenge)
    );
    assert_eq!(
        check_bare(&text[1..], signature, &key),
        Some(JwsFault::Signature)
    );
}

/// RFC 7517, appendices A.1 and A.2: a public and a private key of P-256, which did not sign this.
#[test]
fn the_keys_of_rfc_7517() {
    let x = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
    let y = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";
    let public = format!(r#""kty":"EC","crv":"P-256","x":"{x}","y":"{y}""#);
    key_fails(
        &format!(r#"{{{public},"use":"enc","kid":"1"}}"#),
        JwsFault::Signature,
    );
    let d = "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE";
    let private = format!(r#"{{{public},"d":"{d}","use":"enc","kid":"1"}}"#);
    key_fails(&private, JwsFault::PrivateKey);
}
