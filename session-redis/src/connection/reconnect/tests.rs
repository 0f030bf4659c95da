#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::atomic::{AtomicUsize, Ordering};

use redis::{Cmd, RedisFuture, Value};

use super::super::connector::Connector;
use super::super::fault::Fault;
use super::super::link::{Idempotency, Link};
use super::*;
use crate::config::{ApplicationConnection, Timing};

/// Servers that refuse everything as a replica does, and count what they are sent.
#[derive(Default)]
struct Replica(AtomicUsize);

impl ApplicationConnection for Replica {
    fn send<'a>(&'a self, _command: &'a Cmd) -> RedisFuture<'a, Value> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let error = redis::parse_redis_value(b"-READONLY You can't write\r\n");
        Box::pin(async move { error.and_then(Value::extract_error) })
    }
}

fn until() -> Instant {
    Instant::now() + Timing::default().deadline
}

async fn number(shared: &Arc<Reconnecting>) -> u64 {
    shared.active(until()).await.unwrap().number
}

#[tokio::test(start_paused = true)]
async fn a_connection_to_a_replica_is_replaced_once_and_then_believed() {
    let replica = Arc::new(Replica::default());
    let connector = Connector::Application(Arc::clone(&replica) as _);
    let link = Link::new(connector, Timing::default(), 1);
    let shared = Arc::clone(&link.connections[0]);
    let first = number(&shared).await;
    let call = redis::cmd("SET");
    // It was made a moment ago, so another one would not help.
    let fault = link.call(&call, Idempotency::AtMostOnce, until()).await;
    assert!(matches!(fault, Err(Fault::Refused(_))), "{fault:?}");
    assert_eq!(replica.0.load(Ordering::Relaxed), 1);
    tokio::time::advance(REST * 2).await;
    let fault = link.call(&call, Idempotency::AtMostOnce, until()).await;
    assert!(fault.is_err());
    sleep(REST).await;
    assert!(number(&shared).await > first);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_closed_is_replaced_before_a_call_meets_it() {
    let connector = Connector::Application(Arc::<Replica>::default());
    let shared = Reconnecting::new(&Common::new(connector, Timing::default()), 0);
    let first = number(&shared).await;
    tokio::time::advance(REST * 2).await;
    // What is said of another connection concerns nobody.
    shared.closed(first + 1);
    sleep(REST).await;
    assert_eq!(number(&shared).await, first);
    shared.closed(first);
    sleep(REST).await;
    assert!(number(&shared).await > first);
}

#[tokio::test(start_paused = true)]
async fn only_calls_that_were_patient_say_that_one_of_many_nodes_hangs() {
    let connector = Connector::Application(Arc::<Replica>::default());
    let shared = Reconnecting::new(&Common::new(connector, Timing::default()), 0);
    let active = shared.active(until()).await.unwrap();
    let silence = Duration::from_secs(1);
    tokio::time::advance(silence * 3).await;
    let gives_up_after = |waited| active.give_up(Instant::now() - waited, silence);
    assert_eq!(gives_up_after(silence / 10), Duration::ZERO);
    assert_eq!(gives_up_after(silence / 2), silence / 2);
    tokio::time::advance(silence / 2).await;
    assert_eq!(gives_up_after(silence), silence);
    // What was long ago is forgotten.
    tokio::time::advance(silence * 2).await;
    assert_eq!(gives_up_after(silence / 2), silence / 2);
    // One that began before it, and was patient.
    tokio::time::advance(silence / 4).await;
    assert_eq!(gives_up_after(silence), silence);
}
