//! What a recorder of metrics is told of connections.

use metrics::{counter, describe_counter};
use mongodb::event::EventHandler;
use mongodb::event::cmap::{CmapEvent, ConnectionClosedReason};

const MADE: &str = "session_connections_total";
const FAILED: &str = "session_connection_failures_total";

/// Counts the connections that the driver makes, and those that it cannot make or that break.
pub(crate) fn handler() -> EventHandler<CmapEvent> {
    EventHandler::callback(|event| match event {
        CmapEvent::ConnectionReady(_) => {
            describe_counter!(MADE, "Connections to the servers of a store");
            counter!(MADE, "store" => "mongodb").increment(1);
        }
        CmapEvent::ConnectionClosed(closed) if closed.reason == ConnectionClosedReason::Error => {
            describe_counter!(FAILED, "Failures to connect to the servers of a store");
            counter!(FAILED, "store" => "mongodb").increment(1);
        }
        _ => {}
    })
}
