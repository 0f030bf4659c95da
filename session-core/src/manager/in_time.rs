//! A call of the store, within its deadline.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::error::StoreError;
use crate::manager::SessionManager;
use crate::time::{Elapsed, Within, within};

/// The cause of a store error that is a deadline.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the store did not answer within its deadline")]
pub(crate) struct DeadlinePassed;

/// What a call comes to that is not answered in time.
type Unanswered = fn(DeadlinePassed) -> StoreError;

/// A call of the store, within its deadline.
pub(crate) struct InTime<'c, F> {
    call: Within<'c, F>,
    unanswered: Unanswered,
}

impl<T, F: Future<Output = Result<T, StoreError>> + Unpin> Future for InTime<'_, F> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let unanswered = self.unanswered;
        let answer = Pin::new(&mut self.call).poll(context);
        answer.map(|answer| answer.unwrap_or_else(|Elapsed| Err(unanswered(DeadlinePassed))))
    }
}

impl SessionManager {
    /// One call of the store, within its deadline.
    pub(crate) fn in_time<F>(&self, call: F, unanswered: Unanswered) -> InTime<'_, F> {
        let clock = &*self.shared.clock;
        let call = match self.shared.keeps_time {
            true => Within::unlimited(clock, call),
            false => within(clock, self.shared.deadlines.call, call),
        };
        InTime { call, unanswered }
    }

    /// The same with another deadline, which no store keeps by itself.
    pub(crate) fn answer_within<F>(
        &self,
        limit: Duration,
        call: F,
        unanswered: Unanswered,
    ) -> InTime<'_, F> {
        let call = within(&*self.shared.clock, limit, call);
        InTime { call, unanswered }
    }
}
