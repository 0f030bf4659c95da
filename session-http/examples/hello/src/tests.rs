use http_body_util::{BodyExt, Empty};
use session_http::testing::TestSessions;

use super::*;

#[tokio::test]
async fn counts_the_visits_of_each_browser() -> Result<(), Error> {
    let sessions = TestSessions::new();
    let service = sessions.layer().layer(service_fn(visit));
    let [ann, bob] = [sessions.client(), sessions.client()];
    for (browser, expected) in [
        (&ann, "visit 1\n"),
        (&ann, "visit 2\n"),
        (&bob, "visit 1\n"),
    ] {
        let request = Request::new(Empty::<Bytes>::new());
        let response = browser.call_hyper(&service, request).await?;
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), expected);
    }
    Ok(())
}
