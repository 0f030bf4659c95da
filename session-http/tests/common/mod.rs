//! What the tests of this crate share.
#![allow(dead_code, unused_imports, reason = "not every test uses everything")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod device;
mod jar;
mod store;

use std::error::Error;
use std::sync::Arc;

use http::header::SET_COOKIE;
use http::{Request, Response, StatusCode};
use session_core::{ManualClock, Session, Timestamp};
use session_http::layer::{OnError, SessionLayerBuilder};
use session_http::{SessionExt, SessionLayer};
use tower::{ServiceExt, service_fn};

pub(crate) use device::{Device, part};
pub(crate) use jar::{Jar, text};
pub(crate) use store::{Call, Calls, Fault, TestStore};

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;
pub(crate) type Answer = Result<Response<String>, BoxError>;

/// What every manual clock shows at first.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
pub(crate) const NAME: &str = "__Host-id";
/// A token by its form, of no session.
pub(crate) const UNKNOWN: &str = "oKGio6SlpqeoqaqrrK2urxAREhMUFRYXGBkaGxwdHh8";

/// A layer with settings, over a store that counts, on a clock that stands still.
pub(crate) fn layer_with(
    set: impl FnOnce(SessionLayerBuilder) -> SessionLayerBuilder,
) -> (SessionLayer, Arc<TestStore>, Arc<ManualClock>) {
    let (store, clock) = (TestStore::new(), ManualClock::new(START));
    let builder = SessionLayer::builder(Arc::clone(&store)).clock(clock.clone());
    (set(builder).build().unwrap(), store, clock)
}

/// A layer with the defaults, and its store.
pub(crate) fn layer() -> (SessionLayer, Arc<TestStore>) {
    let (layer, store, _) = layer_with(|builder| builder);
    (layer, store)
}

/// What the layer makes of one request and one handler.
pub(crate) async fn run<H, F, R, B, E>(
    layer: &SessionLayer<H>,
    request: Request<R>,
    handler: impl FnMut(Request<R>) -> F,
) -> Result<Response<B>, E>
where
    F: Future<Output = Result<Response<B>, E>>,
    H: OnError<B> + Clone,
{
    layer.layer(service_fn(handler)).oneshot(request).await
}

/// A response to a request whose handler is given the session and answers 200.
pub(crate) async fn visit<H: OnError<String> + Clone>(
    layer: &SessionLayer<H>,
    request: Request<()>,
    handler: impl Fn(&Session),
) -> Response<String> {
    let handler = &handler;
    let answer: Answer = run(layer, request, move |request| async move {
        handler(&request.session().await?);
        fine()
    })
    .await;
    answer.unwrap()
}

pub(crate) fn fine() -> Answer {
    Ok(Response::new("fine".to_owned()))
}

pub(crate) fn status(status: u16) -> Answer {
    let mut response = Response::new("not fine".to_owned());
    *response.status_mut() = StatusCode::from_u16(status)?;
    Ok(response)
}

/// A request without any header.
pub(crate) fn plain() -> Request<()> {
    Request::new(())
}

/// A request whose cookie of the default name is this token.
pub(crate) fn holding(token: &str) -> Request<()> {
    with_header("cookie", format!("{NAME}={token}"))
}

pub(crate) fn with_header(name: &str, value: impl AsRef<[u8]>) -> Request<()> {
    Request::builder()
        .header(name, value.as_ref())
        .body(())
        .unwrap()
}

/// Stores a session of `colour` and `blue`; its token.
pub(crate) async fn stored<H: OnError<String> + Clone>(layer: &SessionLayer<H>) -> String {
    let response = visit(layer, plain(), |session| {
        session.insert("colour", "blue").unwrap();
    })
    .await;
    token(&response)
}

/// The colour that the client of this token finds.
pub(crate) async fn colour<H>(layer: &SessionLayer<H>, token: &str) -> Option<String> {
    let session = layer.manager().begin(&[token]).await.unwrap();
    session.get("colour").unwrap()
}

/// All Set-Cookie headers.
pub(crate) fn set_cookies<B>(response: &Response<B>) -> Vec<String> {
    let values = response.headers().get_all(SET_COOKIE).iter();
    values
        .map(|value| value.to_str().unwrap().to_owned())
        .collect()
}

/// The value of the only cookie that is set, which has the default name.
pub(crate) fn token<B>(response: &Response<B>) -> String {
    let cookies = set_cookies(response);
    let [cookie] = &cookies[..] else {
        panic!("expected one cookie, got {}", cookies.len());
    };
    let value = cookie.strip_prefix("__Host-id=").unwrap();
    value.split(';').next().unwrap().to_owned()
}

/// Whether exactly the cookie of the default name is removed.
pub(crate) fn is_removal<B>(response: &Response<B>) -> bool {
    let cookies = set_cookies(response);
    cookies.len() == 1
        && cookies[0].starts_with("__Host-id=;")
        && cookies[0].contains("; Max-Age=0")
}

/// All values of a header.
pub(crate) fn header<B>(response: &Response<B>, name: &str) -> Vec<String> {
    let values = response.headers().get_all(name).iter();
    values
        .map(|value| value.to_str().unwrap().to_owned())
        .collect()
}
