//! The addresses below `/admin`, which ask for the password first.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Method, Request, StatusCode};
use session_core::{SessionError, SessionInfo, SessionManager, ShortId, Timestamp};
use tokio::time::timeout;
use tracing::{info, warn};

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

/// After a failure the labels are left alone for so long: the page comes each 5 s, and a store that
/// is in trouble needs no more of it.
const REST: Duration = Duration::from_secs(60);

/// The page and its buttons. Clones are the same.
#[derive(Clone)]
pub(crate) struct AdminRoutes {
    admin: Arc<Admin>,
    manager: SessionManager,
    look_ups: Arc<LookUps>,
}

/// When the labels were last looked up in vain. `None` if that went well.
#[derive(Default)]
struct LookUps(Mutex<Option<Timestamp>>);

impl LookUps {
    fn are_due(&self, now: Timestamp) -> bool {
        // A clock that was set back keeps nobody waiting.
        self.last()
            .is_none_or(|failed| now < failed || now.duration_since(failed) >= REST)
    }

    fn succeeded(&self) {
        *self.last() = None;
    }

    /// Whether this is the first failure, which is worth a line in the log.
    fn failed(&self, now: Timestamp) -> bool {
        self.last().replace(now).is_none()
    }

    fn last(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AdminRoutes {
    pub(super) fn new(admin: Admin, manager: SessionManager) -> Self {
        Self {
            admin: Arc::new(admin),
            manager,
            look_ups: Arc::default(),
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
            Entry::Later { pause, first } => {
                if first {
                    warn!("too many wrong passwords of operators; none is looked at for a while");
                }
                let asks = [Method::GET, Method::HEAD].contains(request.method());
                return Err(later(pause, if asks { Then::Again } else { Then::Nothing }));
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
        let now = self.manager.now();
        if index == Index::Present && self.look_ups.are_due(now) {
            let failure = match timeout(LOOK_UP, self.look_up()).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some(format!("no answer in {LOOK_UP:?}")),
            };
            match failure {
                None => self.look_ups.succeeded(),
                Some(failure) => {
                    if self.look_ups.failed(now) {
                        warn!(
                            "the labels of sessions cannot be read, and are tried once a minute: \
                             {failure}"
                        );
                    }
                }
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

/// What a browser does after its pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// It asks for the page again, which may have been live.
    Again,
    Nothing,
}

fn later(pause: Duration, then: Then) -> Refusal {
    let seconds = pause.as_secs() + 1;
    let again = match then {
        Then::Again => " This page tries again by itself then.",
        Then::Nothing => "",
    };
    let mut page = apology(
        StatusCode::TOO_MANY_REQUESTS,
        "Too many wrong passwords",
        &format!("For {seconds} s nobody gets in, not even with the right one.{again}"),
    );
    let headers = page.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    if then == Then::Again {
        headers.insert(
            HeaderName::from_static("refresh"),
            HeaderValue::from(seconds),
        );
    }
    page.into()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn who_is_told_to_come_later_comes_no_sooner() {
        let pause = Duration::from_millis(40_500);
        let refused = |then| match later(pause, then) {
            Refusal::Page(page) => *page,
            _ => panic!("not a page"),
        };
        let page = refused(Then::Again);
        assert_eq!(page.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(page.headers()["retry-after"], "41");
        assert_eq!(page.headers()["refresh"], "41");
        let text = page.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains("For 41 s nobody gets in"), "{text}");
        assert!(text.contains("tries again by itself"), "{text}");
        // A form is not sent again.
        let form = refused(Then::Nothing);
        assert!(!form.headers().contains_key("refresh"));
    }

    #[test]
    fn the_store_is_left_alone_for_a_while_after_a_failure() {
        let labels = LookUps::default();
        let at = |seconds: u64| Timestamp::from_millis(1_000_000 + seconds * 1_000);
        assert!(labels.are_due(at(0)));
        assert!(labels.failed(at(0)), "the first failure is logged");
        assert!(!labels.are_due(at(5)) && !labels.are_due(at(59)));
        assert!(labels.are_due(at(60)));
        assert!(!labels.failed(at(60)), "the next one is not");
        assert!(
            labels.are_due(at(30)),
            "a clock that was set back keeps nobody waiting"
        );
        labels.succeeded();
        assert!(labels.are_due(at(61)));
        assert!(labels.failed(at(61)), "after a success it is news again");
    }
}
