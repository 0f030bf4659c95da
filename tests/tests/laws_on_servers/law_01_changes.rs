//! On real servers, too, changes in place lose to nobody, and a closure refuses what is stored when
//! its request commits (law 1).

use futures_util::future::join_all;
use session_core::{Outcome, SessionError, SessionManager, TypedKey};
use session_redis::Layout;
use session_tests::{create, open};

use crate::two_stores::{self, TwoStores};

const LEFT: TypedKey<u64> = TypedKey::new("left");
const WHO: TypedKey<Vec<usize>> = TypedKey::new("who");

const ROUNDS: usize = 20;
const REQUESTS: usize = 12;
const THERE: usize = 7;

/// Requests at once over two processes, more than there is for: each takes one of what is left, the
/// last one removes the key, and notes who it is.
async fn run_out(name: &str, stores: TwoStores) {
    let managers = stores.map(SessionManager::new);
    for round in 0..ROUNDS {
        let token = create(&managers[0], [("left", THERE as u64)]).await;
        let requests = (0..REQUESTS).map(|who| {
            let (manager, token) = (managers[who % 2].clone(), token.clone());
            tokio::spawn(async move {
                let session = open(&manager, &token).await;
                let note = move |all: &mut Option<Vec<usize>>| {
                    all.get_or_insert_default().push(who);
                };
                session.at(WHO).modify(note).unwrap();
                let spent = session.at(LEFT).try_modify(|left| {
                    let rest = left
                        .unwrap_or(0)
                        .checked_sub(1)
                        .ok_or(SessionError::Contended)?;
                    *left = Some(rest).filter(|rest| *rest > 0);
                    Ok::<_, SessionError>(())
                });
                let committed = match spent {
                    Ok(()) => {
                        let finished = session.finish(Outcome::Success).await;
                        finished.map(drop).map_err(SessionError::from)
                    }
                    Err(error) => Err(error),
                };
                match committed {
                    Ok(()) => Some(who),
                    Err(SessionError::Refused(_) | SessionError::Contended) => {
                        session.finish(Outcome::Failure).await.unwrap();
                        None
                    }
                    Err(error) => panic!("{error}"),
                }
            })
        });
        let spent = join_all(requests).await.into_iter().map(Result::unwrap);
        let spent: Vec<usize> = spent.flatten().collect();
        let session = open(&managers[1], &token).await;
        let mut who = session.at(WHO).get().unwrap().unwrap();
        who.sort_unstable();
        assert_eq!(who, spent, "{name}, round {round}");
        assert_eq!(who.len(), THERE, "{name}, round {round}");
        assert!(!session.at(LEFT).exists(), "{name}, round {round}");
    }
}

async fn on_redis(layout: Layout) {
    let (_server, stores) = two_stores::on_redis(layout).await;
    run_out(&format!("Redis, {layout:?}"), stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_redis_in_fields() {
    on_redis(Layout::Fields).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_redis_packed() {
    on_redis(Layout::Packed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_mongodb() {
    let (_server, stores) = two_stores::on_mongodb().await;
    run_out("MongoDB", stores).await;
}
