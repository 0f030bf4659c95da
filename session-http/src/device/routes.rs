//! What a browser is answered that registers its device, or proves it again.

use std::future::Future;
use std::sync::Arc;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ORIGIN, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use session_core::{BoundSession, DeviceKey, SessionError, SessionId};
use smallvec::SmallVec;

use crate::device::jws;
use crate::error::Error;
use crate::request::{Lookup, Slot};
use crate::transport::{Devices, sensitive};

const PROOF: HeaderName = HeaderName::from_static("secure-session-response");
const CHALLENGE: HeaderName = HeaderName::from_static("secure-session-challenge");
const NAME: HeaderName = HeaderName::from_static("sec-secure-session-id");

const NO_ORIGIN: &str = "the request has no `Origin` of HTTPS";
const NO_BINDING: &str = "no such session is bound";
const OLD_CHALLENGE: &str = "the challenge is not its own or too old";

/// Answers a browser that registers its device: `POST /dbsc/register`.
///
/// The browser presents its session, a new public key, and a challenge that is signed with it. If
/// all of this is in order, the session is bound and saved at once, and the response gives the
/// first proof cookie. Otherwise the session stays as it is, the response is empty, and an event
/// says what was wrong ([`Refusal::DeviceProof`](session_core::Refusal::DeviceProof)):
///
/// - 400: what was signed has not the right form, the signature is wrong, or the request has no
///   `Origin` of HTTPS, which browsers send.
/// - 403: there is no session, the challenge is not its own or too old, or it is bound already.
/// - 405: the method is not `POST`.
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
/// [`Error::MissingLayer`] if the request went through no layer that binds sessions, and
/// [`Error::Session`] if the session could not be loaded or saved. Answer with a 5xx, which a
/// browser takes for a passing fault.
pub fn register<B>(
    request: &Request<B>,
) -> impl Future<Output = Result<Response<String>, Error>> + Send + use<B> {
    let asked = Asked::of(request);
    async move {
        let Some(asked) = asked? else {
            return Ok(wrong_method());
        };
        let (values, devices) = (asked.proofs(), asked.devices()?);
        let (registration, origin) = match (jws::registration(&values), &asked.origin) {
            (Ok(registration), Some(origin)) => (registration, origin),
            (Err(fault), _) => return Ok(asked.refused(None, fault.reason())),
            (Ok(_), None) => return Ok(asked.refused(None, NO_ORIGIN)),
        };
        let session = Lookup::Found(Arc::clone(&asked.slot)).session().await?;
        let key = DeviceKey::from_bytes(registration.key);
        match session.bind_device_now(key, &registration.challenge).await {
            Ok(bound) => good(devices, origin, &bound),
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
/// - 400: what was signed has not the right form, or the signature is wrong.
/// - 401: there is no such session, it is not bound, or not by this registration. The browser
///   stops.
/// - 405: the method is not `POST`.
///
/// What a device has signed and is refused leaves an event, with the reason.
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
        let Some(asked) = asked? else {
            return Ok(wrong_method());
        };
        let (values, devices) = (asked.proofs(), asked.devices()?);
        let Some(bound) = asked.slot.bound_session(&asked.name).await? else {
            if !values.is_empty() {
                asked.refuse(None, NO_BINDING);
            }
            return Ok(empty(StatusCode::UNAUTHORIZED));
        };
        if values.is_empty() {
            return challenge(&bound);
        }
        let Some(origin) = &asked.origin else {
            return Ok(asked.refused(Some(bound.id()), NO_ORIGIN));
        };
        match jws::refresh(&values, bound.key().as_bytes()) {
            Ok(signed) if bound.accepts_challenge(&signed) => good(devices, origin, &bound),
            Ok(_) => {
                asked.refuse(Some(bound.id()), OLD_CHALLENGE);
                challenge(&bound)
            }
            Err(fault) => Ok(asked.refused(Some(bound.id()), fault.reason())),
        }
    }
}

/// What a browser has asked for, without the request: that need not be `Sync`.
struct Asked {
    slot: Arc<Slot>,
    proofs: SmallVec<[HeaderValue; 1]>,
    /// What the browser knows the binding by.
    name: String,
    origin: Option<String>,
}

impl Asked {
    /// `None` if the method is the wrong one.
    fn of<B>(request: &Request<B>) -> Result<Option<Self>, Error> {
        let slot = Slot::find_binding(request.extensions(), request.uri().path());
        let slot = slot.ok_or(Error::MissingLayer)?;
        if request.method() != Method::POST {
            return Ok(None);
        }
        let headers = request.headers();
        Ok(Some(Self {
            slot,
            proofs: headers.get_all(PROOF).iter().cloned().collect(),
            name: headers.get(NAME).and_then(text).unwrap_or_default(),
            origin: origin(headers),
        }))
    }

    fn proofs(&self) -> SmallVec<[&[u8]; 1]> {
        self.proofs.iter().map(HeaderValue::as_bytes).collect()
    }

    fn devices(&self) -> Result<&Devices, Error> {
        let devices = self.slot.layer().devices.as_ref();
        devices.ok_or(Error::MissingLayer)
    }

    fn refuse(&self, session: Option<SessionId>, reason: &'static str) {
        self.slot.layer().manager.refuse_device(session, reason);
    }

    /// The response to what is not in order, whatever the session is.
    fn refused(&self, session: Option<SessionId>, reason: &'static str) -> Response<String> {
        self.refuse(session, reason);
        empty(StatusCode::BAD_REQUEST)
    }
}

/// The response to a device that has proved its key.
fn good(devices: &Devices, origin: &str, bound: &BoundSession) -> Result<Response<String>, Error> {
    let mut response = empty(StatusCode::OK);
    *response.body_mut() = description(devices, origin, &bound.name());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(cookie) = devices.set_cookie(&bound.proof()) {
        headers.insert(SET_COOKIE, cookie);
    }
    add_challenge(bound, headers)?;
    Ok(response)
}

/// What the browser is told of the binding. Nothing in it needs to be escaped: the origin and the
/// names have no quotes, and paths with quotes are refused when the layer is built.
fn description(devices: &Devices, origin: &str, name: &str) -> String {
    let (path, cookie) = (&devices.paths().refresh, devices.cookie_name());
    let attributes = devices.attributes();
    format!(
        "{{\"session_identifier\":\"{name}\",\"refresh_url\":\"{path}\",\
         \"scope\":{{\"origin\":\"{origin}\",\"include_site\":false,\"scope_specification\":[]}},\
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

/// The origin of the page as the browser sees it, which a proxy may hide from the `Host` header. A
/// client can only mislead itself by it.
fn origin(headers: &HeaderMap) -> Option<String> {
    let origin = headers.get(ORIGIN)?.to_str().ok()?;
    let host = origin.strip_prefix("https://")?;
    let is_of_hosts = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(&byte);
    (!host.is_empty() && host.bytes().all(is_of_hosts)).then(|| origin.to_owned())
}
