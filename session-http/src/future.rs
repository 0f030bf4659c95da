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
use crate::slot::{Held, Slot, Told};

pin_project! {
    /// The response of a [`SessionService`](crate::SessionService).
    ///
    /// It runs the inner service, then commits its session, then hands the response on. For a
    /// request that did not ask for its session nothing is boxed.
    pub struct ResponseFuture<F, B, E, H> {
        #[pin]
        stage: Stage<F>,
        result: Option<Result<Response<B>, E>>,
        slot: Option<Held>,
        on_error: H,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F> {
        Inner { #[pin] future: F },
        Conclusion { future: Conclusion },
        Refused { error: Error },
    }
}

type Conclusion = Pin<Box<dyn Future<Output = Concluded> + Send>>;

/// How the session ended.
struct Concluded {
    directive: Directive,
    error: Option<Error>,
}

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
    pub(crate) fn new(future: F, slot: Option<Arc<Slot>>, on_error: H) -> Self {
        Self {
            stage: Stage::Inner { future },
            result: None,
            slot: slot.map(Held::new),
            on_error,
        }
    }

    pub(crate) fn refused(error: Error, on_error: H) -> Self {
        Self {
            stage: Stage::Refused { error },
            result: None,
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
                    let Some(slot) = this.slot.as_ref() else {
                        return Poll::Ready(result);
                    };
                    match slot.opened() {
                        None => {
                            slot.leave();
                            return Poll::Ready(result);
                        }
                        Some(Err(error)) => {
                            // A service that handed the failed load on is answered for.
                            let result = match result {
                                Ok(response)
                                    if response.extensions().get::<HandedOn>().is_none() =>
                                {
                                    Ok(response)
                                }
                                handed_on => {
                                    Ok(in_place_of(handed_on, this.on_error.respond(error)))
                                }
                            };
                            return Poll::Ready(leave(slot, result));
                        }
                        Some(Ok(session)) => {
                            let verdict = judge(slot, &result);
                            if verdict != Verdict::Abort && slot.layer.manager.close(session) {
                                return Poll::Ready(leave(slot, result));
                            }
                            *this.result = Some(result);
                            let future = conclude(session, verdict);
                            this.stage.set(Stage::Conclusion { future });
                        }
                    }
                }
                StageProjection::Conclusion { future } => {
                    let Concluded { directive, error } = ready!(future.as_mut().poll(context));
                    let result = match (error, this.result.take()) {
                        (Some(error), Some(dropped)) => {
                            Some(Ok(in_place_of(dropped, this.on_error.respond(&error))))
                        }
                        (_, result) => result,
                    };
                    let (Some(slot), Some(result)) = (this.slot.as_ref(), result) else {
                        // Polled again after it was ready.
                        return Poll::Pending;
                    };
                    return Poll::Ready(leave(slot, result).map(|mut response| {
                        slot.tell(&directive, &mut response);
                        response
                    }));
                }
            }
        }
    }
}

fn judge<B, E>(slot: &Slot, result: &Result<Response<B>, E>) -> Verdict {
    match result {
        Err(_) => Verdict::Abort,
        Ok(response) => match response.status() {
            status if !(slot.layer.commit_if)(status, response.headers()) => Verdict::Abort,
            StatusCode::SWITCHING_PROTOCOLS | StatusCode::NOT_MODIFIED => {
                Verdict::CommitKeepingToken
            }
            _ => Verdict::Commit,
        },
    }
}

fn conclude(session: &Session, verdict: Verdict) -> Conclusion {
    let session = session.clone();
    Box::pin(async move {
        let manager = session.manager();
        let committed = match verdict {
            Verdict::Commit => manager.commit(&session).await,
            Verdict::CommitKeepingToken => manager.commit_keeping_token(&session).await,
            Verdict::Abort => Ok(manager.abort(&session).await),
        };
        match committed {
            Ok(directive) => Concluded {
                directive,
                error: None,
            },
            Err(error) => Concluded {
                // A session that was destroyed before the failure is to be forgotten all the same.
                directive: manager.abort(&session).await,
                error: Some(error.into()),
            },
        }
    })
}

/// The response that takes the place of another one. What layers further in have told the
/// client in that one is told in this one.
fn in_place_of<B, E>(dropped: Result<Response<B>, E>, mut response: Response<B>) -> Response<B> {
    let told = dropped
        .ok()
        .and_then(|mut dropped| dropped.extensions_mut().remove::<Told>());
    if let Some(told) = told {
        told.again(&mut response);
    }
    response
}

/// Lets a response leave, with a note on it that it depends on the session. The future may be kept
/// for longer, but the slot is over.
fn leave<B, E>(slot: &Slot, result: Result<Response<B>, E>) -> Result<Response<B>, E> {
    slot.leave();
    result.map(|mut response| {
        slot.layer.transport.vary(response.headers_mut());
        response
    })
}

impl<F, B, E, H> fmt::Debug for ResponseFuture<F, B, E, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
