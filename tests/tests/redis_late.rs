//! Requests that are under way when their session ends, on Redis and two servers of the
//! application.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;
use std::time::Duration;

use session_core::{Deadlines, Directive, SessionManager};
use session_redis::{Layout, RedisStore};
use session_tests::servers::{Engine, RedisServer};
use session_tests::{Rng, anonymous, token_of};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::sleep;

const ROUNDS: u64 = 400;
const PATIENCE: Duration = Duration::from_secs(20);

async fn manager(server: &RedisServer, layout: Layout) -> SessionManager {
    let store = RedisStore::builder(server.url()).layout(layout);
    let store = store.deadline(PATIENCE).connect_timeout(PATIENCE);
    let builder = SessionManager::builder(store.connect().await.unwrap());
    let deadlines = Deadlines {
        call: PATIENCE * 2,
        commit: PATIENCE * 2,
    };
    builder.deadlines(deadlines).build().unwrap()
}

/// How the first session ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Bob signs in in its place.
    Exchange,
    SignOut,
    /// From elsewhere.
    Everywhere,
}

/// What the request that ends the session tells its client.
async fn end(manager: &SessionManager, token: &str, principal: &str, how: End) -> Directive {
    match how {
        End::Exchange => {
            let session = manager.open(&[token]).await.unwrap();
            session.sign_in("bob").unwrap();
            manager.commit(&session).await.unwrap()
        }
        End::SignOut => {
            let session = manager.open(&[token]).await.unwrap();
            session.destroy().unwrap();
            manager.commit(&session).await.unwrap()
        }
        End::Everywhere => {
            assert_eq!(manager.sign_out_everywhere(principal).await.unwrap(), 1);
            Directive::Nothing
        }
    }
}

/// No page that was under way begins a session, whose cookie would replace what the client has been
/// given since.
async fn no_page_begins_a_session(layout: Layout) {
    let server = RedisServer::start(Engine::Redis7);
    let managers = [manager(&server, layout).await, manager(&server, layout).await];
    let rng = Rng::new(13);
    let (mut mute, mut alive) = (0, 0);
    for round in 0..ROUNDS {
        let how = [End::Exchange, End::SignOut, End::Everywhere][rng.below(3)];
        let pages = [1, 3][rng.below(2)];
        let principal = format!("ann-{round}");
        let session = anonymous(&managers[0]).await;
        session.sign_in(&principal).unwrap();
        let token = token_of(&managers[0].commit(&session).await.unwrap());
        let start = Arc::new(Barrier::new(pages + 1));
        let mut tasks = JoinSet::new();
        for page in 0..pages {
            let manager = managers[(page + 1) % 2].clone();
            let (token, start) = (token.clone(), Arc::clone(&start));
            let late = Duration::from_micros(rng.below(4_000) as u64);
            tasks.spawn(async move {
                let arrived = manager.now();
                start.wait().await;
                sleep(late).await;
                let session = manager.open_at(&[&*token], arrived).await.unwrap();
                session.insert(&format!("page-{page}"), 1).unwrap();
                (
                    session.principal().is_some(),
                    manager.commit(&session).await.unwrap(),
                )
            });
        }
        // Before some pages and after others.
        let late = Duration::from_micros(rng.below(4_000) as u64);
        start.wait().await;
        sleep(late).await;
        let told = end(&managers[0], &token, &principal, how).await;
        match how {
            End::Exchange => assert!(matches!(told, Directive::Hold(_)), "{round}: {told:?}"),
            End::SignOut => assert_eq!(told, Directive::Forget, "{round}"),
            End::Everywhere => {}
        }
        while let Some(page) = tasks.join_next().await {
            let (was_ann, told) = page.unwrap();
            assert_eq!(
                told,
                Directive::Nothing,
                "{round} {how:?}: a page begins a session"
            );
            *if was_ann { &mut alive } else { &mut mute } += 1;
        }
        // What the client was told is what it is.
        if let Directive::Hold(token) = told {
            let session = managers[1].open(&[token.as_str()]).await.unwrap();
            assert_eq!(session.principal().as_deref(), Some("bob"), "{round}");
        }
    }
    assert!(mute > 100 && alive > 20, "{mute} {alive}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_that_was_under_way_begins_a_session() {
    no_page_begins_a_session(Layout::Fields).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_that_was_under_way_begins_a_packed_session() {
    no_page_begins_a_session(Layout::Packed).await;
}
