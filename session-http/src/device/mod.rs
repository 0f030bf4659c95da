//! Sessions that are bound to a device, so that a stolen cookie is worth nothing (Device Bound
//! Session Credentials, W3C draft). Feature `device-binding`.
//!
//! The browser keeps a private key that it cannot give away, and proves from time to time that it
//! still has it: it signs a challenge. For that it gets a short-lived cookie, `__Host-id-bound`,
//! beside the session cookie. This second cookie is the proof that a request needs. The session
//! cookie, its rotation and everything else about sessions stay as they are. Other browsers ignore
//! it.
//!
//! ```
//! # #[cfg(feature = "hyper")] {
//! use http::{Request, Response};
//! use session_http::device::{DeviceBinding, DeviceRoutes};
//! use session_http::{KeyRing, MemoryStore, SessionExt, SessionLayer};
//! use tower::{ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let app = service_fn(async |request: Request<String>| {
//!     request.session().await?.sign_in("user:42")?;
//!     Ok::<_, session_http::Error>(Response::new(String::new()))
//! });
//! let sessions = SessionLayer::builder(MemoryStore::new())
//!     .keys(KeyRing::generate().unwrap())
//!     .bound(DeviceBinding::observe()) // later: require
//!     .build()
//!     .unwrap();
//! let service = sessions.layer(DeviceRoutes.layer(app)); // inside of the sessions
//!
//! let response = service.oneshot(Request::new(String::new())).await.unwrap();
//! let offer = response.headers()["secure-session-registration"].to_str().unwrap();
//! assert!(offer.starts_with("(ES256);path=\"/dbsc/register\";challenge="));
//! # });
//! # }
//! ```
//!
//! # The steps
//!
//! 1. The response that signs somebody in, or renews their session, has a header
//!    `Secure-Session-Registration` with a challenge.
//! 2. The browser makes a key pair, and posts its public key and the signed challenge to
//!    `/dbsc/register` ([`register`]). The key is stored with the session, and the response gives
//!    the first proof cookie.
//! 3. When that cookie expires, after [`with_proof_age`](DeviceBinding::with_proof_age), the
//!    browser holds its requests and posts a signed challenge to `/dbsc/refresh` ([`refresh`]).
//!    That costs one load of the session and no write. Then its requests go on, with the new
//!    cookie.
//! 4. A request of a bound session without a proof leaves an event. With
//!    [`DeviceBinding::require`] it is answered as anonymous.
//!
//! A sign-out removes both cookies. A renewal, and a sign-in, unbinds the session, and step 1
//! follows. [The guide](crate::guide::threats) says what all this protects from, and what not.
//!
//! # Routes
//!
//! [`DeviceRoutes`] serves both paths, in front of any service whose body can be made of a
//! `String`. For others, call [`register`] and [`refresh`] from routes of your own. Either way, put
//! them inside of the [`SessionLayer`](crate::SessionLayer). In axum, the last layer is the
//! outermost: `.layer(DeviceRoutes).layer(sessions)`. A router that strips a prefix, as axum's
//! `nest` does, hides the paths from `DeviceRoutes` inside of it: put both layers outside of it, or
//! use routes of your own.
//!
//! Let nothing answer in their place: no redirect to a sign-in page, no CSRF check, no rate limit.
//! After a redirect or a 4xx, Chromium discards its key for good. It signs at most 6 challenges of
//! a site in 9 minutes, so do not set a much shorter
//! [`with_proof_age`](DeviceBinding::with_proof_age).
//!
//! One layer of an origin binds: a browser waits with all requests of the origin for all its
//! proofs. If two nested layers bind, all their requests are answered with a 500.
//!
//! # Requests from other origins
//!
//! Chromium proves a device before a request of a page of this origin, and before one that a person
//! makes in the address bar. A page of another origin, such as another subdomain, can link here,
//! send a form, or fetch. If the proof has expired by then, Chromium sends that request without
//! proving the device first, and with `require` it is anonymous.
//!
//! - [`refresh_initiators`](crate::layer::SessionLayerBuilder::refresh_initiators) names the hosts
//!   whose requests have to work, such as those of an OpenID provider, or of your own pages that
//!   fetch from here.
//! - The next page is not anonymous, because it is one of this origin that leads to it. So let an
//!   anonymous page load itself once more by a script, before it shows a form: a form that was made
//!   for nobody does not pass [`verify_csrf`](crate::Session::verify_csrf) once the device is
//!   proved. A redirect does not help, because it counts as a request of the other origin too.

// | file | one idea |
// |---|---|
// | `routes.rs` | the two functions, and what they answer |
// | `service.rs` | the service that calls them at their paths |
// | `jws.rs` | what a browser has signed, and whether its key signed it |
// | `json.rs` | JSON of strangers: its texts and objects, with each name once |
//
// What the layer itself does for devices is in `transport/devices.rs`.

mod json;
mod jws;
mod routes;
mod service;

pub use self::routes::{refresh, register};
pub use self::service::{DeviceFuture, DeviceRoutes, DeviceService};
pub use session_core::DeviceBinding;
