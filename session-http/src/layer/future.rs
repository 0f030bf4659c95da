//! The response, and the commit that comes before it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Response, StatusCode};
use pin_project_lite::pin_project;
use session_core::{Directive, FinishError, Outcome, SessionGuard};

use crate::error::{Error, OnError};
use crate::layer::{exchange, is_handed_on, shape};
use crate::request::{Announced, RequestGuard, Slot};

pin_project! {
    /// The response of a [`SessionService`](crate::layer::SessionService).
    ///
    /// It runs the inner service, then commits its session, then returns the response. It boxes
    /// nothing for a request that did not ask for its session.
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

type Commit = Pin<Box<dyn Future<Output = Result<Directive, FinishError>> + Send>>;

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
                    let guard = match slot.close() {
                        None => {
                            return Poll::Ready(shape(result, this.on_error));
                        }
                        Some(Err(error)) => {
                            let result = not_loaded(result, &error, this.on_error);
                            return Poll::Ready(vary(slot, result));
                        }
                        Some(Ok(guard)) => guard,
                    };
                    let outcome = judge(slot, &result);
                    if guard.finish_now(outcome).is_some() {
                        return Poll::Ready(vary(slot, shape(result, this.on_error)));
                    }
                    let commit = commit(guard, outcome);
                    let result = Some(result);
                    this.stage.set(Stage::Commit { commit, result });
                }
                StageProjection::Commit { commit, result } => {
                    let committed = ready!(commit.as_mut().poll(context));
                    let (Some(RequestGuard(slot)), Some(result)) = (this.slot, result.take())
                    else {
                        // Polled again after it was ready.
                        return Poll::Pending;
                    };
                    let (directive, result) = match committed {
                        Ok(directive) => (directive, shape(result, this.on_error)),
                        Err(failed) => {
                            let response = this.on_error.respond(&failed.error.into());
                            (failed.directive, Ok(replace(result, response)))
                        }
                    };
                    return Poll::Ready(vary(slot, result).map(|mut response| {
                        slot.announce(&directive, &mut response);
                        response
                    }));
                }
            }
        }
    }
}

/// The response where the session could not be loaded. A service that hands on that error gets one.
/// A response of its own making stays.
fn not_loaded<B, E>(
    result: Result<Response<B>, E>,
    error: &Error,
    on_error: &impl OnError<B>,
) -> Result<Response<B>, E> {
    Ok(match result {
        Ok(response) if is_handed_on(&response) => exchange(response, on_error.respond(error)),
        Ok(response) => response,
        Err(_) => on_error.respond(error),
    })
}

/// What the response means for the session: that of the handler, before it is shaped.
fn judge<B, E>(slot: &Slot, result: &Result<Response<B>, E>) -> Outcome {
    let Ok(response) = result else {
        return Outcome::Failure;
    };
    match response.status() {
        status if !(slot.layer().commit_if)(status, response.headers()) => Outcome::Failure,
        StatusCode::SWITCHING_PROTOCOLS | StatusCode::NOT_MODIFIED => Outcome::SuccessWithoutToken,
        _ => Outcome::Success,
    }
}

/// It has the guard, so a request that is dropped in its commit is over too.
fn commit(guard: SessionGuard, outcome: Outcome) -> Commit {
    Box::pin(async move { guard.finish(outcome).await })
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

/// Notes for caches that the response depends on the session.
fn vary<B, E>(slot: &Slot, result: Result<Response<B>, E>) -> Result<Response<B>, E> {
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
