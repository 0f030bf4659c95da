//! What people see.

use std::fmt::Write;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use session_http::Error;

/// A response whose whole body is in memory.
pub(crate) type Page = Response<Full<Bytes>>;

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

const STYLE: &str = "
:root {
  color-scheme: light dark;
  --ink: #1d2430; --paper: #fbfaf7; --line: #d9d5cb; --accent: #2f5d50; --soft: #6b7280
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e6e1; --paper: #16191f; --line: #343a46; --accent: #8cc7b5; --soft: #9aa3b2 }
}
* { box-sizing: border-box }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 1.05rem/1.6 system-ui, sans-serif
}
main { max-width: 38rem; margin: 0 auto; padding: 3rem 1.25rem }
header, header div { display: flex; flex-wrap: wrap; gap: .75rem; align-items: baseline }
header { justify-content: space-between }
h1 { margin: 0; font-size: 1.9rem; letter-spacing: -.02em }
.soft { color: var(--soft); margin: .25rem 0 }
form { display: flex; gap: .5rem; margin: 1rem 0 }
input {
  flex: 1; min-width: 0; padding: .6rem .8rem; font: inherit; color: inherit;
  background: transparent; border: 1px solid var(--line); border-radius: .5rem
}
button {
  padding: .6rem 1rem; font: inherit; color: var(--paper); background: var(--accent);
  border: 1px solid var(--accent); border-radius: .5rem; cursor: pointer
}
button.quiet { color: var(--accent); background: transparent; border-color: var(--line) }
ol { padding: 0; margin: 1.5rem 0; list-style: none; border-top: 1px solid var(--line) }
li { padding: .7rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere }
section { margin-top: 2rem }
a { color: var(--accent) }
.wide { overflow-x: auto; margin: 1.5rem 0 .5rem }
table { width: 100%; border-collapse: collapse; border-top: 1px solid var(--line) }
th, td {
  padding: .7rem .75rem .7rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line)
}
th, em, time { color: var(--soft); font-weight: normal; font-style: normal; font-size: .9rem }
td:last-child { padding-right: 0 }
td form, header form { margin: 0; justify-content: flex-end }
td button, header button { padding: .2rem .7rem }
time, td button, header button { white-space: nowrap }
#notice { padding: .6rem .8rem; border: 1px solid var(--accent); border-radius: .5rem }
";

/// The page of one browser.
pub(crate) fn guestbook(
    visits: u64,
    entries: &[String],
    principal: Option<&str>,
    csrf: &str,
) -> Page {
    let who = who(principal);
    let hidden = hidden(csrf);
    let sign_out = match principal {
        Some(_) => button("/sign-out", "Sign out", csrf),
        None => String::new(),
    };
    let times = if visits == 1 { "visit" } else { "visits" };
    let mut body = format!(
        "<header><h1>Guestbook</h1>\
         <div class=soft><span id=who>{who}</span>{sign_out}</div></header>\
         <p class=soft><span id=visits>{visits}</span> {times} in this session</p>\
         <form method=post action=/entries>{hidden}\
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
        body.push_str("</ol>");
        body.push_str(&button("/clear", "Clear entries and visits", csrf));
    }
    body.push_str("<section>");
    if principal.is_some() {
        body.push_str("<p><a href=/sessions>Where you are signed in</a></p>");
    } else {
        let _ = write!(
            body,
            "<form method=post action=/sign-in>{hidden}\
             <input name=name placeholder=\"Your name\" aria-label=Name required maxlength=60 \
             autocomplete=username>\
             <button class=quiet>Sign in</button></form>"
        );
    }
    body.push_str("</section>");
    html(StatusCode::OK, "Guestbook", &body)
}

/// Who is signed in, as part of a page.
pub(crate) fn who(principal: Option<&str>) -> String {
    match principal {
        Some(principal) => {
            let name = principal.strip_prefix("user:").unwrap_or(principal);
            format!("Signed in as <strong>{}</strong>", escape(name))
        }
        None => "Not signed in".to_owned(),
    }
}

/// A form that is nothing but a button.
pub(crate) fn button(action: &str, text: &str, csrf: &str) -> String {
    button_for(action, text, text, csrf)
}

/// One of several buttons with the same text; `name` is what a screen reader says.
pub(crate) fn button_for(action: &str, text: &str, name: &str, csrf: &str) -> String {
    let hidden = hidden(csrf);
    let label = match name == text {
        true => String::new(),
        false => format!(" aria-label=\"{}\"", escape(name)),
    };
    format!(
        "<form method=post action={action}>{hidden}\
         <button class=quiet{label}>{text}</button></form>"
    )
}

/// The field that proves that a form is ours. The token is base64url, so it needs no escaping.
fn hidden(csrf: &str) -> String {
    format!("<input type=hidden name=csrf value={csrf}>")
}

/// What people see instead of what they asked for.
pub(crate) fn apology(status: StatusCode, title: &str, text: &str) -> Page {
    let body = format!("<h1>{title}</h1><p>{text}</p><p><a href=/>Back to the guestbook</a></p>");
    html(status, title, &body)
}

/// What people see if their session fails.
pub(crate) fn of_error(error: &Error) -> Page {
    match error.status() {
        StatusCode::SERVICE_UNAVAILABLE => unavailable(),
        StatusCode::CONFLICT => apology(
            StatusCode::CONFLICT,
            "Signed in too often",
            "You are signed in on as many devices as one person may be. Sign out on one of them, \
             then try again.",
        ),
        StatusCode::NOT_IMPLEMENTED => apology(
            StatusCode::NOT_IMPLEMENTED,
            "Only this browser knows",
            "Sessions of this store live in their browsers, so nobody can list or end them from \
             elsewhere.",
        ),
        _ => failed(),
    }
}

/// What people see while the store is down.
fn unavailable() -> Page {
    let mut response = apology(
        StatusCode::SERVICE_UNAVAILABLE,
        "Back in a moment",
        "The guestbook cannot reach its sessions. Your last change may not have been saved; try \
         again shortly.",
    );
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// What people see if the fault is ours.
pub(crate) fn failed() -> Page {
    apology(
        StatusCode::INTERNAL_SERVER_ERROR,
        "That did not work",
        "The fault is ours, and the log has the cause.",
    )
}

/// Plain text.
pub(crate) fn text(status: StatusCode, text: &str) -> Page {
    respond(status, "text/plain; charset=utf-8", text.to_owned())
}

/// A page of JSON.
pub(crate) fn json(body: Vec<u8>) -> Page {
    respond(StatusCode::OK, "application/json", body)
}

/// Sends the browser to another page.
pub(crate) fn see(place: &'static str) -> Page {
    let mut response = text(StatusCode::SEE_OTHER, "");
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::from_static(place));
    response
}

pub(crate) fn html(status: StatusCode, title: &str, body: &str) -> Page {
    let page = format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    );
    respond(status, "text/html; charset=utf-8", page)
}

/// Makes a response. Every page is for one person, and most hold a CSRF token, so no cache may keep
/// one.
pub(crate) fn respond(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Page {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Escapes a text for an HTML page.
pub(crate) fn escape(text: &str) -> String {
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
