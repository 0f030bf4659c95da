//! The response, and the commit that comes before it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::CACHE_CONTROL;
use http::{HeaderValue, Response, StatusCode};
use pin_project_lite::pin_project;
use session_core::{Directive, Session};

use crate::error::{Error, OnError};
use crate::slot::Slot;

pin_project! {
    /// The response of a [`SessionService`](crate::SessionService).
    ///
    /// It runs the inner service, then commits its session, then hands the response on. For a
    /// request that did not ask for its session nothing is boxed.
    pub struct ResponseFuture<F, B, E, H> {
        #[pin]
        stage: Stage<F>,
        result: Option<Result<Response<B>, E>>,
        slot: Option<Arc<Slot>>,
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
    /// Without creating or renewing, since the response cannot carry a token.
    CommitKeepingToken,
    Abort,
}

impl<F, B, E, H> ResponseFuture<F, B, E, H> {
    /// Without a slot, the inner response is handed on as it is.
    pub(crate) fn new(future: F, slot: Option<Arc<Slot>>, on_error: H) -> Self {
        Self {
            stage: Stage::Inner { future },
            result: None,
            slot,
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
                StageProjection::Refused { error } => return Poll::Ready(Ok(this.on_error.respond(error))),
                StageProjection::Inner { future } => {
                    let result = ready!(future.poll(context));
                    let Some(slot) = this.slot.as_ref() else {
                        return Poll::Ready(result);
                    };
                    match slot.opened() {
                        None => return Poll::Ready(result),
                        Some(Err(error)) => {
                            // A service that handed the failed load on is answered for.
                            let result = result.or_else(|_| Ok(this.on_error.respond(error)));
                            return Poll::Ready(read(slot, result));
                        }
                        Some(Ok(session)) => {
                            let verdict = judge(slot, &result);
                            if verdict != Verdict::Abort && slot.layer.manager.close(session) {
                                return Poll::Ready(read(slot, result));
                            }
                            *this.result = Some(result);
                            let future = conclude(slot, session, verdict);
                            this.stage.set(Stage::Conclusion { future });
                        }
                    }
                }
                StageProjection::Conclusion { future } => {
                    let Concluded { directive, error } = ready!(future.as_mut().poll(context));
                    let result = match (error, this.result.take()) {
                        (Some(error), dropped) => {
                            Some(Ok(keep_tokens(dropped, this.on_error.respond(&error))))
                        }
                        (None, result) => result,
                    };
                    let (Some(slot), Some(result)) = (this.slot.as_ref(), result) else {
                        // Polled again after it was ready.
                        return Poll::Pending;
                    };
                    return Poll::Ready(read(slot, result).map(|mut response| {
                        slot.tell(&directive, response.headers_mut());
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
            StatusCode::SWITCHING_PROTOCOLS | StatusCode::NOT_MODIFIED => Verdict::CommitKeepingToken,
            _ => Verdict::Commit,
        },
    }
}

fn conclude(slot: &Slot, session: &Session, verdict: Verdict) -> Conclusion {
    let manager = slot.layer.manager.clone();
    let session = session.clone();
    Box::pin(async move {
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

/// What layers further in have told the client of holds, though this one's commit failed.
fn keep_tokens<B, E>(dropped: Option<Result<Response<B>, E>>, mut response: Response<B>) -> Response<B> {
    let Some(Ok(dropped)) = dropped else {
        return response;
    };
    for (name, value) in dropped.headers().iter().filter(|(_, value)| value.is_sensitive()) {
        response.headers_mut().append(name, value.clone());
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// Notes on a response that it depends on the session.
fn read<B, E>(slot: &Slot, result: Result<Response<B>, E>) -> Result<Response<B>, E> {
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
