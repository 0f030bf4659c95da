//! Watching and sweeping by tokio's timers, which stand still but for the tests.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use session_core::{Directive, EndReason, MemoryStore, Outcome, Session, SessionManager};
use tokio::time::{Instant, sleep, timeout};

const INTERVAL: Duration = Duration::from_secs(5);

async fn signed_in(manager: &SessionManager) -> (Session, String) {
    let guard = manager.begin(&[]).await.unwrap();
    guard.sign_in("ann").unwrap();
    let Directive::Hold(token) = guard.finish(Outcome::Success).await.unwrap() else {
        unreachable!()
    };
    (guard.session().clone(), token.as_str().to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_sign_out_in_another_process_is_seen_within_five_seconds() {
    let store = Arc::new(MemoryStore::new());
    let [here, there] = [(); 2].map(|()| SessionManager::new(Arc::clone(&store)));
    for pause in [0, 1_000, 4_999, 5_000, 12_345].map(Duration::from_millis) {
        let (session, _) = signed_in(&here).await;
        let sockets: Vec<_> = (0..3).map(|_| tokio::spawn(session.ended())).collect();
        tokio::task::yield_now().await;
        sleep(pause).await;
        assert_eq!(there.sign_out_everywhere("ann").await.unwrap(), 1);
        let signed_out = Instant::now();
        for socket in sockets {
            assert_eq!(socket.await.unwrap().reason, EndReason::Revoked);
        }
        assert!(signed_out.elapsed() <= INTERVAL, "{pause:?}");
        if pause.as_secs() == 1 {
            assert!(
                signed_out.elapsed() > INTERVAL / 2,
                "by its timer, and not before"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_sign_out_in_this_process_is_seen_at_once() {
    let manager = SessionManager::new(MemoryStore::new());
    let (session, token) = signed_in(&manager).await;
    let socket = tokio::spawn(session.ended());
    let mut borrowed = manager.begin(&[&token]).await.unwrap().ended();
    // Given up and taken up again, as `select!` does.
    timeout(INTERVAL * 3, &mut borrowed).await.unwrap_err();
    let start = Instant::now();
    manager.sign_out_everywhere("ann").await.unwrap();
    assert_eq!(borrowed.await.reason, EndReason::Revoked);
    assert_eq!(socket.await.unwrap().reason, EndReason::Revoked);
    assert_eq!(start.elapsed(), Duration::ZERO);
}
