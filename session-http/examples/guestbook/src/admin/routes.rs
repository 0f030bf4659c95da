//! The addresses below `/admin`, which ask for the password first.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Method, Request, StatusCode};
use session_core::{SessionError, SessionInfo, SessionManager, ShortId};
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::Admin;
use super::gate::{self, Entry};
use super::page::{self, Index, View};
use super::sign_ins::State;
use crate::form::Form;
use crate::handler::only;
use crate::page::{Page, apology, see};
use crate::refusal::Refusal;

/// How long a page waits for the labels of sessions. It is needed most while the store is slow.
const LOOK_UP: Duration = Duration::from_millis(500);
/// A short id has this many characters.
const SHORT_ID: usize = 8;

const CHALLENGE: &str = "Basic realm=\"Operators of the guestbook\", charset=\"UTF-8\"";

/// The page and its buttons. Clones are the same.
#[derive(Clone)]
pub(crate) struct AdminRoutes {
    admin: Arc<Admin>,
    manager: SessionManager,
}

impl AdminRoutes {
    pub(super) fn new(admin: Admin, manager: SessionManager) -> Self {
        Self {
            admin: Arc::new(admin),
            manager,
        }
    }

    /// Whether this is one of the addresses.
    pub(crate) fn has(path: &str) -> bool {
        ["/admin", "/admin/end"].contains(&path)
    }

    /// Answers a request. It asks for no session of its own: the page works while the store is
    /// down, and does not count itself among the requests.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Result<Page, Refusal> {
        match self.admin.gate.judge(request.headers(), self.manager.now()) {
            Entry::Granted => {}
            Entry::Denied => return Err(denied()),
            Entry::Later(pause) => {
                warn!("too many wrong passwords of operators; none is looked at for a while");
                return Err(later(pause));
            }
        }
        let paused = request.uri().query() == Some("paused");
        let view = if paused { View::Paused } else { View::Live };
        let method = request.method();
        match request.uri().path() {
            "/admin" if [Method::GET, Method::HEAD].contains(method) => self.show(view).await,
            "/admin" => only("GET, HEAD"),
            _ if method == Method::POST => self.end(request, view).await,
            _ => only("POST"),
        }
    }

    async fn show(&self, view: View) -> Result<Page, Refusal> {
        let index = match self.manager.store().principals() {
            Some(_) => Index::Present,
            None => Index::Absent,
        };
        if index == Index::Present {
            match timeout(LOOK_UP, self.look_up()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!(%error, "labels of sessions could not be read"),
                Err(_) => debug!("labels of sessions could not be read in time"),
            }
        }
        let snapshot = self.admin.recorder.snapshot(self.manager.now());
        page::page(&snapshot, view, index).map_err(Refusal::Fault)
    }

    /// Looks for the sessions of new sign-ins once: no event has a label.
    async fn look_up(&self) -> Result<(), SessionError> {
        let recorder = &self.admin.recorder;
        let mut unseen = recorder.sign_ins();
        unseen.retain(|known| known.state == State::Unseen);
        while let Some(first) = unseen.first() {
            let principal = first.principal.clone();
            let of_them = |known: &super::sign_ins::SignIn| known.principal == principal;
            let asked: Vec<ShortId> = unseen
                .iter()
                .filter(|known| of_them(known))
                .map(|known| known.session)
                .collect();
            let listed = self.manager.sessions_of(&principal).await?;
            let labels: Vec<_> = listed.iter().map(label).collect();
            recorder.learn(&asked, &labels);
            unseen.retain(|known| !of_them(known));
        }
        Ok(())
    }

    /// Ends the session of a row. An event has only the short hash of an id, so the id comes from
    /// the list of the principal's sessions.
    async fn end(&self, request: Request<Incoming>, view: View) -> Result<Page, Refusal> {
        if !gate::is_own_form(request.headers(), request.uri()) {
            return Err(apology(
                StatusCode::FORBIDDEN,
                "This form is from elsewhere",
                "Only the buttons of the page itself work. A proxy in front must keep the header \
                 Sec-Fetch-Site, or Origin and Host.",
            )
            .into());
        }
        let (_, form) = Form::receive(request).await?;
        let absent = || Refusal::text(StatusCode::NOT_FOUND, "No sign-in has this session.");
        let session = form.text("session", SHORT_ID)?;
        let known = self.admin.recorder.find(&session).ok_or_else(absent)?;
        let listed = self.manager.sessions_of(&known.principal).await?;
        let session = known.session;
        let found = listed.iter().find(|info| info.id().short() == session);
        let ended = match found {
            Some(info) => self.manager.end(&known.principal, info.id()).await?,
            None => false,
        };
        match ended {
            true => info!(%session, "an operator ended a session"),
            false => info!(%session, "an operator wanted to end a session that had ended"),
        }
        self.admin.recorder.end(session);
        Ok(see(view.sign_ins()))
    }
}

fn label(info: &SessionInfo) -> (ShortId, Option<String>) {
    (info.id().short(), info.label().map(str::to_owned))
}

fn denied() -> Refusal {
    let mut page = apology(
        StatusCode::UNAUTHORIZED,
        "For operators",
        "This page asks for the password of whoever runs the site. Any name goes with it.",
    );
    page.headers_mut()
        .insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
    page.into()
}

fn later(pause: Duration) -> Refusal {
    let mut page = apology(
        StatusCode::TOO_MANY_REQUESTS,
        "Too many wrong passwords",
        "Try again in a minute.",
    );
    page.headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(pause.as_secs() + 1));
    page.into()
}
