//! No cache keeps a response that carries a token (S35, RFC 9111, RFC 9213).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::*;
use http::{HeaderName, HeaderValue, Request, Response};
use session_core::Session;
use session_http::{CookieConfig, HeaderConfig, SessionExt, SessionLayer};
use tower::{ServiceExt, service_fn};

/// Headers that some shared cache obeys rather than `Cache-Control`.
const OBEYED: [&str; 12] = [
    "CDN-Cache-Control",
    "Cloudflare-CDN-Cache-Control",
    "Vercel-CDN-Cache-Control",
    "Netlify-CDN-Cache-Control",
    "Akamai-Cache-Control",
    "Example-Cache-Control",
    "X-LiteSpeed-Cache-Control",
    "Surrogate-Control",
    "Edge-Control",
    "X-Accel-Expires",
    "Expires",
    "Cache-Control",
];

/// A handler that lets everybody store its response.
fn cached(name: &str) -> Response<String> {
    let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
    let mut response = fine().unwrap();
    for value in [
        "max-age=600",
        "public, max-age=60",
        "Fri, 01 Jan 2100 00:00:00 GMT",
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().append(name.clone(), value);
    }
    response
        .headers_mut()
        .insert("cache-tag", HeaderValue::from_static("page"));
    response
}

async fn answer(
    layer: &SessionLayer,
    request: Request<()>,
    name: &str,
    act: impl Fn(&Session),
) -> Response<String> {
    let act = &act;
    let answer: Answer = run(layer, request, move |request| async move {
        act(&request.session().await?);
        Ok(cached(name))
    })
    .await;
    answer.unwrap()
}

#[track_caller]
fn assert_not_stored(response: &Response<String>, name: &str) {
    assert_eq!(header(response, "cache-control"), ["no-store"], "{name}");
    let own = name.eq_ignore_ascii_case("cache-control");
    assert!(own || header(response, name).is_empty(), "{name} stays");
    assert_eq!(
        header(response, "cache-tag"),
        ["page"],
        "{name}: what no cache obeys stays"
    );
}

#[tokio::test]
async fn no_header_that_a_shared_cache_obeys_survives_beside_a_token() {
    let header_layer = || layer_with(|builder| builder.header(HeaderConfig::default())).0;
    for (layer, carrier) in [
        (layer().0, "set-cookie"),
        (header_layer(), "x-session-token"),
    ] {
        for name in OBEYED {
            let response = answer(&layer, plain(), name, |session| {
                session.insert("colour", "blue").unwrap();
            })
            .await;
            assert_not_stored(&response, name);
            let told = header(&response, carrier).remove(0);
            let request = match carrier {
                "set-cookie" => with_header("cookie", told.split(';').next().unwrap()),
                _ => with_header(carrier, told),
            };
            // One that says to forget it, too.
            let response =
                answer(&layer, request, name, |session| session.destroy().unwrap()).await;
            assert_eq!(header(&response, carrier).len(), 1);
            assert_not_stored(&response, name);
        }
    }
}

/// A response that carries no token is the application's: `Vary` tells caches what it depends on.
#[tokio::test]
async fn without_a_token_the_application_decides() {
    let (layer, _) = layer();
    let token = stored(&layer).await;
    for name in OBEYED {
        let response = answer(&layer, holding(&token), name, |session| {
            assert!(session.contains_key("colour"));
        })
        .await;
        assert_eq!(header(&response, name).len(), 3);
        assert_eq!(header(&response, "vary"), ["Cookie"]);
    }
}

/// The response of a layer further out takes the place of what was told in another.
#[tokio::test]
async fn nor_in_a_response_that_takes_the_place_of_another() {
    let (outer_store, inner_store) = (TestStore::new(), TestStore::new());
    let named = |name: &str, store| {
        SessionLayer::builder(store)
            .cookie(CookieConfig::new(name))
            .build()
            .unwrap()
    };
    let outer = named("outer", outer_store.clone())
        .on_error(|_: &session_http::Error| cached("CDN-Cache-Control"));
    let service = outer.layer(named("inner", inner_store).layer(service_fn(
        async |request: Request<()>| -> Answer {
            for name in ["outer", "inner"] {
                request.session_named(name).await?.insert("colour", "red")?;
            }
            fine()
        },
    )));
    outer_store.fail(Call::Create, Fault::Down);
    let response = service.oneshot(plain()).await.unwrap();
    assert_eq!(set_cookies(&response).len(), 1);
    assert_not_stored(&response, "CDN-Cache-Control");
}
