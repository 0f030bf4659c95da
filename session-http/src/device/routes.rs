//! Answers to a browser that registers its device, or proves it again.

use std::future::Future;
use std::sync::Arc;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use session_core::{BoundSession, DeviceKey, SessionError, SessionId};
use smallvec::SmallVec;

use crate::device::jws;
use crate::error::Error;
use crate::request::{Lookup, Slot};
use crate::transport::{Devices, sensitive};

const SIGNED: HeaderName = HeaderName::from_static("secure-session-response");
const CHALLENGE: HeaderName = HeaderName::from_static("secure-session-challenge");
const NAME: HeaderName = HeaderName::from_static("sec-secure-session-id");

const OLD_CHALLENGE: &str = "the challenge is not its own or too old";

/// Answers a browser that registers its device: `POST /dbsc/register`.
///
/// The browser presents its session, a new public key, and a challenge that is signed with it. If
/// all of this is in order, the session is bound and saved at once, and the response gives the
/// first proof cookie. Otherwise the session stays as it is, and the response is empty:
///
/// - 400: the signed text is malformed, or the signature is wrong.
/// - 403: there is no session, the challenge is not its own or too old, it is bound already, or
///   sessions are not bound here.
/// - 405: the method is not `POST`.
///
/// An event says what is wrong with a signature, a challenge or a session
/// ([`Refusal::SignedChallenge`](session_core::Refusal::SignedChallenge)).
///
/// Call it from a route inside of the [`SessionLayer`](crate::SessionLayer), with the request as it
/// arrived. The body is not read. In axum:
///
/// ```
/// use axum::Router;
/// use axum::extract::Request;
/// use axum::routing::post;
/// use session_http::device::{DeviceBinding, refresh, register};
/// use session_http::{KeyRing, MemoryStore, SessionLayer};
///
/// let sessions = SessionLayer::builder(MemoryStore::new())
///     .keys(KeyRing::generate().unwrap())
///     .bound(DeviceBinding::require())
///     .build()
///     .unwrap();
/// let app: Router = Router::new()
///     .route("/dbsc/register", post(async |request: Request| register(&request).await))
///     .route("/dbsc/refresh", post(async |request: Request| refresh(&request).await))
///     .layer(sessions);
/// # let _ = app;
/// ```
///
/// # Errors
///
/// [`Error::MissingLayer`] if the request went through no layer, and [`Error::Session`] if the
/// session could not be loaded or saved. Answer with a 5xx, which a browser takes for a passing
/// fault.
pub fn register<B>(
    request: &Request<B>,
) -> impl Future<Output = Result<Response<String>, Error>> + Send + use<B> {
    let asked = Asked::of(request);
    async move {
        let asked = match asked? {
            Asked::Binding(asked) => asked,
            Asked::NotBound => return Ok(empty(StatusCode::FORBIDDEN)),
            Asked::WrongMethod => return Ok(wrong_method()),
        };
        let (values, devices) = (asked.signed(), asked.devices()?);
        let registration = match jws::registration(&values) {
            Ok(registration) => registration,
            Err(fault) => return Ok(asked.refused(None, fault.reason())),
        };
        let session = Lookup::Found(Arc::clone(&asked.slot)).session().await?;
        let key = DeviceKey::from_bytes(registration.key);
        match session.bind_device_now(key, &registration.challenge).await {
            Ok(bound) => good(devices, &bound),
            Err(SessionError::NotBound(_) | SessionError::Gone) => Ok(empty(StatusCode::FORBIDDEN)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Answers a browser that needs the next proof cookie: `POST /dbsc/refresh`.
///
/// It costs one load of the session and no write, and does not count as activity.
///
/// - 200: the device has signed a challenge. The response gives a proof cookie, and the challenge
///   for the next time.
/// - 403 with a challenge: the browser has signed none yet, or one that is too old. It tries again.
/// - 400: the signed text is malformed, or the signature is wrong.
/// - 401: there is no such session, it is not bound, or not by this registration. If its token was
///   rotated away, the answer is a 5xx, because the browser may have a newer one.
/// - 405: the method is not `POST`.
///
/// After a redirect, and after every 4xx but a 403 with a challenge, Chromium discards its key for
/// good, and the session cannot be proved any more. After a 5xx it tries again.
///
/// If a bound session refuses what its device has signed, an event says why. A 401 leaves none: it
/// is how a browser learns that its session has ended.
///
/// Call it as [`register`], which has an example.
///
/// # Errors
///
/// Those of `register`.
pub fn refresh<B>(
    request: &Request<B>,
) -> impl Future<Output = Result<Response<String>, Error>> + Send + use<B> {
    let asked = Asked::of(request);
    async move {
        let asked = match asked? {
            Asked::Binding(asked) => asked,
            Asked::NotBound => return Ok(empty(StatusCode::UNAUTHORIZED)),
            Asked::WrongMethod => return Ok(wrong_method()),
        };
        let (values, devices) = (asked.signed(), asked.devices()?);
        // A browser learns in this way that its session has ended, so it is no event.
        let Some(bound) = asked.slot.bound_session(&asked.name).await? else {
            return Ok(empty(StatusCode::UNAUTHORIZED));
        };
        if values.is_empty() {
            return challenge(&bound);
        }
        match jws::refresh(&values, bound.key().as_bytes()) {
            Ok(signed) if bound.accepts_challenge(&signed) => good(devices, &bound),
            Ok(_) => {
                asked.refuse(Some(bound.id()), OLD_CHALLENGE);
                challenge(&bound)
            }
            Err(fault) => Ok(asked.refused(Some(bound.id()), fault.reason())),
        }
    }
}

/// What a browser has asked for, without the request: that need not be `Sync`.
enum Asked {
    Binding(AskedOf),
    /// The layer does not bind sessions.
    NotBound,
    WrongMethod,
}

/// What it has asked a layer for that binds sessions.
struct AskedOf {
    slot: Arc<Slot>,
    /// The values of the header that holds what the device has signed.
    signed: SmallVec<[HeaderValue; 1]>,
    /// What the browser knows the binding by.
    name: String,
}

impl Asked {
    fn of<B>(request: &Request<B>) -> Result<Self, Error> {
        let Some(slot) = Slot::find_binding(request.extensions()) else {
            return match Slot::is_there(request.extensions()) {
                true => Ok(Self::NotBound),
                false => Err(Error::MissingLayer),
            };
        };
        if request.method() != Method::POST {
            return Ok(Self::WrongMethod);
        }
        let headers = request.headers();
        Ok(Self::Binding(AskedOf {
            slot,
            signed: headers.get_all(SIGNED).iter().cloned().collect(),
            name: headers.get(NAME).and_then(text).unwrap_or_default(),
        }))
    }
}

impl AskedOf {
    fn signed(&self) -> SmallVec<[&[u8]; 1]> {
        self.signed.iter().map(HeaderValue::as_bytes).collect()
    }

    fn devices(&self) -> Result<&Devices, Error> {
        let devices = self.slot.layer().devices.as_ref();
        devices.ok_or(Error::MissingLayer)
    }

    fn refuse(&self, session: Option<SessionId>, reason: &'static str) {
        self.slot
            .layer()
            .manager
            .report_refused_challenge(session, reason);
    }

    /// The response to what is not in order, whatever the session is.
    fn refused(&self, session: Option<SessionId>, reason: &'static str) -> Response<String> {
        self.refuse(session, reason);
        empty(StatusCode::BAD_REQUEST)
    }
}

/// The response to a device that has proved its key.
fn good(devices: &Devices, bound: &BoundSession) -> Result<Response<String>, Error> {
    let mut response = empty(StatusCode::OK);
    *response.body_mut() = description(devices, &bound.name());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(cookie) = devices.set_cookie(&bound.proof()) {
        headers.insert(SET_COOKIE, cookie);
    }
    add_challenge(bound, headers)?;
    Ok(response)
}

/// What the browser is told of the binding. Its scope is the origin of this request, as the browser
/// sees it, because none is given. Nothing needs to be escaped: the name has no quotes, and paths
/// and hosts with quotes are refused when the layer is built.
fn description(devices: &Devices, name: &str) -> String {
    let (path, cookie) = (&devices.routing().refresh, devices.cookie_name());
    let attributes = devices.attributes();
    let initiators = &devices.routing().initiators;
    let initiators = match initiators.is_empty() {
        true => String::new(),
        false => format!(
            "\"allowed_refresh_initiators\":[\"{}\"],",
            initiators.join("\",\"")
        ),
    };
    format!(
        "{{\"session_identifier\":\"{name}\",\"refresh_url\":\"{path}\",{initiators}\
         \"scope\":{{\"include_site\":false,\"scope_specification\":[]}},\
         \"credentials\":[{{\"type\":\"cookie\",\"name\":\"{cookie}\",\
         \"attributes\":\"{attributes}\"}}]}}"
    )
}

/// Asks the browser to sign a challenge.
fn challenge(bound: &BoundSession) -> Result<Response<String>, Error> {
    let mut response = empty(StatusCode::FORBIDDEN);
    add_challenge(bound, response.headers_mut())?;
    Ok(response)
}

fn add_challenge(bound: &BoundSession, headers: &mut HeaderMap) -> Result<(), Error> {
    let text = format!("\"{}\";id=\"{}\"", bound.challenge()?, bound.name());
    if let Some(value) = sensitive(text) {
        headers.insert(CHALLENGE, value);
    }
    Ok(())
}

fn wrong_method() -> Response<String> {
    let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
    let post = HeaderValue::from_static("POST");
    response.headers_mut().insert(ALLOW, post);
    response
}

/// No cache keeps it.
fn empty(status: StatusCode) -> Response<String> {
    let mut response = Response::new(String::new());
    *response.status_mut() = status;
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}

/// The text of a header, in quotes or not.
fn text(value: &HeaderValue) -> Option<String> {
    let text = str::from_utf8(jws::unquoted(value.as_bytes())).ok()?;
    Some(text.to_owned())
}
