//! Sessions for hyper, axum, tonic and every other service that speaks `http::Request` and
//! `http::Response`. They are kept in memory, in Redis, in MongoDB, in a sealed cookie, or in a
//! store of your own.
//!
//! ```
//! use http::{Request, Response};
//! use session_http::{MemoryStore, SessionExt, SessionLayer, TypedKey};
//! use tower::{ServiceExt, service_fn};
//!
//! const VISITS: TypedKey<u64> = TypedKey::new("visits");
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let sessions = SessionLayer::new(MemoryStore::new());
//! let service = sessions.layer(service_fn(async |request: Request<()>| {
//!     let session = request.session().await?; // loads on first use, once
//!     session.at(VISITS).update(|n| n.unwrap_or(0) + 1)?; // saved when the response is ready
//!     Ok::<_, session_http::Error>(Response::new(()))
//! }));
//! let response = service.oneshot(Request::new(())).await.unwrap();
//! assert!(response.headers().contains_key("set-cookie"));
//! # });
//! ```
//!
//! # The path of a request
//!
#![doc = include_str!("../docs/request.svg")]
//!
//! # When a session is saved
//!
//! If the response means success, the layer saves the session after the handler has returned and
//! before the head of the response is sent. After a 5xx, a 408 or a failed gRPC call it saves
//! nothing ([`commit_if`](layer::SessionLayerBuilder::commit_if) can change that). A handler that
//! fails, panics or is cancelled leaves the session as it was. If the save fails, the client gets
//! an error response ([`Error::status`]) instead, which [`SessionLayer::on_error`] can turn into a
//! page.
//!
//! A 101 or a 304 carries no cookie. So the commit of such a response creates, renews and rotates
//! nothing, and it does not write a session in a sealed cookie at all.
//!
//! # When the client gets a token
//!
//! A response carries a token if the session was created, renewed or
//! [rotated](layer::SessionLayerBuilder::rotation), or if the `Max-Age` of the cookie changes. If
//! the request destroyed the session, the response tells the client to forget its token.
//!
//! No cache may keep such a response. The layer sets `Cache-Control: no-store` on it, whatever the
//! handler set. It also removes the headers that some caches prefer to `Cache-Control`: every
//! header whose name ends in `-Cache-Control`, and `Surrogate-Control`, `Edge-Control`,
//! `X-Accel-Expires` and `Expires`. On all other responses, the handler decides whether caches may
//! keep them. If the handler read the session, the layer adds a `Vary` header, which tells caches
//! that the response depends on the token.
//!
//! # Errors of the service
//!
//! If your service returns an `Err`, the layer passes it on, and hyper then cuts the connection. So
//! turn errors into responses, [`SessionError::Limit`] and [`SessionError::Decode`] included. In
//! axum, return [`Error`] from the handler: it is a response already. The layer answers an `Err` by
//! itself only if the session could not be loaded.
//!
//! # After the response
//!
//! A WebSocket, a stream or a spawned task can keep its [`Session`]. Through this handle it can
//! read and change data and call [`save`](Session::save), which also counts as activity. Once the
//! session was deleted, has expired or was renewed, `save` returns [`SessionError::Gone`].
//! [`touch`](Session::touch) counts as activity and writes nothing else: call it when the client
//! has sent something. [`ended`](Session::ended) resolves when the session ends, no matter on which
//! server. Only a response can tell the client that its session was created, renewed or destroyed.
//! So after the response has left, a handle that tries one of these gets
//! [`SessionError::Detached`].
//!
//! # Several layers
//!
//! Put layers that cancel or retry requests outside of this one. Two layers with different cookie
//! names give a request two sessions ([`SessionExt::session_named`]). Layers over one manager
//! ([`SessionLayer::over`]) belong side by side, one for browsers and one for apps. If they are
//! nested, the outermost serves the request. A layer that is applied twice does its work once.
//!
//! # Features
//!
//! | feature | what it adds | read more in |
//! |---|---|---|
//! | (none) | the layer for tower, and [`MemoryStore`] | [`SessionLayer`] |
//! | `hyper` | the layer's service is a hyper service too | [`layer::SessionService`] |
//! | `axum` | the extractor | [`axum::CurrentSession`] |
//! | `cookie` | sessions sealed into cookies | [`cookie`], [`guide::backends`] |
//! | `redis` | sessions in Redis or Valkey | [`redis`], [`guide::backends`] |
//! | `redis-cluster`, `redis-sentinel`, `redis-tls` | Cluster, Sentinel and TLS | [`redis`] |
//! | `mongo` | sessions in MongoDB | [`mongo`], [`guide::backends`] |
//! | `mongo-dns` | URIs of `mongodb+srv` | [`mongo`] |
//! | `device-binding` | sessions that are bound to the browser's device | [`device`] |
//! | `metrics` | figures for Prometheus, OpenTelemetry and others | [`guide::operating`] |
//! | `sealed-values` | values that nobody can read in the store | [`guide::operating`] |
//! | `testing` | tests without a server; for `dev-dependencies` | [`testing`], [`guide::testing`] |
//!
//! # Further reading
//!
//! The [`guide`] has pages on choosing and writing a store, on handlers, tests, security and
//! operation, and short recipes for common questions.

// On docs.rs what takes a feature says so.
#![cfg_attr(docsrs, feature(doc_cfg))]

// `.ci/imports` has the floors. A file imports from its own folder and from the floors below.
#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "device-binding")]
pub mod device;
mod error;
pub mod guide;
pub mod layer;
pub mod manager;
mod request;
#[cfg(feature = "testing")]
pub mod testing;
mod transport;

#[cfg(feature = "cookie")]
pub use session_cookie as cookie;
#[cfg(feature = "mongo")]
pub use session_mongo as mongo;
#[cfg(feature = "redis")]
pub use session_redis as redis;

pub use error::Error;
pub use layer::handler::with_session;
pub use layer::session_layer::SessionLayer;
pub use request::SessionExt;
pub use transport::{CookieConfig, HeaderConfig, SameSite};

#[cfg(feature = "metrics")]
pub use session_core::MetricsObserver;
#[cfg(feature = "sealed-values")]
pub use session_core::ValueSealing;
pub use session_core::{
    Codec, ConfigError, Event, EventKind, KeyRing, Lifetime, Limits, MemoryStore, Observer,
    OnMaxSessions, OnReuse, Rotation, Session, SessionError, SessionId, SessionManager, TypedKey,
};
