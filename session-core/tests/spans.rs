//! The spans that a subscriber is told of: their names, fields and order.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use session_core::{
    Directive, ManualClock, MemoryStore, Outcome, SessionError, SessionManager, Timestamp,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// A span that has begun.
#[derive(Clone, Debug, Default)]
struct Seen {
    name: &'static str,
    parent: Option<usize>,
    fields: Vec<(&'static str, String)>,
    entered: u32,
    left: u32,
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.push((field.name(), format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.push((field.name(), value.to_owned()));
    }
}

/// Keeps all spans, and which one this thread is in.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<(Vec<Seen>, Vec<usize>)>>);

fn place(id: &Id) -> usize {
    usize::try_from(id.into_u64()).unwrap() - 1
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span()
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let metadata = attributes.metadata();
        assert_eq!(
            (metadata.target(), *metadata.level()),
            ("session", Level::DEBUG)
        );
        let (spans, within) = &mut *self.0.lock().unwrap();
        let mut seen = Seen {
            name: metadata.name(),
            parent: within.last().copied(),
            ..Seen::default()
        };
        attributes.record(&mut seen);
        spans.push(seen);
        Id::from_u64(spans.len() as u64)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        values.record(&mut self.0.lock().unwrap().0[place(id)]);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, id: &Id) {
        let (spans, within) = &mut *self.0.lock().unwrap();
        spans[place(id)].entered += 1;
        within.push(place(id));
    }

    fn exit(&self, id: &Id) {
        let (spans, within) = &mut *self.0.lock().unwrap();
        spans[place(id)].left += 1;
        assert_eq!(
            within.pop(),
            Some(place(id)),
            "the innermost span is left first"
        );
    }
}

/// The spans of what runs in a subscriber of its own, as `name parent: field=value ..`.
fn spans(run: impl AsyncFnOnce()) -> Vec<String> {
    let spans = Spans::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    tracing::subscriber::with_default(spans.clone(), || runtime.block_on(run()));
    let (seen, within) = std::mem::take(&mut *spans.0.lock().unwrap());
    assert!(within.is_empty());
    let line = |span: &Seen| {
        assert!(span.entered > 0 && span.entered == span.left, "{span:?}");
        let parent = span.parent.map_or("", |parent| seen[parent].name);
        let fields: Vec<_> = span
            .fields
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        format!("{} {parent}: {}", span.name, fields.join(" "))
    };
    seen.iter().map(line).collect()
}

async fn hold(manager: &SessionManager) -> Result<String, SessionError> {
    let session = manager.begin(&[]).await?;
    session.insert("n", 1)?;
    match session.finish(Outcome::Success).await? {
        Directive::Hold(token) => Ok(token.as_str().to_owned()),
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn each_span_has_its_fields_and_lies_in_the_one_that_it_is_part_of() {
    let mut id = String::new();
    let seen = spans(async || {
        let manager = SessionManager::builder(MemoryStore::new())
            .clock(ManualClock::new(Timestamp::from_millis(1_000)))
            .build()
            .unwrap();
        let token = hold(&manager).await.unwrap();
        let session = manager.begin(&[&token]).await.unwrap();
        id = session.id().unwrap().short().to_string();
        session.insert("n", 2).unwrap();
        session.finish(Outcome::Success).await.unwrap();
        drop(manager.begin(&["forged", "twice"]).await.unwrap());
        let failed = manager.begin(&[&token]).await.unwrap();
        failed.finish(Outcome::Failure).await.unwrap();
    });
    let expected = [
        "session.open : tokens=0 result=none",
        "session.commit : outcome=success session=ID result=done",
        "session.store session.commit: operation=create session=ID outcome=done",
        "session.open : tokens=1 session=ID result=session",
        "session.store session.open: operation=load session=ID outcome=done",
        "session.commit : outcome=success session=ID result=done",
        "session.store session.commit: operation=update session=ID outcome=done",
        "session.open : tokens=2 result=none",
        "session.open : tokens=1 session=ID result=session",
        "session.store session.open: operation=load session=ID outcome=done",
        "session.commit : outcome=failure session=ID result=done",
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|line| line.replace("ID", &id))
        .collect();
    assert_eq!(seen, expected);
}
