//! A persistent cookie keeps up with its session, also where a 304 was what recorded the activity.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::time::Duration;

use common::*;
use http::{Request, Response, StatusCode};
use session_core::Lifetime;
use session_http::{Error, SessionExt, SessionLayer};

/// The cookies that a page or a 304 sets for a handler that only reads.
async fn reads(layer: &SessionLayer, token: &str, status: StatusCode) -> Vec<String> {
    let response = run(layer, holding(token), |request: Request<()>| async move {
        assert!(!request.session().await?.is_new(), "signed out");
        let mut response = Response::new(String::new());
        *response.status_mut() = status;
        Ok::<_, Error>(response)
    });
    set_cookies(&response.await.unwrap())
}

#[tokio::test]
async fn who_gets_a_304_every_minute_keeps_the_cookie() {
    let half_an_hour = Duration::from_secs(1_800);
    let lifetime = Lifetime::new(half_an_hour, half_an_hour * 48)
        .unwrap()
        .persistent();
    let (layer, _, clock) = layer_with(|builder| builder.lifetime(lifetime));
    let token = stored(&layer).await;
    for _ in 0..116 {
        clock.advance(Duration::from_secs(62));
        assert!(
            reads(&layer, &token, StatusCode::NOT_MODIFIED)
                .await
                .is_empty()
        );
        let told = reads(&layer, &token, StatusCode::OK).await;
        let [cookie] = &told[..] else {
            panic!("the page moves the cookie's end: {told:?}")
        };
        assert!(
            cookie.contains(&token) && cookie.contains("Max-Age=1800"),
            "{cookie}"
        );
        assert!(
            reads(&layer, &token, StatusCode::OK).await.is_empty(),
            "once"
        );
    }
}
