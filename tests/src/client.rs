//! What tests do again and again, in the place of a client.

use std::collections::BTreeMap;

use session_core::{Directive, Outcome, Session, SessionGuard, SessionId, SessionManager};

/// What a session of numbers holds.
pub fn numbers(session: &Session) -> BTreeMap<String, u64> {
    let number = |key: String| {
        let value = session.get(&key).unwrap().unwrap();
        (key, value)
    };
    session.keys().into_iter().map(number).collect()
}

/// Opens a session by one token.
pub async fn open(manager: &SessionManager, token: &str) -> SessionGuard {
    manager.begin(&[token]).await.unwrap()
}

/// The session of a new client.
pub async fn anonymous(manager: &SessionManager) -> SessionGuard {
    manager.begin(&[]).await.unwrap()
}

/// Stores a session of numbers; its token.
pub async fn create<'a>(
    manager: &SessionManager,
    values: impl IntoIterator<Item = (&'a str, u64)>,
) -> String {
    let session = anonymous(manager).await;
    for (key, value) in values {
        session.insert(key, value).unwrap();
    }
    token_of(&session.finish(Outcome::Success).await.unwrap())
}

/// Signs a new client in; its token, and the session.
pub async fn sign_in(manager: &SessionManager, principal: &str) -> (String, SessionId) {
    let session = anonymous(manager).await;
    session.sign_in(principal).unwrap();
    let token = token_of(&session.finish(Outcome::Success).await.unwrap());
    (token, session.id().unwrap())
}

/// The token that the client is told to hold.
pub fn token_of(directive: &Directive) -> String {
    match directive {
        Directive::Hold(token) => token.as_str().to_owned(),
        other => panic!("expected a token, got {other:?}"),
    }
}
