//! A site whose visitors sign in, with a clock that the test moves.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::response::{Html, Redirect};
use axum::routing::{get, post};
use session_http::axum::CurrentSession;
use session_http::device::{DeviceBinding, DeviceRoutes};
use session_http::manager::ManualClock;
use session_http::{Error, KeyRing, MemoryStore, SessionLayer};

/// Longer than a session that was just bound needs no proof.
const GRACE: Duration = Duration::from_secs(61);
/// Longer than a challenge can be answered.
const CHALLENGE: Duration = Duration::from_secs(661);

/// The time of a server. That of the browser, which ends cookies, is another one.
#[derive(Clone)]
pub(crate) struct Time(Arc<ManualClock>);

impl Time {
    pub(crate) fn pass_grace(&self) {
        self.0.advance(GRACE);
    }

    /// Two proofs of the same moment are equal.
    pub(crate) fn tick(&self) {
        self.0.advance(Duration::from_secs(1));
    }

    pub(crate) fn outlive_challenges(&self) {
        self.0.advance(CHALLENGE);
    }
}

/// The site, and its time. Requests of pages from the `initiators` let a browser prove its device.
pub(crate) fn app(initiators: &[&str]) -> (Router, Time) {
    let clock = ManualClock::new(SystemTime::now().into());
    let sessions = SessionLayer::builder(MemoryStore::new())
        .keys(KeyRing::generate().unwrap())
        .bound(DeviceBinding::require())
        .refresh_initiators(initiators.iter().copied())
        .clock(Arc::clone(&clock))
        .build()
        .unwrap();
    let app = Router::new()
        .route(
            "/",
            get(async |session: CurrentSession| Html(page(&who(&session)))),
        )
        .route("/who", get(async |session: CurrentSession| who(&session)))
        .route("/sign-in", post(sign_in))
        .route("/sign-out", post(sign_out))
        .layer(DeviceRoutes)
        .layer(sessions);
    (app, Time(clock))
}

fn who(session: &CurrentSession) -> String {
    session.principal().unwrap_or_else(|| "nobody".to_owned())
}

async fn sign_in(session: CurrentSession) -> Result<Redirect, Error> {
    session.sign_in("Ada")?;
    Ok(Redirect::to("/"))
}

async fn sign_out(session: CurrentSession) -> Result<Redirect, Error> {
    session.destroy()?;
    Ok(Redirect::to("/"))
}

/// The page of a visitor. The icon is here so that the browser does not ask for one.
fn page(principal: &str) -> String {
    format!(
        "<!doctype html><title>Bound</title><link rel=icon href=data:,>\
         <p id=who>{principal}</p>\
         <form method=post action=/sign-in><button>in</button></form>\
         <form method=post action=/sign-out><button>out</button></form>"
    )
}

/// A site of another origin, which links to the first one.
pub(crate) fn neighbour(to: &str) -> Router {
    let page = format!(
        "<!doctype html><title>Neighbour</title><link rel=icon href=data:,>\
         <a id=link href=\"{to}\">link</a>\
         <form method=post action=\"{to}sign-out\"><button>form</button></form>"
    );
    Router::new().route("/", get(async || Html(page)))
}
