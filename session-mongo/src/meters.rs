//! What a recorder of metrics is told of connections.

use mongodb::event::EventHandler;
use mongodb::event::cmap::{CmapEvent, ConnectionClosedReason};

/// Counts the connections that the driver makes, and those that fail.
pub(crate) fn handler() -> EventHandler<CmapEvent> {
    EventHandler::callback(|event| match event {
        CmapEvent::ConnectionReady(_) => {
            metrics::counter!("session_connections_total", "store" => "mongodb").increment(1);
        }
        CmapEvent::ConnectionClosed(closed) if closed.reason == ConnectionClosedReason::Error => {
            metrics::counter!("session_connection_failures_total", "store" => "mongodb")
                .increment(1);
        }
        _ => {}
    })
}
