//! The layer's builder, its services and futures, and its error responses.
//!
//! To wrap a service, an application needs only [`SessionLayer`](crate::SessionLayer). It needs
//! this module if it writes down the type of a wrapped service, a policy or a builder.

// A request passes through here in this order:
//
// 1. `service.rs` installs a slot in the request and calls the inner service.
// 2. The handler asks for its session, or does not (`crate::request`).
// 3. `future.rs` has the response. It asks the commit policy, commits, and announces to the client
//    what came of it. Only then does the head of the response leave.
//
// `session_layer.rs` is the layer, `builder.rs` and `settings.rs` have its settings, `handler.rs`
// serves a single handler.
//
// **An `Err` of the service stays an `Err`**, unless its session could not be loaded. axum passes
// on no errors of services: it makes a response of each. So an `Error` marks that response
// (`HandedOn`), and the innermost layer that has work to do shapes it by `on_error`, as
// `handed_on.rs` says. The commit policy judges the response as the handler returned it. A layer
// whose session could not be loaded shapes it in any case. Headers stay that services further in
// have added, unless they describe the body. After a commit that failed they do not stay: the
// handler wrote them for changes that were dropped.
//
// **`with_session` boxes its future**, because on a failed load it must answer without knowing the
// handler's error type.

mod builder;
mod future;
mod handed_on;
pub(crate) mod handler;
mod service;
pub(crate) mod session_layer;
mod settings;

use self::handed_on::{exchange, is_handed_on, shape};

pub use self::builder::{SessionLayerBuilder, commit_by_default};
pub use self::future::ResponseFuture;
pub use self::handler::{HandlerFuture, WithSession};
pub use self::service::SessionService;
pub use crate::error::{DefaultResponse, OnError};
