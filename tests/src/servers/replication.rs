//! Whether replicas have what their masters have.

use super::{RedisServer, Reply};

/// What `server` says of its replication, if it is up and answers.
pub(super) fn info(server: &RedisServer) -> Option<Reply> {
    let info = || server.try_command(&["INFO", "replication"]).ok();
    server.is_up().then(info)?
}

/// Whether it says that it is a master.
pub(super) fn is_master(server: &RedisServer) -> bool {
    info(server)
        .and_then(|info| info.field("role"))
        .is_some_and(|role| role == "master")
}

/// A replica that has all of its master's data, or a master that sends each write to its replicas
/// at once.
///
/// A replica believes the first up to a second before its master does the second.
pub(super) fn is_in_step(server: &RedisServer) -> Option<bool> {
    let info = info(server)?;
    if info.field("role")? == "master" {
        let text = info.text();
        let mut replicas = text
            .lines()
            .filter(|line| line.starts_with("slave") && line.contains("state="));
        Some(replicas.all(|line| line.contains("state=online")))
    } else {
        Some(info.field("master_link_status")? == "up")
    }
}
