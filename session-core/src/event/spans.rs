//! The spans of `tracing`: what takes time, for who wants to see where a request spends it.
//!
//! There are three, at level `DEBUG` with the target `session`:
//!
//! | span | what it covers | fields |
//! |---|---|---|
//! | `session.open` | a request opens its session | `tokens` (how many), `session`, `result` |
//! | `session.commit` | a request is finished, and written | `session`, `outcome`, `result` |
//! | `session.store` | a call of the store, but for sweeps | `operation`, `session`, `outcome` |
//!
//! `session` is the short hash of an id. What is cancelled has no `result`, and a call of the store
//! that is cancelled has no `outcome`. The `outcome` of `session.commit` is that of the handler.

use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tracing::field::{Empty, display};
use tracing::{Span, debug_span};

use crate::event::StoreOperation;
use crate::record::SessionId;

const TARGET: &str = "session";

/// A span that somebody listens to.
pub(crate) type LiveSpan = Option<Box<Span>>;

fn live(span: Span) -> LiveSpan {
    (!span.is_disabled()).then(|| Box::new(span))
}

/// A request opens its session by so many tokens.
pub(crate) fn open_span(tokens: usize) -> LiveSpan {
    live(debug_span!(target: TARGET, "session.open", tokens, session = Empty, result = Empty))
}

/// A request is finished, with this outcome of its handler.
pub(crate) fn commit_span(outcome: &'static str) -> LiveSpan {
    live(debug_span!(target: TARGET, "session.commit", outcome, session = Empty, result = Empty))
}

/// The store is called for a session, if it is for one.
pub(crate) fn store_span(operation: StoreOperation, id: Option<SessionId>) -> Span {
    let operation = operation.label();
    let span = debug_span!(
        target: TARGET, "session.store", operation, session = Empty, outcome = Empty
    );
    if !span.is_disabled() {
        record_session(&span, id);
    }
    span
}

/// The session of a span is known by now.
pub(crate) fn record_session(span: &Span, id: Option<SessionId>) {
    if let Some(id) = id {
        span.record("session", display(id.short()));
    }
}

pin_project! {
    /// A future in a span, if somebody listens. Its output is recorded.
    pub(crate) struct Spanned<F, R> {
        #[pin]
        future: F,
        // After the future, so that what it logs when it is dropped comes before the span ends.
        span: LiveSpan,
        record: R,
    }
}

impl<F: Future, R: Fn(&Span, &F::Output)> Spanned<F, R> {
    pub(crate) const fn new(span: LiveSpan, future: F, record: R) -> Self {
        Self {
            future,
            span,
            record,
        }
    }
}

impl<F: Future, R: Fn(&Span, &F::Output)> Future for Spanned<F, R> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(span) = this.span else {
            return this.future.poll(context);
        };
        let output = span.in_scope(|| this.future.poll(context));
        if let Poll::Ready(output) = &output {
            (this.record)(span, output);
        }
        output
    }
}
