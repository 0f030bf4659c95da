//! Futures of `session()` that nobody polls any more hold up nobody.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use common::*;
use http::{Request, Response};
use session_core::store::{
    Record, RecordKey, RecordLocation, SessionStore, StoreError, Update, Updated,
};
use session_core::{Ended, Session, Timestamp};
use session_http::{Error, SessionExt, SessionLayer};
use tokio::time::timeout;

type Asking = Pin<Box<dyn Future<Output = Result<Session, Error>> + Send>>;

/// A future of the session, polled so many times.
fn asking(request: &Request<()>, polls: usize) -> Asking {
    let mut asking: Asking = Box::pin(request.session());
    for _ in 0..polls {
        let polled = asking
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending(), "the store has not answered");
    }
    asking
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(10), future).await.unwrap()
}

/// Runs a handler with a session that holds a colour; how often the store was asked to load.
async fn loads<F>(handler: impl FnOnce(Request<()>) -> F) -> u32
where
    F: Future<Output = ()>,
{
    let (layer, store) = layer();
    let token = stored(&layer).await;
    store.calls();
    let mut handler = Some(handler);
    run(&layer, holding(&token), |request: Request<()>| {
        let handled = handler.take().map(|handler| handler(request));
        async {
            handled.unwrap().await;
            Ok::<_, Error>(Response::new(String::new()))
        }
    })
    .await
    .unwrap();
    store.calls()[Call::Load as usize]
}

#[tokio::test]
async fn a_future_that_is_not_polled_any_more_holds_up_no_other() {
    let loads = loads(|request| async move {
        let abandoned = asking(&request, 1);
        let session = soon(request.session()).await.unwrap();
        assert_eq!(
            session.get::<String>("colour").unwrap().as_deref(),
            Some("blue")
        );
        session.insert("b", 2).unwrap();
        // It is the same session, also for the one that is polled again later.
        assert_eq!(soon(abandoned).await.unwrap().get("b").unwrap(), Some(2));
    });
    assert_eq!(loads.await, 1, "one load for both");
}

#[tokio::test]
async fn a_future_that_is_dropped_leaves_its_load_to_the_next_one() {
    let loads = loads(|request| async move {
        drop(asking(&request, 1));
        assert_eq!(
            soon(request.session())
                .await
                .unwrap()
                .get::<String>("colour")
                .unwrap()
                .as_deref(),
            Some("blue")
        );
    });
    assert_eq!(loads.await, 1);
}

#[tokio::test]
async fn select_over_a_borrowed_future_holds_up_no_other() {
    let loads = loads(|request| async move {
        let mut first = pin!(request.session());
        tokio::select! {
            biased;
            _ = &mut first => panic!("the store waits"),
            () = std::future::ready(()) => {}
        }
        soon(request.session()).await.unwrap();
    });
    assert_eq!(loads.await, 1);
}

/// A store around another one may hand on that it waits for nothing, and wait all the same.
#[derive(Debug)]
struct Waits(Arc<TestStore>);

#[async_trait]
impl SessionStore for Waits {
    fn location(&self) -> RecordLocation {
        self.0.location()
    }

    fn call_timeout(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        self.0.load(key, now).await
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError> {
        self.0.create(record, now).await
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        self.0.update(key, update, now).await
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        self.0.delete(key, ended).await
    }
}

#[tokio::test]
async fn nor_where_the_store_waits_although_it_says_that_it_does_not() {
    let layer = SessionLayer::new(Waits(TestStore::new()));
    let token = stored(&layer).await;
    let answer: Answer = run(&layer, holding(&token), async |request: Request<()>| {
        let abandoned = asking(&request, 1);
        soon(request.session()).await?.insert("b", 2)?;
        assert_eq!(soon(abandoned).await?.get("b")?, Some(2));
        fine()
    })
    .await;
    assert_eq!(answer.unwrap().status(), 200);
    let session = layer.manager().begin(&[&token]).await.unwrap();
    assert_eq!(session.get("b").unwrap(), Some(2));
}

#[tokio::test]
async fn several_at_once_load_once() {
    let loads = loads(|request| async move {
        let all = async { tokio::join!(request.session(), request.session(), request.session()) };
        let (one, two, three) = soon(all).await;
        one.unwrap().insert("b", 2).unwrap();
        for other in [two, three] {
            assert_eq!(other.unwrap().get("b").unwrap(), Some(2));
        }
    });
    assert_eq!(loads.await, 1);
}

/// Tasks of several threads, some of which give up: whoever stays gets the session.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_waits_in_any_task_gets_the_session() {
    for round in 0..200 {
        let loads = loads(|request| async move {
            let request = Arc::new(request);
            let abandoned = asking(&request, round % 2);
            let tasks: Vec<_> = (0..6)
                .map(|task| {
                    let request = Arc::clone(&request);
                    tokio::spawn(async move {
                        let mut asking: Asking = Box::pin(request.session());
                        if (task + round) % 3 == 0 {
                            // Polled once by this task, and then kept.
                            let polled = std::future::poll_fn(|context| {
                                Poll::Ready(asking.as_mut().poll(context).is_ready())
                            });
                            let _ = polled.await;
                            return Some(asking);
                        }
                        assert_eq!(
                            soon(asking)
                                .await
                                .unwrap()
                                .get::<String>("colour")
                                .unwrap()
                                .as_deref(),
                            Some("blue")
                        );
                        None
                    })
                })
                .collect();
            let mut kept = Vec::new();
            for task in tasks {
                kept.push(soon(task).await.unwrap());
            }
            drop((abandoned, kept));
        });
        assert_eq!(loads.await, 1, "round {round}");
    }
}

/// Law 8: what failed to load is not tried again, whoever asks.
#[tokio::test]
async fn a_failed_load_stays_failed_for_all_who_wait() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    store.calls();
    store.fail(Call::Load, Fault::Down);
    let repaired = Arc::clone(&store);
    let response = run(&layer, holding(&token), |request: Request<()>| {
        let store = Arc::clone(&repaired);
        async move {
            let abandoned = asking(&request, 1);
            let is_down = |opened: Result<Session, Error>| {
                matches!(
                    opened,
                    Err(Error::Session(session_core::SessionError::Store(
                        StoreError::Unavailable(_)
                    )))
                )
            };
            assert!(is_down(soon(request.session()).await));
            store.repair();
            assert!(is_down(soon(request.session()).await));
            assert!(is_down(soon(abandoned).await));
            Ok::<_, Error>(Response::new(String::new()))
        }
    });
    assert!(response.await.is_ok());
    assert_eq!(store.calls()[Call::Load as usize], 1);
}

/// What is never answered goes with its request.
#[tokio::test]
async fn a_load_that_is_not_answered_is_dropped_with_its_request() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    store.fail(Call::Load, Fault::Hang);
    let before = Arc::strong_count(&store);
    let hanging: SessionLayer = layer.clone();
    let request = run(
        &hanging,
        holding(&token),
        |request: Request<()>| async move {
            drop(asking(&request, 3));
            Ok::<_, Error>(Response::new(String::new()))
        },
    );
    request.await.unwrap();
    drop((layer, hanging));
    assert!(Arc::strong_count(&store) < before, "nothing is left of it");
}
