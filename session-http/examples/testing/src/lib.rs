//! Tests of handlers, without a server: a signed-in request, a clock that the test moves, requests
//! at the same moment, and a store that fails.
//!
//! ```text
//! cargo test -p testing
//! ```

use axum::http::StatusCode;
use axum::routing::{Router, post};
use session_http::axum::CurrentSession;
use session_http::{Error, SessionLayer, TypedKey};

const POINTS: TypedKey<u32> = TypedKey::new("points");

async fn collect(session: CurrentSession) -> Result<StatusCode, Error> {
    if session.principal().is_none() {
        return Ok(StatusCode::UNAUTHORIZED);
    }
    session
        .at(POINTS)
        .update(|points| points.unwrap_or(0) + 1)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The application takes its sessions as an argument, so a test can pass its own.
pub fn app(sessions: SessionLayer) -> Router {
    Router::new()
        .route("/points", post(collect))
        .layer(sessions)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::{body::Body, http::Request};
    use session_http::testing::{StoreFault, TestClient, TestSessions};

    use super::*;

    async fn collect(sessions: &TestSessions, client: &TestClient) -> Result<StatusCode, Error> {
        let request = Request::post("/points").body(Body::empty()).unwrap();
        let response = client.call(&mut app(sessions.layer()), request).await;
        Ok(response.unwrap().status())
    }

    #[tokio::test]
    async fn points_are_for_those_who_are_signed_in() -> Result<(), Error> {
        let sessions = TestSessions::new();
        let ann = sessions.signed_in("ann").await?;
        assert_eq!(collect(&sessions, &ann).await?, StatusCode::NO_CONTENT);
        assert_eq!(ann.session().await?.at(POINTS).get()?, Some(1));

        sessions.advance(Duration::from_secs(3 * 3600)); // idle for 3 hours; the timeout is 2
        assert_eq!(collect(&sessions, &ann).await?, StatusCode::UNAUTHORIZED);
        Ok(())
    }

    #[tokio::test]
    async fn a_double_click_counts_twice() -> Result<(), Error> {
        let sessions = TestSessions::new();
        let ann = sessions.signed_in("ann").await?;
        let both = tokio::join!(collect(&sessions, &ann), collect(&sessions, &ann));
        both.0.and(both.1)?;
        assert_eq!(ann.session().await?.at(POINTS).get()?, Some(2));
        Ok(())
    }

    #[tokio::test]
    async fn a_store_that_is_down_is_a_503() -> Result<(), Error> {
        let sessions = TestSessions::new();
        let ann = sessions.signed_in("ann").await?;
        sessions.fail_store_next(1, StoreFault::Unavailable);
        let status = collect(&sessions, &ann).await?;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        Ok(())
    }
}
