//! Sessions for any http service: one layer for hyper, axum, tonic and everything else that speaks
//! `http::Request` and `http::Response`, on a store you choose.
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
//! # When it saves
//!
//! The layer saves the session after the handler and before the head of the response leaves, if the
//! response means success. A 5xx, a 408 and a failed gRPC call do not
//! ([`commit_if`](layer::SessionLayerBuilder::commit_if)). A handler that fails, panics or is
//! cancelled leaves the session as it was. A commit that fails turns the response into an error
//! ([`Error::status`]), which [`SessionLayer::on_error`] shapes.
//!
//! On a 101 or 304 nothing is created, renewed or rotated, since such a response carries no cookie.
//! A sealed session is not written at all then, since every write of it is a new cookie.
//!
//! # When the client gets a token
//!
//! The response carries a token when the session was created, renewed or
//! [rotated](layer::SessionLayerBuilder::rotation), or when the cookie's Max-Age moves. When this
//! request destroyed the session, the response tells the client to forget its token. Of several
//! requests at the instant of a rotation, one response carries the new token, and all are served.
//! Where tokens rotate, none is sent twice.
//!
//! No cache may keep a response that carries a token or tells the client to forget one. The layer
//! sets `Cache-Control: no-store` on it, whatever the handler set. It also removes the headers that
//! some caches prefer to that: every header whose name ends in `-Cache-Control`, such as
//! `CDN-Cache-Control`, and `Surrogate-Control`, `Edge-Control`, `X-Accel-Expires` and `Expires`.
//! On every other response the handler decides. If its session was read, the layer adds a `Vary`
//! header, which tells caches that the response depends on the client's token.
//!
//! If a service returns an `Err`, this layer makes no response of it, unless the session could not
//! be loaded. hyper then cuts the connection. So turn your other errors into responses, such as
//! [`SessionError::Limit`] and [`SessionError::Decode`]. In axum a handler may return any
//! [`Error`], and [`SessionLayer::on_error`] shapes the response.
//!
//! After the response, a handle that is still held (by a WebSocket, a stream or a spawned task) can
//! [`save`](Session::save) data of a session that the client knows. A save also counts as
//! activity, and returns [`SessionError::Gone`] once the session was deleted, expired or was
//! renewed, even if nothing was changed. [`touch`](Session::touch) counts as activity and writes
//! nothing else: call it whenever the client has sent something. [`ended`](Session::ended) resolves
//! when the session ends, wherever that happens. Such a handle cannot create, renew or destroy a
//! session: that is [`SessionError::Detached`].
//!
//! # Which layer goes where
//!
//! Put layers that cancel or retry requests outside of this one. The same layer twice does its work
//! once. Layers of different names give a request several sessions
//! ([`SessionExt::session_named`]). Layers over one manager ([`SessionLayer::over`]) belong side by
//! side: around one request they share one session, which the outermost serves. A clone of a
//! request that is sent through the layer again after its response is a request like any other.
//!
//! # Further reading
//!
//! [`guide`] has pages on choosing a store, writing one, writing handlers, testing them, types that
//! change between two deployments, security, operating it, sessions over other transports, and
//! moving in from other libraries.
//!
//! # Features
//!
//! - `hyper`: [`layer::SessionService`] and [`layer::WithSession`] are hyper services too.
//! - `axum`: an extractor.
//! - `cookie`: the sealed cookie as the store.
//! - `redis`: Redis or Valkey as the store. `redis-cluster`, `redis-sentinel` and `redis-tls` add
//!   what their names say.
//! - `mongo`: MongoDB as the store. `mongo-dns` adds `mongodb+srv` URIs.
//! - `testing`: tests of handlers without a server; for `dev-dependencies`.

// On docs.rs what takes a feature says so.
#![cfg_attr(docsrs, feature(doc_cfg))]

// `.ci/imports` has the floors. A file imports from its own folder and from the floors below.
#[cfg(feature = "axum")]
pub mod axum;
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

pub use session_core::{
    Codec, ConfigError, Event, EventKind, KeyRing, Lifetime, Limits, MemoryStore, Observer,
    OnMaxSessions, OnReuse, Rotation, Session, SessionError, SessionId, SessionManager, TypedKey,
};
