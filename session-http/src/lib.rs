//! Sessions for any http service: one layer for hyper, axum, tonic and everything else that speaks
//! `http::Request` and `http::Response`, on a store you choose.
//!
//! ```
//! use http::{Request, Response};
//! use session_http::{SessionExt, SessionLayer, core::MemoryStore};
//! use tower::{ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let sessions = SessionLayer::new(MemoryStore::new());
//! let service = sessions.layer(service_fn(async |request: Request<()>| {
//!     let session = request.session().await?; // loads on first use, once
//!     session.insert("seen", true)?; // saved when the response is ready
//!     Ok::<_, session_http::Error>(Response::new(()))
//! }));
//! let response = service.oneshot(Request::new(())).await.unwrap();
//! assert!(response.headers().contains_key("set-cookie"));
//! # });
//! ```
//!
//! # When it saves
//!
//! After the handler, before the head of the response leaves, if the response means success: not a
//! 5xx, a 408 or a failed gRPC call ([`LayerBuilder::commit_if`]). A handler that fails, panics or
//! is cancelled leaves the session as it was. A commit that fails turns the response into an error
//! ([`Error::status`]) that [`SessionLayer::on_error`] shapes. On a 101 or 304 nothing is created,
//! renewed or rotated, since such responses carry no cookie; of a sealed session nothing is written
//! at all, since every write of it is a new cookie.
//!
//! # When it tells the client
//!
//! When a session is created, renewed or [rotated](LayerBuilder::rotation), or its Max-Age moves,
//! the response brings the token; when this request destroyed it, the response says to forget it.
//! Of requests in parallel at the instant of a rotation one response brings the new token, and all
//! are served. Where tokens rotate none is sent twice.
//!
//! No cache may keep a response that carries a token, or says to forget one. The layer sets its
//! `Cache-Control: no-store`, whatever the handler said, and removes what some caches prefer to
//! that: every header whose name ends in `-Cache-Control`, such as `CDN-Cache-Control`, and
//! `Surrogate-Control`, `Edge-Control`, `X-Accel-Expires` and `Expires`. On every other response
//! the handler decides. Where its session was read, `Vary` tells caches that the response depends
//! on the client's token.
//!
//! A service that returns an `Err` gets no response from this layer, unless its session could not
//! be loaded; hyper then cuts the connection. Make responses of your other errors, such as
//! [`core::Error::Limit`] and [`core::Error::Decode`].
//!
//! A handle that lives on (a WebSocket, a stream, a spawned task) can still
//! [`save`](core::Session::save) data of a session that the client knows. A save also counts as
//! activity, and returns [`core::Error::Gone`] once the session has ended, though nothing was
//! changed: call it whenever the client has sent something. To create, renew or destroy one then is
//! [`core::Error::Detached`].
//!
//! # Which layer goes where
//!
//! Layers that cancel or retry requests belong outside of this one. The same layer twice does its
//! work once; layers of different names give several sessions ([`SessionExt::session_named`]). A
//! clone of a request that is sent through the layer again after its response is a request like any
//! other.
//!
//! # Further reading
//!
//! [`guide`] has pages on choosing a store, writing one, writing handlers, security, operating it,
//! and moving in from other libraries.
//!
//! # Features
//!
//! - `hyper`: [`SessionService`] and [`WithSession`] are hyper services too.
//! - `axum`: an extractor.
//! - `cookie`: the sealed cookie as the store.
//! - `redis`: Redis or Valkey as the store; with `redis-cluster`, `redis-sentinel` and `redis-tls`
//!   for those who need them.
//! - `mongo`: MongoDB as the store; with `mongo-dns` for `mongodb+srv` URIs.

// On docs.rs what takes a feature says so.
#![cfg_attr(docsrs, feature(doc_cfg))]

// The floors, top first. A file imports from its own folder and from the floors below.
#[cfg(feature = "axum")]
pub mod axum;
mod error;
mod layer; // the layer, its settings, its service, and the commit before the response
mod request; // one session in one request
mod transport; // how a token travels // what can go wrong, and the response that says so

pub mod guide;

#[cfg(feature = "cookie")]
pub use session_cookie as cookie;
pub use session_core as core;
#[cfg(feature = "mongo")]
pub use session_mongo as mongo;
#[cfg(feature = "redis")]
pub use session_redis as redis;

pub use error::{DefaultResponse, Error, OnError};
pub use layer::{
    HandlerFuture, LayerBuilder, ResponseFuture, SessionLayer, SessionService, WithSession,
    commit_by_default, with_session,
};
pub use request::SessionExt;
pub use transport::{CookieConfig, HeaderConfig, SameSite};
