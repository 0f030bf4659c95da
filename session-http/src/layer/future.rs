//! The response, and the commit that comes before it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Response, StatusCode};
use pin_project_lite::pin_project;
use session_core::{Directive, Session};

use crate::error::{Error, HandedOn, OnError};
use crate::request::{Announced, RequestGuard, Slot};

pin_project! {
    /// The response of a [`SessionService`](crate::layer::SessionService).
    ///
    /// It runs the inner service, then commits its session, then hands the response on. For a
    /// request that did not ask for its session nothing is boxed.
    pub struct ResponseFuture<F, B, E, H> {
        #[pin]
        stage: Stage<F, B, E>,
        slot: Option<RequestGuard>,
        on_error: H,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F, B, E> {
        Inner { #[pin] future: F },
        Commit { commit: Commit, result: Option<Result<Response<B>, E>> },
        Refused { error: Error },
    }
}

/// What the client must be told, and why the commit failed if it did.
type Commit = Pin<Box<dyn Future<Output = (Directive, Option<Error>)> + Send>>;

/// What the response means for the session.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Commit,
    /// Without creating, renewing or rotating, since the response cannot carry a token.
    CommitKeepingToken,
    Abort,
}

impl<F, B, E, H> ResponseFuture<F, B, E, H> {
    /// Without a slot, the inner response is handed on as it is.
    pub(super) fn new(future: F, slot: Option<Arc<Slot>>, on_error: H) -> Self {
        Self {
            stage: Stage::Inner { future },
            slot: slot.map(RequestGuard),
            on_error,
        }
    }

    pub(super) fn refused(error: Error, on_error: H) -> Self {
        Self {
            stage: Stage::Refused { error },
            slot: None,
            on_error,
        }
    }
}

impl<F, B, E, H> Future for ResponseFuture<F, B, E, H>
where
    F: Future<Output = Result<Response<B>, E>>,
    H: OnError<B>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.stage.as_mut().project() {
                StageProjection::Refused { error } => {
                    return Poll::Ready(Ok(this.on_error.respond(error)));
                }
                StageProjection::Inner { future } => {
                    let result = ready!(future.poll(context));
                    let Some(RequestGuard(slot)) = this.slot else {
                        return Poll::Ready(result);
                    };
                    let session = match slot.loaded() {
                        None => {
                            slot.close();
                            return Poll::Ready(result);
                        }
                        Some(Err(error)) => {
                            let result = match hands_on(&result) {
                                true => Ok(replace(result, this.on_error.respond(error))),
                                false => result,
                            };
                            return Poll::Ready(leave(slot, result));
                        }
                        Some(Ok(session)) => session,
                    };
                    let verdict = judge(slot, &result);
                    if verdict != Verdict::Abort && slot.layer().manager.close(session) {
                        return Poll::Ready(leave(slot, result));
                    }
                    let commit = commit(session, verdict);
                    let result = Some(result);
                    this.stage.set(Stage::Commit { commit, result });
                }
                StageProjection::Commit { commit, result } => {
                    let (directive, error) = ready!(commit.as_mut().poll(context));
                    let (Some(RequestGuard(slot)), Some(result)) = (this.slot, result.take())
                    else {
                        // Polled again after it was ready.
                        return Poll::Pending;
                    };
                    let result = match error {
                        Some(error) => Ok(replace(result, this.on_error.respond(&error))),
                        None => result,
                    };
                    return Poll::Ready(leave(slot, result).map(|mut response| {
                        slot.announce(&directive, &mut response);
                        response
                    }));
                }
            }
        }
    }
}

/// Whether a service, whose session could not be loaded, hands on that error. A response of its own
/// making stays.
fn hands_on<B, E>(result: &Result<Response<B>, E>) -> bool {
    match result {
        Ok(response) => response.extensions().get::<HandedOn>().is_some(),
        Err(_) => true,
    }
}

fn judge<B, E>(slot: &Slot, result: &Result<Response<B>, E>) -> Verdict {
    let Ok(response) = result else {
        return Verdict::Abort;
    };
    match response.status() {
        status if !(slot.layer().commit_if)(status, response.headers()) => Verdict::Abort,
        StatusCode::SWITCHING_PROTOCOLS | StatusCode::NOT_MODIFIED => Verdict::CommitKeepingToken,
        _ => Verdict::Commit,
    }
}

fn commit(session: &Session, verdict: Verdict) -> Commit {
    let session = session.clone();
    Box::pin(async move {
        let manager = session.manager();
        let committed = match verdict {
            Verdict::Commit => manager.commit(&session).await,
            Verdict::CommitKeepingToken => manager.commit_keeping_token(&session).await,
            Verdict::Abort => Ok(manager.abort(&session).await),
        };
        match committed {
            Ok(directive) => (directive, None),
            // A session that was destroyed before the failure is to be forgotten all the same.
            Err(error) => (manager.abort(&session).await, Some(error.into())),
        }
    })
}

/// Puts a response in the place of another. What layers further in have announced to the client in
/// the dropped one is announced in this one.
fn replace<B, E>(dropped: Result<Response<B>, E>, mut response: Response<B>) -> Response<B> {
    let dropped = dropped.ok();
    if let Some(announced) = dropped.and_then(|mut it| it.extensions_mut().remove::<Announced>()) {
        announced.repeat(&mut response);
    }
    response
}

/// Lets a response leave, with a note for caches that it depends on the session. The future may be
/// kept for longer, but its slot is closed.
fn leave<B, E>(slot: &Slot, result: Result<Response<B>, E>) -> Result<Response<B>, E> {
    slot.close();
    result.map(|mut response| {
        slot.layer().transports.vary(response.headers_mut());
        response
    })
}

impl<F, B, E, H> fmt::Debug for ResponseFuture<F, B, E, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
