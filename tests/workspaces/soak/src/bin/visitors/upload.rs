//! A body that takes 20 s to arrive.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use reqwest::{Body, Method};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::browser::{Answer, Browser};

const PIECES: u32 = 20;
const EACH: Duration = Duration::from_secs(1);
/// How long a body takes altogether.
pub(crate) const UPLOAD: Duration = EACH.saturating_mul(PIECES);

/// One that is under way.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) key: &'static str,
    pub(crate) number: u64,
    pub(crate) began: Instant,
    task: JoinHandle<Answer>,
}

impl Upload {
    /// Every other one lets the site ask for the session before the body has arrived.
    pub(crate) fn begin(browser: Arc<Browser>, key: &'static str, number: u64) -> Self {
        let ask = if number.is_multiple_of(2) {
            "first"
        } else {
            "last"
        };
        let query = format!("key={key}&number={number}&ask={ask}");
        let task = tokio::spawn(async move {
            let body = Body::wrap_stream(stream::unfold(0, piece));
            let body = Some(body);
            browser.send(Method::POST, "/upload", &query, body).await
        });
        Self {
            key,
            number,
            began: Instant::now(),
            task,
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    pub(crate) async fn finish(self) -> Answer {
        self.task.await.unwrap_or(Answer::Unknown)
    }
}

async fn piece(sent: u32) -> Option<(Result<Bytes, Infallible>, u32)> {
    if sent == PIECES {
        return None;
    }
    sleep(EACH).await;
    Some((Ok(Bytes::from_static(&[b'x'; 1024])), sent + 1))
}
