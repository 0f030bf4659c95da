//! The forms of URLs.

use redis::ConnectionInfo;
use session_core::ConfigError;

use super::address::address_of_url;
use super::settings::ConnectionSettings;

const SCHEMES: [&str; 7] = [
    "redis",
    "rediss",
    "valkey",
    "valkeys",
    "unix",
    "redis+unix",
    "valkey+unix",
];

/// The servers that a URL names.
pub(crate) enum Servers {
    One(ConnectionInfo),
    #[cfg(feature = "cluster")]
    Cluster(Vec<ConnectionInfo>),
    #[cfg(feature = "sentinel")]
    Sentinel {
        sentinels: Vec<ConnectionInfo>,
        /// What the sentinels call the primary.
        name: String,
        /// How to connect to the primary. Its address is a placeholder.
        server: ConnectionInfo,
    },
}

impl Servers {
    pub(crate) fn of_url(url: &str) -> Result<Self, ConfigError> {
        // The driver trims a URL too, and a scheme has no case.
        let url = url.trim_matches(|c: char| c <= ' ');
        let (scheme, rest) = url.split_once("://").ok_or_else(unknown)?;
        let scheme = &*scheme.to_ascii_lowercase();
        // Hosts, paths and names are shown. A part of a password must not be taken for one.
        let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        if !scheme.ends_with("unix") && rest[authority..].contains('@') {
            return Err(ConfigError::new(
                "the Redis URL has an @ too late; percent-encode / ? # @ in the username and \
                 password, or set them apart",
            ));
        }
        match scheme.split_once('-') {
            None if SCHEMES.contains(&scheme) => {
                Ok(Self::One(address_of_url(&format!("{scheme}://{rest}"))?))
            }
            Some((scheme @ ("redis" | "rediss" | "valkey" | "valkeys"), kind)) => match kind {
                "cluster" => Self::of_cluster(scheme, rest),
                "sentinel" => Self::of_sentinel(scheme, rest),
                _ => Err(unknown()),
            },
            _ => Err(unknown()),
        }
    }

    fn of_cluster(scheme: &str, rest: &str) -> Result<Self, ConfigError> {
        let (user, hosts, path) = parts(rest);
        let node = |host| address_of_url(&format!("{scheme}://{user}{host}{path}"));
        let nodes = hosts.map(node).collect::<Result<Vec<_>, _>>()?;
        #[cfg(not(feature = "cluster"))]
        return Err(needs_feature("a Cluster", "cluster", nodes));
        #[cfg(feature = "cluster")]
        Ok(Self::Cluster(nodes))
    }

    fn of_sentinel(scheme: &str, rest: &str) -> Result<Self, ConfigError> {
        let named = rest.split_once('#').filter(|(_, name)| !name.is_empty());
        let (rest, name) = named.ok_or_else(|| {
            ConfigError::new("the redis-sentinel URL lacks the name of the primary: append #name")
        })?;
        // Names are shown. What follows a # in a password must not be taken for one.
        if name.contains(['@', '#', '/', '?', ':', '&', '=']) {
            return Err(ConfigError::new(
                "the redis-sentinel URL ends with #name, and a name has none of @ # / ? : & =; \
                 percent-encode a # in the password as %23",
            ));
        }
        let (user, hosts, path) = parts(rest);
        let sentinel = |host: &str| {
            let port = if has_port(host) { "" } else { ":26379" };
            address_of_url(&format!("{scheme}://{host}{port}"))
        };
        let sentinels = hosts.map(sentinel).collect::<Result<Vec<_>, _>>()?;
        let server = address_of_url(&format!("{scheme}://{user}primary.invalid{path}"))?;
        #[cfg(not(feature = "sentinel"))]
        return Err(needs_feature("Sentinel", "sentinel", (sentinels, server)));
        #[cfg(feature = "sentinel")]
        Ok(Self::Sentinel {
            sentinels,
            name: name.to_owned(),
            server,
        })
    }

    /// The same servers with what the application has set apart from the URL.
    pub(crate) fn with_credentials(
        self,
        settings: &ConnectionSettings,
    ) -> Result<Self, ConfigError> {
        let credentials = &settings.credentials;
        match self {
            Self::One(info) => Ok(Self::One(credentials.put_into(info)?)),
            #[cfg(feature = "cluster")]
            Self::Cluster(nodes) => {
                let nodes = nodes.into_iter().map(|node| credentials.put_into(node));
                let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
                if nodes.iter().any(|node| node.redis_settings().db() != 0) {
                    return Err(ConfigError::new(
                        "a Cluster has database 0 only; keep data apart by prefix",
                    ));
                }
                Ok(Self::Cluster(nodes))
            }
            #[cfg(feature = "sentinel")]
            Self::Sentinel {
                sentinels,
                name,
                server,
            } => {
                let put = |info| settings.sentinel_credentials.put_into(info);
                let sentinels = sentinels.into_iter().map(put);
                let sentinels = sentinels.collect::<Result<_, _>>()?;
                Ok(Self::Sentinel {
                    sentinels,
                    name,
                    server: credentials.put_into(server)?,
                })
            }
        }
    }
}

/// The user and password with their `@`, the hosts, and the rest from `/` or `?` on.
fn parts(rest: &str) -> (&str, impl Iterator<Item = &str>, &str) {
    let authority = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority);
    let hosts = authority.rfind('@').map_or(0, |at| at + 1);
    let (user, hosts) = authority.split_at(hosts);
    (user, hosts.split(','), path)
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':')
        .is_some_and(|(_, port)| !port.contains(']'))
}

fn unknown() -> ConfigError {
    ConfigError::new(
        "not a URL of Redis: it begins with redis://, rediss://, unix://, redis-cluster:// or \
         redis-sentinel://",
    )
}

/// The URL is right, so its parts were read for nothing.
#[cfg(not(all(feature = "cluster", feature = "sentinel")))]
fn needs_feature<T>(what: &str, feature: &str, _parts: T) -> ConfigError {
    ConfigError::new(format!(
        "{what} needs the feature `{feature}` of session-redis"
    ))
}

#[cfg(all(test, feature = "cluster", feature = "sentinel", feature = "tls"))]
mod tests;
