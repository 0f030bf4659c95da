//! What people see.

use std::fmt::Write;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use session_http::Error;

/// A response with a body that is at hand.
pub(crate) type Page = Response<Full<Bytes>>;

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1d2430; --paper: #fbfaf7; --line: #d9d5cb; --accent: #2f5d50; --soft: #6b7280 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e6e1; --paper: #16191f; --line: #343a46; --accent: #8cc7b5; --soft: #9aa3b2 }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1.05rem/1.6 system-ui, sans-serif }
main { max-width: 38rem; margin: 0 auto; padding: 3rem 1.25rem }
header { display: flex; flex-wrap: wrap; gap: .75rem; align-items: baseline; justify-content: space-between }
h1 { margin: 0; font-size: 1.9rem; letter-spacing: -.02em }
.soft { color: var(--soft); margin: .25rem 0 }
form { display: flex; gap: .5rem; margin: 1rem 0 }
input { flex: 1; min-width: 0; padding: .6rem .8rem; font: inherit; color: inherit; background: transparent; border: 1px solid var(--line); border-radius: .5rem }
button { padding: .6rem 1rem; font: inherit; color: var(--paper); background: var(--accent); border: 1px solid var(--accent); border-radius: .5rem; cursor: pointer }
button.quiet { color: var(--accent); background: transparent; border-color: var(--line) }
ol { padding: 0; margin: 1.5rem 0; list-style: none; border-top: 1px solid var(--line) }
li { padding: .7rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere }
section { margin-top: 2rem }
";

/// The page of one browser.
pub(crate) fn guestbook(visits: u64, entries: &[String], principal: Option<&str>) -> Page {
    let name = principal.map(|principal| principal.strip_prefix("user:").unwrap_or(principal));
    let mut body = String::new();
    let who = match name {
        Some(name) => format!("Signed in as <strong>{}</strong>", escape(name)),
        None => "Not signed in".to_owned(),
    };
    let times = if visits == 1 { "visit" } else { "visits" };
    let _ = write!(
        body,
        "<header><h1>Guestbook</h1><p class=soft><span id=who>{who}</span></p></header>\
         <p class=soft><span id=visits>{visits}</span> {times} in this session</p>\
         <form method=post action=/entries>\
         <input name=entry placeholder=\"Write something\" aria-label=Entry required maxlength=500>\
         <button>Add</button></form>"
    );
    if entries.is_empty() {
        body.push_str("<p class=soft>No entries yet.</p>");
    } else {
        body.push_str("<ol id=entries>");
        for entry in entries {
            let _ = write!(body, "<li>{}</li>", escape(entry));
        }
        body.push_str(
            "</ol><form method=post action=/clear><button class=quiet>Clear this session</button></form>",
        );
    }
    body.push_str("<section>");
    body.push_str(match name {
        Some(_) => "<form method=post action=/sign-out><button class=quiet>Sign out</button></form>",
        None => {
            "<form method=post action=/sign-in>\
             <input name=name placeholder=\"Your name\" aria-label=Name required maxlength=60 autocomplete=username>\
             <button class=quiet>Sign in</button></form>"
        }
    });
    body.push_str("</section>");
    html(StatusCode::OK, "Guestbook", &body)
}

/// What people see while the store is down.
pub(crate) fn unavailable(error: &Error) -> Page {
    if error.status() != StatusCode::SERVICE_UNAVAILABLE {
        return failed();
    }
    let body = "<h1>Back in a moment</h1><p>The guestbook cannot reach its sessions. Your last change may not have been saved; try again shortly.</p>";
    let mut response = html(error.status(), "Back in a moment", body);
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// What people see of a fault of ours.
pub(crate) fn failed() -> Page {
    let body = "<h1>That did not work</h1><p>The fault is ours, and it is in the log.</p>";
    html(StatusCode::INTERNAL_SERVER_ERROR, "That did not work", body)
}

/// Plain text.
pub(crate) fn text(status: StatusCode, text: &str) -> Page {
    respond(status, "text/plain; charset=utf-8", text.to_owned())
}

fn html(status: StatusCode, title: &str, body: &str) -> Page {
    let page = format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    );
    respond(status, "text/html; charset=utf-8", page)
}

fn respond(status: StatusCode, kind: &'static str, body: String) -> Page {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

/// Text for an HTML page.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}
