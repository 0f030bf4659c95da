//! One address of a server.

use std::time::Duration;

use redis::io::tcp::socket2::TcpKeepalive;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion};
use session_core::ConfigError;

/// After this long without traffic the system probes whether the other end is still there.
const IDLE: Duration = Duration::from_secs(15);
/// The time between two probes.
const PROBE: Duration = Duration::from_secs(5);
/// After this many probes the system gives the connection up. Where the system can be told, data
/// that was sent is waited for as long as all probes take.
const PROBES: u32 = 3;

/// The parameters that are allowed behind the `?`.
const PARAMETERS: [&str; 4] = ["protocol", "db", "user", "pass"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Tcp,
    Tls,
    Socket,
}

/// Reads a URL of one server, and sets what every connection here wants.
pub(super) fn address_of_url(url: &str) -> Result<ConnectionInfo, ConfigError> {
    let refuse = |text| Err(ConfigError::new(text));
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let transport = match scheme {
        "rediss" | "valkeys" => Transport::Tls,
        _ if scheme.ends_with("unix") => Transport::Socket,
        _ => Transport::Tcp,
    };
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    refuse_misplaced(address, query, transport)?;
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let name = parameter.split('=').next().unwrap_or_default();
        if !PARAMETERS.contains(&name) || (transport != Transport::Socket && name != "protocol") {
            return refuse(
                "the Redis URL has a parameter that is not known; there is protocol, and for \
                 sockets db, user and pass",
            );
        }
    }
    if transport == Transport::Tls && !cfg!(feature = "tls") {
        return refuse("TLS needs the feature `tls` of session-redis");
    }
    let info = url.into_connection_info().map_err(|error| wrong(&error))?;
    if info.redis_settings().db() < 0 {
        return refuse("the number of the database in the Redis URL is negative");
    }
    if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
        return refuse("#insecure is not supported: give the server's root certificate instead");
    }
    match query.contains("protocol=") {
        true => Ok(undelayed(info)),
        false => Ok(tuned(info)),
    }
}

/// Refuses characters that the driver would ignore, or refuse with another cause.
fn refuse_misplaced(address: &str, query: &str, transport: Transport) -> Result<(), ConfigError> {
    let refuse = |text| Err(ConfigError::new(text));
    // A username and a password may have an &. A path is shown, so a part of a password must not
    // be taken for one.
    let end = address.find(['/', '#']).unwrap_or(address.len());
    let (authority, path) = address.split_at(end);
    let misplaced = match transport {
        Transport::Socket => path.split('&').skip(1).any(|part| part.contains('=')),
        _ => path.contains('&'),
    };
    if misplaced {
        return refuse(
            "the Redis URL has an & before its ?; the first parameter stands behind ?, the others \
             behind &; in the path of a socket write it as %26",
        );
    }
    if transport != Transport::Tls && (path.contains('#') || query.contains('#')) {
        return refuse(
            "the Redis URL has a # and a fragment behind it; the #name of a primary goes with \
             redis-sentinel://, and in a path or a password a # is written as %23",
        );
    }
    let hosts = authority.rsplit('@').next().unwrap_or_default();
    if transport != Transport::Socket && hosts.contains(',') {
        return refuse(
            "the Redis URL names several hosts; that is for redis-cluster:// and for \
             redis-sentinel://",
        );
    }
    Ok(())
}

/// The driver's text says which part is wrong. In front of ` - ` it quotes nothing.
fn wrong(error: &redis::RedisError) -> ConfigError {
    let text = error.to_string();
    let text = text.split(" - ").next().unwrap_or_default();
    ConfigError::new(format!(
        "the Redis URL is wrong ({text}); it is like redis://user:password@host:6379/0, with / ? # \
         @ percent-encoded in user and password"
    ))
}

/// The same address with RESP3, by which the driver learns at once that a connection was closed.
pub(crate) fn tuned(info: ConnectionInfo) -> ConnectionInfo {
    let settings = info
        .redis_settings()
        .clone()
        .set_protocol(ProtocolVersion::RESP3);
    undelayed(info).set_redis_settings(settings)
}

fn undelayed(info: ConnectionInfo) -> ConnectionInfo {
    let mut tcp = info.tcp_settings().clone().set_nodelay(true);
    if tcp.keepalive().is_none() {
        let keepalive = TcpKeepalive::new().with_time(IDLE).with_interval(PROBE);
        tcp = tcp.set_keepalive(keepalive.with_retries(PROBES));
    }
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    if tcp.user_timeout().is_none() {
        tcp = tcp.set_user_timeout(PROBE * PROBES);
    }
    info.set_tcp_settings(tcp)
}
