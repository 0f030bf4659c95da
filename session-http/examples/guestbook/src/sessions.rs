//! Where a person is signed in, and how to sign out there.

use std::fmt::Write;

use hyper::body::Incoming;
use hyper::header::{ACCEPT, HeaderValue, VARY};
use hyper::{HeaderMap, Request, StatusCode};
use serde::Serialize;
use session_core::{Session, SessionError, SessionId, SessionInfo};

use crate::form::Form;
use crate::page::{self, Page, escape};
use crate::refusal::Refusal;
use crate::viewed::Viewed;
use crate::{time, values};

/// One session, as programs get it.
#[derive(Serialize)]
struct Item {
    id: String,
    label: Option<String>,
    created: String,
    last_seen: String,
    /// When it was bound to the device of the sign-in, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    bound: Option<String>,
    current: bool,
}

impl Item {
    fn new(info: &SessionInfo, session: &Session) -> Self {
        Self {
            id: info.id().encode(),
            label: match info.is_readable() {
                true => info.label().map(str::to_owned),
                false => Some("A damaged session".to_owned()),
            },
            created: time::rfc3339(info.created_at()),
            last_seen: time::rfc3339(info.last_seen()),
            bound: info.bound_at().map(time::rfc3339),
            current: info.is(session),
        }
    }
}

/// Whether a request asks for JSON instead of a page.
pub(crate) fn wants_json(headers: &HeaderMap) -> bool {
    let accepts = |kind: &[u8]| {
        let ranges = headers.get_all(ACCEPT).iter();
        let mut ranges = ranges.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        ranges.any(|range| {
            let name = range.split(|byte| *byte == b';').next().unwrap_or_default();
            name.trim_ascii().eq_ignore_ascii_case(kind)
        })
    };
    accepts(b"application/json") && !accepts(b"text/html")
}

/// Lists all sessions of the person who is signed in.
pub(crate) async fn list(session: &Session, json: bool, viewed: Viewed) -> Result<Page, Refusal> {
    let principal = signed_in(session)?;
    let sessions = session.manager().sessions_of(&principal).await?;
    let items: Vec<_> = sessions
        .iter()
        .map(|info| Item::new(info, session))
        .collect();
    let mut page = match json {
        true => page::json(serde_json::to_vec(&items)?),
        false => {
            // Reading a notice uses it up.
            let notice: Option<String> = match viewed {
                Viewed::Now => values::notice(session)?,
                Viewed::Perhaps | Viewed::Never => None,
            };
            table(
                &principal,
                &items,
                notice.as_deref(),
                &session.csrf_token()?,
            )
        }
    };
    page.headers_mut()
        .insert(VARY, HeaderValue::from_static("Accept"));
    Ok(page)
}

/// Ends one of the person's sessions, by its id. If it is the current one, this is a sign-out.
pub(crate) async fn revoke(request: Request<Incoming>, id: &str) -> Result<Page, Refusal> {
    let (session, _) = Form::read(request).await?;
    let principal = signed_in(&session)?;
    let absent = || Refusal::text(StatusCode::NOT_FOUND, "You have no such session.");
    let id: SessionId = id.parse().map_err(|_| absent())?;
    if session.id() == Some(id) {
        session.destroy()?;
        return Ok(page::see("/"));
    }
    if !session.manager().end(&principal, id).await? {
        return Err(absent());
    }
    signed_out(&session, 1)
}

/// Ends all of the person's sessions except this one.
pub(crate) async fn revoke_others(request: Request<Incoming>) -> Result<Page, Refusal> {
    let (session, _) = Form::read(request).await?;
    signed_in(&session)?;
    let count = session.manager().sign_out_others(&session).await?;
    signed_out(&session, count)
}

/// Says on the next page how many sessions were ended.
fn signed_out(session: &Session, count: u64) -> Result<Page, Refusal> {
    let notice = match count {
        0 => "There was no other session.".to_owned(),
        1 => "Signed out 1 other session.".to_owned(),
        _ => format!("Signed out {count} other sessions."),
    };
    match session.flash("notice", notice) {
        // A session may be too full for a notice. The other sessions have ended all the same.
        Ok(()) | Err(SessionError::Limit(_)) => Ok(page::see("/sessions")),
        Err(error) => Err(error.into()),
    }
}

fn signed_in(session: &Session) -> Result<String, Refusal> {
    session.principal().ok_or_else(|| {
        page::apology(
            StatusCode::FORBIDDEN,
            "You are not signed in",
            "Sign in on the front page to see where else you are. Somebody may just have signed \
             you out from another device.",
        )
        .into()
    })
}

fn table(principal: &str, items: &[Item], notice: Option<&str>, csrf: &str) -> Page {
    let mut body = format!(
        "<header><h1>Your sessions</h1><p class=soft><span id=who>{}</span></p></header>",
        page::who(Some(principal))
    );
    if let Some(notice) = notice {
        let _ = write!(body, "<p id=notice role=status>{}</p>", escape(notice));
    }
    body.push_str(
        "<div class=wide><table id=sessions><thead>\
         <tr><th>Where<th>Created<th>Last seen<th aria-label=\"Sign out\"></tr></thead><tbody>",
    );
    for item in items {
        let name = item.label.as_deref().unwrap_or("Unknown program");
        let label = escape(name);
        let which = match item.current {
            true => "this one".to_owned(),
            false => format!("last seen {}", minute(&item.last_seen)),
        };
        let this = if item.current {
            "<br><em>this one</em>"
        } else {
            ""
        };
        let bound = match item.bound {
            Some(_) => "<br><em>bound to its device</em>",
            None => "",
        };
        let _ = write!(
            body,
            "<tr><td>{label}{this}{bound}<td>{}<td>{}<td>{}</tr>",
            moment(&item.created),
            moment(&item.last_seen),
            page::button_for(
                &format!("/sessions/{}/revoke", item.id),
                "Sign out",
                &format!("Sign out {name}, {which}"),
                csrf
            )
        );
    }
    body.push_str(
        "</tbody></table></div>\
         <p class=soft>Times are in UTC; the last one may be a minute behind.</p>",
    );
    if items.iter().any(|item| !item.current) {
        body.push_str(&page::button(
            "/sessions/revoke-others",
            "Sign out all others",
            csrf,
        ));
    }
    body.push_str("<p><a href=/>Back to the guestbook</a></p>");
    page::html(StatusCode::OK, "Your sessions", &body)
}

/// A time to the minute, for people.
fn moment(time: &str) -> String {
    format!("<time datetime={time}>{}</time>", minute(time))
}

fn minute(time: &str) -> String {
    time.get(..16).unwrap_or(time).replace('T', " ")
}
