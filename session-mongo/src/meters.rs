//! What a recorder of metrics is told of connections.

use metrics::{Counter, counter, describe_counter};
use mongodb::event::EventHandler;
use mongodb::event::cmap::{CmapEvent, ConnectionClosedReason};

const MADE: &str = "session_connections_total";
const FAILED: &str = "session_connection_failures_total";

/// Counts the connections that the driver makes, and those that it cannot make or that break. The
/// counts begin at zero here, so that the first one of a kind is seen as a rise.
pub(crate) fn handler() -> EventHandler<CmapEvent> {
    let _ = made();
    let _ = failed();
    EventHandler::callback(|event| match event {
        CmapEvent::ConnectionReady(_) => made().increment(1),
        CmapEvent::ConnectionClosed(closed) if closed.reason == ConnectionClosedReason::Error => {
            failed().increment(1);
        }
        _ => {}
    })
}

fn made() -> Counter {
    describe_counter!(MADE, "Connections to the servers of a store");
    counter!(MADE, "store" => "mongodb")
}

fn failed() -> Counter {
    describe_counter!(FAILED, "Failures to connect to the servers of a store");
    counter!(FAILED, "store" => "mongodb")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use super::*;

    /// Nobody listens at this address, and nobody asks.
    #[tokio::test]
    async fn both_counts_are_zero_when_a_client_is_made() {
        let recorder = DebuggingRecorder::new();
        let counts = recorder.snapshotter();
        let _recorder = metrics::set_default_local_recorder(&recorder);
        let client = crate::uri::client("mongodb://127.0.0.1:1/", Duration::from_secs(1)).await;
        assert!(client.is_ok());
        let mut counts: Vec<_> = counts
            .snapshot()
            .into_vec()
            .into_iter()
            .map(|(key, _, _, value)| (key.key().name().to_owned(), value))
            .collect();
        counts.sort_by(|one, other| one.0.cmp(&other.0));
        let zero = |name: &str| (name.to_owned(), DebugValue::Counter(0));
        assert_eq!(counts, [zero(FAILED), zero(MADE)]);
    }
}
