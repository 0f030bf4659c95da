#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use redis::{Cmd, RedisFuture, Value};
use session_core::store::Record;
use session_core::{Lifetime, SessionId, Timestamp};

use super::Index;
use super::pages::Pages;
use super::sign_in::Confirmation;
use crate::commands::Commands;
use crate::config::{ApplicationConnection, Timing};
use crate::connection::{Connector, Link};
use crate::layout::{KeyNames, Layout};

/// A server that knows one index, and confirms what it is asked to after some refusals.
#[derive(Default)]
struct Server {
    entries: Mutex<Vec<SessionId>>,
    refusals: AtomicUsize,
}

impl ApplicationConnection for Server {
    fn send<'a>(&'a self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        let words = command.args_iter().filter_map(|word| match word {
            redis::Arg::Simple(word) => Some(String::from_utf8_lossy(word).into_owned()),
            _ => None,
        });
        let words: Vec<_> = words.collect();
        let answer = if words[0] == "ZRANGE" {
            let entries = self.entries.lock().unwrap();
            let first: usize = words[2].parse().unwrap();
            let last: usize = words[3].parse().unwrap();
            let page = entries.iter().skip(first).take(last + 1 - first);
            let pair = |id: &SessionId| [id.encode(), "1".to_owned()];
            let texts = page.flat_map(pair);
            Ok(Value::Array(
                texts.map(|text| Value::BulkString(text.into())).collect(),
            ))
        } else {
            let left = self.refusals.load(Ordering::Relaxed);
            self.refusals
                .store(left.saturating_sub(1), Ordering::Relaxed);
            match left {
                0 => Ok(Value::Int(1)),
                _ => redis::parse_redis_value(b"-CLUSTERDOWN for now\r\n")
                    .and_then(Value::extract_error),
            }
        };
        Box::pin(async move { answer })
    }
}

fn index(server: &Arc<Server>) -> Index {
    let connector = Connector::Application(Arc::clone(server) as _);
    let link = Link::new(connector, Timing::default(), 1);
    let names = KeyNames {
        prefix: "session:".to_owned(),
    };
    let commands = Arc::new(Commands::new(link, names, Layout::default()));
    let until = commands.until();
    Index::of("ann", &commands, until)
}

fn id(n: u16) -> SessionId {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    SessionId::from_bytes(bytes)
}

#[tokio::test(start_paused = true)]
async fn a_reader_passes_over_nothing_when_others_remove_what_it_has_read() {
    let server = Arc::new(Server::default());
    let mut entries: Vec<_> = (0..1_700).map(id).collect();
    entries.sort_by_key(SessionId::encode);
    server.entries.lock().unwrap().clone_from(&entries);
    let (mut index, mut pages, mut seen) = (index(&server), Pages::default(), Vec::new());
    while let Some(page) = pages.next(&mut index).await.unwrap() {
        if seen.is_empty() {
            server.entries.lock().unwrap().drain(..300);
        }
        seen.extend(page.into_iter().map(|entry| entry.id));
    }
    // Each once, and in their order.
    assert_eq!(seen, entries);
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_is_tried_for_longer_than_an_operation_lasts() {
    let server = Arc::new(Server::default());
    // Within one deadline a command is sent about ten times.
    server.refusals.store(25, Ordering::Relaxed);
    let now = Timestamp::from_millis(1_000);
    let record = Record::new(id(1), "id", Lifetime::default(), now).with_principal("ann");
    let confirmation = index(&server).confirm(&record, 1, now).await.unwrap();
    assert_eq!(confirmation, Confirmation::Kept);
    assert_eq!(server.refusals.load(Ordering::Relaxed), 0);
}
