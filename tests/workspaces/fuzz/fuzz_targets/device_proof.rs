//! Nothing in the place of what a device has signed makes its routes panic, and they accept only
//! what it has signed for them.
//!
//! The first byte, modulo 2: the browser registers, or proves its device again. The second, modulo
//! 3: the rest is the JWS; or it edits the genuine one, three bytes a step (what to do, where, with
//! which character); or it is a header and a payload, with a line break between them, which the
//! device signs. In these a `$` stands for the key or for the challenge that was issued.
#![no_main]

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::SET_COOKIE;
use http::{HeaderValue, Method, Request, Response};
use libfuzzer_sys::fuzz_target;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use session_core::{DeviceKey, Directive, KeyRing, ManualClock, MemoryStore, Outcome, Timestamp};
use session_http::device::{DeviceBinding, DeviceRoutes};
use session_http::{Error, SessionLayer};
use tower_service::Service;

const PATHS: [&str; 2] = ["/dbsc/register", "/dbsc/refresh"];

struct Site {
    layer: SessionLayer,
    device: SigningKey,
    /// The public key, as a JWK.
    jwk: String,
    /// For registering, and for proving again.
    sides: [Side; 2],
}

struct Side {
    cookie: String,
    /// What the browser knows the binding by.
    name: String,
    challenge: String,
    /// What a browser sends.
    genuine: String,
}

static SITE: LazyLock<Site> = LazyLock::new(|| {
    let layer = SessionLayer::builder(MemoryStore::new())
        .keys(KeyRing::new([1; 32]).unwrap())
        .clock(ManualClock::new(Timestamp::from_millis(1_700_000_000_000)))
        .bound(DeviceBinding::require())
        .build()
        .unwrap();
    let device = SigningKey::from_slice(&[7; 32]).unwrap();
    let point = device.verifying_key().to_sec1_point(false);
    let key = DeviceKey::from_bytes(point.as_bytes()[1..].try_into().unwrap());
    let (x, y) = point.as_bytes()[1..].split_at(32);
    let jwk = format!(
        "{{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"{}\",\"y\":\"{}\"}}",
        part(x),
        part(y)
    );
    let sides = [false, true].map(|bound| {
        let manager = layer.manager();
        run(async {
            let guard = manager.begin(&[]).await.unwrap();
            guard.sign_in("ann").unwrap();
            let directive = guard.finish(Outcome::Success).await.unwrap();
            let Directive::Hold(token) = directive else {
                panic!("a new session has a token")
            };
            let challenge = token.device_challenge().unwrap();
            let cookie = format!("__Host-id={}", token.as_str());
            if !bound {
                let header = format!("{{\"alg\":\"ES256\",\"typ\":\"dbsc+jwt\",\"jwk\":{jwk}}}");
                let payload = format!("{{\"jti\":\"{challenge}\"}}");
                return Side {
                    cookie,
                    name: String::new(),
                    challenge: challenge.to_owned(),
                    genuine: sign(&device, &header, &payload),
                };
            }
            let guard = manager.begin(&[token.as_str()]).await.unwrap();
            let bound = guard.bind_device_now(key, challenge).await.unwrap();
            let challenge = bound.challenge().unwrap();
            let payload = format!("{{\"jti\":\"{challenge}\"}}");
            let header = "{\"alg\":\"ES256\",\"typ\":\"dbsc+jwt\"}";
            Side {
                cookie,
                name: bound.name(),
                challenge,
                genuine: sign(&device, header, &payload),
            }
        })
    });
    Site {
        layer,
        device,
        jwk,
        sides,
    }
});

fuzz_target!(|input: &[u8]| {
    let [side, mode, rest @ ..] = input else {
        return;
    };
    let path = PATHS[usize::from(side % 2)];
    let side = &SITE.sides[usize::from(side % 2)];
    let genuine = &side.genuine;
    let mut meant = None;
    let jws = match mode % 3 {
        0 => rest.to_vec(),
        1 => edited(genuine.as_bytes(), rest),
        _ => {
            let at = rest.iter().position(|byte| *byte == b'\n');
            let (header, payload) = rest.split_at(at.unwrap_or(rest.len()));
            let header = filled_in(header, &SITE.jwk);
            let payload = filled_in(payload.get(1..).unwrap_or_default(), &side.challenge);
            let jws = sign(&SITE.device, &header, &payload).into_bytes();
            meant = Some((header, payload));
            jws
        }
    };
    let is_genuine = [genuine.clone(), format!("\"{genuine}\"")]
        .iter()
        .any(|text| text.as_bytes() == jws);
    let Ok(jws) = HeaderValue::from_bytes(&jws) else {
        return;
    };
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("cookie", &side.cookie)
        .header("sec-secure-session-id", &side.name)
        .header("secure-session-response", jws)
        .body(())
        .unwrap();
    let service = DeviceRoutes.layer(Inner);
    let response = run(SITE.layer.layer(service).call(request)).unwrap();
    let status = response.status().as_u16();
    let proved = response.headers().contains_key(SET_COOKIE);
    assert_eq!(status == 200, proved, "{status}");
    match meant {
        None => assert_eq!(proved, is_genuine, "{status}"),
        // Another parser reads the same in what was accepted.
        Some((header, payload)) if proved => {
            let [header, payload] = [header, payload]
                .map(|json| serde_json::from_slice::<serde_json::Value>(&json).unwrap());
            assert_eq!(header["alg"], "ES256");
            assert_eq!(header["typ"], "dbsc+jwt");
            assert_eq!(header.get("jwk").is_some(), path == PATHS[0]);
            assert_eq!(payload["jti"], side.challenge.as_str());
        }
        Some(_) => {}
    }
    assert!([200, 400, 403].contains(&status), "{status}");
});

/// The application, which no such request reaches.
struct Inner;

impl Service<Request<()>> for Inner {
    type Response = Response<String>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        Box::pin(async { panic!("this is for the routes") })
    }
}

/// The same with a text in the place of each `$`.
fn filled_in(template: &[u8], text: &str) -> Vec<u8> {
    let parts: Vec<_> = template.split(|byte| *byte == b'$').collect();
    parts.join(text.as_bytes())
}

fn part(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn sign(key: &SigningKey, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    let signed = format!("{}.{}", part(header), part(payload));
    let signature: Signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", part(signature.to_bytes()))
}

fn edited(text: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    for edit in edits.chunks_exact(3) {
        let at = usize::from(u16::from(edit[0] / 4) * 256 + u16::from(edit[1])) % (text.len() + 1);
        match edit[0] % 4 {
            0 => text.insert(at, edit[2]),
            1 if at < text.len() => text[at] = edit[2],
            2 if at < text.len() => {
                text.remove(at);
            }
            _ => text.truncate(at),
        }
    }
    text
}

fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}
