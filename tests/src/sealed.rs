//! What is asked of sealed values on each server: the same of all of them.

use session_core::store::StoreError;
use session_core::{EndReason, KeyRing, Outcome, Session, SessionError, SessionId, SessionManager};

use crate::{anonymous, open, token_of};

/// What nobody may find on a server.
pub const SECRET: &str = "a secret of Ann";

/// A ring of one key. Those of different bytes differ.
pub fn ring(byte: u8) -> KeyRing {
    KeyRing::new([byte; 32]).unwrap()
}

/// A new session that is filled; its token and its id.
pub async fn filled(manager: &SessionManager, fill: impl FnOnce(&Session)) -> (String, SessionId) {
    let session = anonymous(manager).await;
    fill(session.session());
    let token = token_of(&session.finish(Outcome::Success).await.unwrap());
    (token, session.id().unwrap())
}

/// One request of a session that is there.
pub async fn change(manager: &SessionManager, token: &str, change: impl FnOnce(&Session)) {
    let session = open(manager, token).await;
    assert!(!session.is_new());
    change(session.session());
    session.finish(Outcome::Success).await.unwrap();
}

/// Whether the session of a token cannot be read.
pub async fn is_refused(manager: &SessionManager, token: &str) -> bool {
    match manager.begin(&[token]).await {
        Err(error) => matches!(error, SessionError::Store(StoreError::Corrupt(_))),
        Ok(_) => false,
    }
}

/// Writes one session forty times at once, by two managers; its id.
pub async fn write_at_once(managers: &[SessionManager; 2]) -> SessionId {
    let (token, id) = filled(&managers[0], |session| session.insert("n", 0).unwrap()).await;
    let tasks: Vec<_> = (0..40)
        .map(|who| {
            let (manager, token) = (managers[who % 2].clone(), token.clone());
            tokio::spawn(async move {
                let session = open(&manager, &token).await;
                session.insert(&format!("own {who}"), "secret").unwrap();
                session
                    .update("n", |n: Option<u64>| n.unwrap() + 1)
                    .unwrap();
                session.finish(Outcome::Success).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let session = open(&managers[0], &token).await;
    assert_eq!(session.get("n").unwrap(), Some(40));
    assert_eq!(session.len(), 41);
    id
}

/// Signs one principal in twice where one session is allowed, and signs them out.
pub async fn count_and_end(manager: &SessionManager) {
    let fill = |session: &Session| {
        session.sign_in("ann").unwrap();
        session.insert("a", SECRET).unwrap();
    };
    let (token, first) = filled(manager, fill).await;
    let (_, second) = filled(manager, fill).await;
    let listed = manager.sessions_of("ann").await.unwrap();
    assert!(listed.len() == 1 && listed[0].is_readable() && listed[0].id() == second);
    assert!(open(manager, &token).await.is_new());
    let ended = manager.why_ended(first).await.unwrap().unwrap();
    assert_eq!(ended.reason, EndReason::TooMany);
    assert_eq!(manager.sign_out_everywhere("ann").await.unwrap(), 1);
}
