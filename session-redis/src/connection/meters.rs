//! What a recorder of metrics is told of connections, if this program has the feature `metrics`.

/// There is a connection, the first one or another one.
pub(super) fn connected() {
    #[cfg(feature = "metrics")]
    {
        const NAME: &str = "session_connections_total";
        metrics::describe_counter!(NAME, "Connections to the servers of a store");
        metrics::counter!(NAME, "store" => "redis").increment(1);
    }
}

/// An attempt to connect has failed.
pub(super) fn cannot_connect() {
    #[cfg(feature = "metrics")]
    {
        const NAME: &str = "session_connection_failures_total";
        metrics::describe_counter!(NAME, "Failures to connect to the servers of a store");
        metrics::counter!(NAME, "store" => "redis").increment(1);
    }
}
