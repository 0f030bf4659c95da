//! What a recorder of metrics is told of connections, if this program has the feature `metrics`.

/// There is a connection, the first one or another one.
pub(super) fn connected() {
    #[cfg(feature = "metrics")]
    metrics::counter!("session_connections_total", "store" => "redis").increment(1);
}

/// An attempt to connect has failed.
pub(super) fn cannot_connect() {
    #[cfg(feature = "metrics")]
    metrics::counter!("session_connection_failures_total", "store" => "redis").increment(1);
}
