//! No Cookie header makes the layer or the token parser panic, and no token opens a session but the
//! genuine one, in its one spelling.
//!
//! The first byte: signed tokens or not. The second, if even: the rest is the Cookie header. If
//! odd: the rest edits the genuine token, three bytes a step (what to do, where, with which
//! character).
#![no_main]

use std::future::Future;
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderValue, Request, Response};
use libfuzzer_sys::fuzz_target;
use session_core::{KeyRing, MemoryStore, Outcome};
use session_http::{Error, SessionExt, SessionLayer};
use tower_service::Service;

const NAME: &[u8] = b"__Host-id=";

struct Side {
    layer: SessionLayer,
    token: Vec<u8>,
}

static SIDES: LazyLock<[Side; 2]> = LazyLock::new(|| {
    let plain = SessionLayer::new(MemoryStore::new());
    let ring = KeyRing::new([1; 32]).unwrap();
    let signed = SessionLayer::builder(MemoryStore::new())
        .keys(ring)
        .build()
        .unwrap();
    [plain, signed].map(|layer| {
        let manager = layer.manager();
        let directive = run(async {
            let session = manager.begin(&[]).await.unwrap();
            session.insert("who", "the owner").unwrap();
            session.finish(Outcome::Success).await.unwrap()
        });
        let session_core::Directive::Hold(token) = directive else {
            panic!("a new session has a token")
        };
        let token = token.as_str().as_bytes().to_vec();
        Side { layer, token }
    })
});

fuzz_target!(|input: &[u8]| {
    let [side, mode, rest @ ..] = input else {
        return;
    };
    let side = &SIDES[usize::from(side % 2)];
    let header = if mode % 2 == 0 {
        rest.to_vec()
    } else {
        [NAME, &edited(&side.token, rest)].concat()
    };
    let Ok(header) = HeaderValue::from_bytes(&header) else {
        return;
    };
    let there = values(header.as_bytes()).any(|value| value == side.token);
    let first = values(header.as_bytes()).next() == Some(&side.token);
    let mut request = Request::new(());
    request.headers_mut().insert(COOKIE, header);

    let opened = run(side.layer.layer(Inner).call(request)).unwrap();
    assert!(
        there || !opened.body(),
        "only the genuine token opens the session"
    );
    assert!(
        *opened.body() || !first,
        "and where nothing stands before it, it does"
    );
    assert!(
        !opened.headers().contains_key(SET_COOKIE),
        "reading sets no cookie"
    );
});

/// Says whether it got the session that is stored.
struct Inner;

impl Service<Request<()>> for Inner {
    type Response = Response<bool>;
    type Error = Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response<bool>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        Box::pin(async move {
            let session = request.session().await?;
            let owner = session.get::<String>("who")?.as_deref() == Some("the owner");
            assert_eq!(owner, !session.is_new());
            Ok(Response::new(owner))
        })
    }
}

/// The values of our cookie, read in another way than the layer does.
fn values(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    header
        .split(|byte| *byte == b';')
        .filter_map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=')?;
            let (name, value) = (&pair[..at], &pair[at + 1..]);
            (name.trim_ascii() == b"__Host-id").then(|| value.trim_ascii())
        })
        .filter(|value| !value.is_empty())
}

fn edited(token: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut token = token.to_vec();
    for edit in edits.chunks_exact(3) {
        let at = usize::from(edit[1]) % (token.len() + 1);
        match edit[0] % 4 {
            0 => token.insert(at, edit[2]),
            1 if at < token.len() => token[at] = edit[2],
            2 if at < token.len() => {
                token.remove(at);
            }
            _ => token.truncate(at),
        }
    }
    token
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
