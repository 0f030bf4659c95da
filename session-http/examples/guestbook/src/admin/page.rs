//! What an operator sees.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY};
use sha2::{Digest, Sha256};

use super::figures::{self, total, words};
use super::plot::number;
use super::recorder::Snapshot;
use super::sign_ins::{MOST, SignIn, State};
use super::tally::{KINDS, RISING};
use crate::page::{self, Page, escape};
use crate::refusal::BoxError;
use crate::time;

const STYLE: &str = include_str!("style.css");
/// How many seconds a live page stays.
const REFRESH: &str = "5";

/// Whether the page loads itself again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    Live,
    /// It stands still, for who reads or presses buttons.
    Paused,
}

impl View {
    /// The address of the page that the browser is sent to after a button.
    pub(super) const fn sign_ins(self) -> &'static str {
        match self {
            Self::Live => "/admin#sign-ins",
            Self::Paused => "/admin?paused#sign-ins",
        }
    }

    const fn action(self) -> &'static str {
        match self {
            Self::Live => "/admin/end",
            Self::Paused => "/admin/end?paused",
        }
    }
}

/// Whether the store has an index of principals, without which nobody can end a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Index {
    Present,
    Absent,
}

pub(super) fn page(snapshot: &Snapshot, view: View, index: Index) -> Result<Page, BoxError> {
    let mut body = head(snapshot, view);
    figures::events(&mut body, snapshot);
    figures::requests(&mut body, snapshot);
    figures::store(&mut body, snapshot);
    sign_ins(&mut body, snapshot, view, index);
    let html = format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <title>Sessions, live</title><style>{STYLE}</style></head>\
         <body><main>{body}</main></body></html>"
    );
    let mut page = page::respond(StatusCode::OK, "text/html; charset=utf-8", html);
    let headers = page.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_str(&policy())?);
    // The page's own forms must say where they come from.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    if view == View::Live {
        let refresh = HeaderName::from_static("refresh");
        headers.insert(refresh, HeaderValue::from_static(REFRESH));
    }
    Ok(page)
}

/// Allows this style sheet, forms to this site, and nothing else.
fn policy() -> String {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    )
}

fn head(snapshot: &Snapshot, view: View) -> String {
    let (state, link) = match view {
        View::Live => ("every 5 s", "<a href=/admin?paused>Pause</a>"),
        View::Paused => ("paused", "<a href=/admin>Go live</a>"),
    };
    let alerts = KINDS.iter().zip(&snapshot.events).take(RISING);
    let alerts: Vec<_> = alerts
        .filter(|(_, series)| total(series) > 0)
        .map(|(kind, series)| format!("{} {}", number(total(series)), words(kind.label())))
        .collect();
    let (class, status) = match alerts.is_empty() {
        true => (
            "status",
            "Nothing to alert on in the last 15 minutes.".to_owned(),
        ),
        false => (
            "\"status look\"",
            format!("Look at this: {}.", alerts.join(", ")),
        ),
    };
    format!(
        "<header><h1>Sessions, live</h1>\
         <span class=soft>{} UTC, {state}. {link}. <a href=#sign-ins>Sign-ins</a></span></header>\
         <p class=soft>What this process saw since {}. Each bar is 15 seconds, and the number \
         above a plot is the total of 15 minutes.</p><p class={class}>{status}</p>",
        time::clock(snapshot.now),
        minute(&time::rfc3339(snapshot.since)),
    )
}

fn sign_ins(body: &mut String, snapshot: &Snapshot, view: View, index: Index) {
    let _ = write!(
        body,
        "<section id=sign-ins><h2>Sign-ins</h2><p class=soft>The last {MOST} of this process, the \
         newest first. Pause the page before you press a button: a sign-in moves the rows.</p>"
    );
    if index == Index::Absent {
        body.push_str(
            "<p class=soft id=no-index>Sessions of this store live in their browsers, so nobody \
             can end them from here.</p>",
        );
    }
    if snapshot.sign_ins.is_empty() {
        body.push_str("<p class=soft>Nobody has signed in yet.</p></section>");
        return;
    }
    body.push_str(
        "<table id=list><thead><tr><th scope=col>Who<th scope=col>Device<th scope=col>Session\
         <th scope=col>Signed in<th scope=col>End</tr></thead><tbody>",
    );
    for sign_in in &snapshot.sign_ins {
        entry(body, sign_in, view, index);
    }
    body.push_str("</tbody></table></section>");
}

fn entry(body: &mut String, sign_in: &SignIn, view: View, index: Index) {
    let who = escape(&sign_in.principal);
    let session = sign_in.session;
    let label = match &sign_in.label {
        Some(label) => format!("<bdi>{}</bdi>", escape(label)),
        None => "–".to_owned(),
    };
    let end = match (sign_in.state, index) {
        (State::Ended, _) => "<span class=soft>Ended</span>".to_owned(),
        (_, Index::Absent) => "–".to_owned(),
        _ => format!(
            "<form method=post action={}><input type=hidden name=session value={session}>\
             <button aria-label=\"End session {session} of {who}\">End session</button></form>",
            view.action()
        ),
    };
    let at = time::rfc3339(sign_in.at);
    let _ = write!(
        body,
        "<tr><th scope=row><bdi>{who}</bdi>\
         <small class=narrow>{label}<br><code>{session}</code></small><td>{label}\
         <td><code>{session}</code><td><time datetime={at}>{}</time><td>{end}</tr>",
        time::clock(sign_in.at)
    );
}

/// A time to the minute.
fn minute(time: &str) -> String {
    time.get(..16).unwrap_or(time).replace('T', " ")
}
