//! Tests of handlers without a server (feature `testing`).
//!
//! Enable the feature for tests only:
//!
//! ```toml
//! [dev-dependencies]
//! session-http = { path = "../sessions/session-http", features = ["testing"] }
//! ```
//!
//! [`TestSessions`] has everything that a test controls: the sessions are in memory, the clock
//! stands still until the test moves it, and the store fails when the test says so. [`TestClient`]
//! sends requests as a browser or an app does, and keeps the cookies or the token of the responses.
//!
//! ```
//! use http::{Request, Response};
//! use session_http::SessionExt;
//! use session_http::testing::TestSessions;
//! use tower::service_fn;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let sessions = TestSessions::new();
//! let mut service = sessions.layer().layer(service_fn(async |request: Request<()>| {
//!     let name = request.session().await?.principal();
//!     Ok::<_, session_http::Error>(Response::new(name.unwrap_or_default()))
//! }));
//!
//! let ann = sessions.signed_in("user:ann").await?;
//! let response = ann.call(&mut service, Request::new(())).await?;
//! assert_eq!(response.body(), "user:ann");
//! # Ok::<_, session_http::Error>(()) }).unwrap();
//! ```
//!
//! [The guide](crate::guide::testing) has more, for tower, axum and hyper.

// | file | one idea |
// |---|---|
// | `sessions.rs` | a set of sessions whose time and store a test decides |
// | `client.rs` | a client that sends requests, and has a session |
// | `jar.rs` | what a client keeps: cookies, or a token in a header |
// | `store.rs` | a store that fails on demand |

mod client;
mod jar;
mod sessions;
mod store;

pub use self::client::TestClient;
pub use self::sessions::TestSessions;
pub use self::store::{StoreFault, TestStore};
