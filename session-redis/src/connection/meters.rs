//! What a recorder of metrics is told of connections, if this program has the feature `metrics`.

#[cfg(feature = "metrics")]
use metrics::{Counter, counter, describe_counter};

/// A store is made. The counts begin at zero, so that the first one of a kind is seen as a rise.
pub(super) fn begin() {
    #[cfg(feature = "metrics")]
    {
        let _ = made();
        let _ = failed();
    }
}

/// There is a connection, the first one or another one.
pub(super) fn connected() {
    #[cfg(feature = "metrics")]
    made().increment(1);
}

/// An attempt to connect has failed.
pub(super) fn cannot_connect() {
    #[cfg(feature = "metrics")]
    failed().increment(1);
}

#[cfg(feature = "metrics")]
fn made() -> Counter {
    const NAME: &str = "session_connections_total";
    describe_counter!(NAME, "Connections to the servers of a store");
    counter!(NAME, "store" => "redis")
}

#[cfg(feature = "metrics")]
fn failed() -> Counter {
    const NAME: &str = "session_connection_failures_total";
    describe_counter!(NAME, "Failures to connect to the servers of a store");
    counter!(NAME, "store" => "redis")
}

#[cfg(all(test, feature = "metrics"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use crate::RedisStore;

    /// Nobody listens at this address, and nobody asks.
    #[tokio::test]
    async fn both_counts_are_zero_when_a_store_is_made() {
        let recorder = DebuggingRecorder::new();
        let counts = recorder.snapshotter();
        let _recorder = metrics::set_default_local_recorder(&recorder);
        let _store = RedisStore::builder("redis://127.0.0.1:1/").lazy().unwrap();
        let mut counts: Vec<_> = counts
            .snapshot()
            .into_vec()
            .into_iter()
            .map(|(key, _, _, value)| (key.key().name().to_owned(), value))
            .collect();
        counts.sort_by(|one, other| one.0.cmp(&other.0));
        let zero = |name: &str| (name.to_owned(), DebugValue::Counter(0));
        let expected = [
            zero("session_connection_failures_total"),
            zero("session_connections_total"),
        ];
        assert_eq!(counts, expected);
    }
}
