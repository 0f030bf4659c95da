//! Signing in and out, a page for those who are signed in, and a message that is shown once. Start
//! it with `cargo run -p axum-login`, and sign in as `ann` with the password `secret`.

use axum::extract::Form;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{Router, get, post};
use serde::Deserialize;
use session_http::axum::CurrentSession;
use session_http::{Error, MemoryStore, SessionLayer};
use tokio::net::TcpListener;

#[derive(Deserialize)]
struct SignIn {
    name: String,
    password: String,
    csrf: String,
}

async fn front(session: CurrentSession) -> Result<Html<String>, Error> {
    let message: String = session.flashed("message")?.unwrap_or_default();
    let csrf = session.csrf_token()?; // so that no other site can sign a person in
    let form = match session.principal() {
        Some(_) => "action=/sign-out>",
        None => "action=/sign-in><input name=name><input name=password type=password>",
    };
    // Texts of ours. What a person has written must be escaped.
    Ok(Html(format!(
        "<p>{message}</p><a href=/private>Private</a><form method=post {form}
        <input type=hidden name=csrf value={csrf}><button>Go</button></form>"
    )))
}

async fn private(session: CurrentSession) -> Response {
    match session.principal() {
        Some(name) => format!("Only {name} sees this.\n").into_response(),
        None => Redirect::to("/").into_response(),
    }
}

async fn sign_in(session: CurrentSession, form: Form<SignIn>) -> Result<Redirect, Error> {
    if !session.verify_csrf(&form.csrf) {
        session.flash("message", "The page was out of date.")?;
    } else if form.name == "ann" && form.password == "secret" {
        // An application compares a hash of the password.
        session.sign_in(&form.name)?; // the client gets a new token
        session.flash("message", "Welcome.")?;
    } else {
        session.flash("message", "The name or the password is wrong.")?;
    }
    Ok(Redirect::to("/"))
}

// A form on another site cannot sign a person out: browsers send no `SameSite=Lax` cookie with it.
async fn sign_out(session: CurrentSession) -> Result<Redirect, Error> {
    session.destroy()?;
    Ok(Redirect::to("/"))
}

fn app(sessions: SessionLayer) -> Router {
    Router::new()
        .route("/", get(front))
        .route("/private", get(private))
        .route("/sign-in", post(sign_in))
        .route("/sign-out", post(sign_out))
        .layer(sessions)
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app(SessionLayer::new(MemoryStore::new()))).await
}

#[cfg(test)]
mod tests;
