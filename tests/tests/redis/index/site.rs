//! Servers, and what is really on them.

use std::collections::{BTreeMap, BTreeSet};

use session_core::SessionId;
use session_redis::{Layout, RedisStore, RedisStoreBuilder};
use session_tests::servers::{Engine, RedisCluster, RedisServer, Reply};

use crate::connect;

/// What stores are over, and how sessions are stored there.
pub(crate) struct Site {
    servers: Servers,
    pub(crate) layout: Layout,
}

enum Servers {
    One(Box<RedisServer>),
    /// With the places of its masters.
    Cluster(RedisCluster, Vec<usize>),
}

impl Site {
    pub(crate) fn one(layout: Layout) -> Self {
        let servers = Servers::One(Box::new(RedisServer::start(Engine::Redis7)));
        Self { servers, layout }
    }

    pub(crate) fn cluster(layout: Layout) -> Self {
        let cluster = RedisCluster::start(Engine::Redis7);
        let is_master = |node: &RedisServer| {
            let role = node.command(&["INFO", "replication"]).field("role");
            role.as_deref() == Some("master")
        };
        let masters = (0..6).filter(|i| is_master(&cluster.nodes()[*i])).collect();
        let servers = Servers::Cluster(cluster, masters);
        Self { servers, layout }
    }

    pub(crate) fn name(&self) -> &'static str {
        match &self.servers {
            Servers::One(_) => "standalone",
            Servers::Cluster(..) => "cluster",
        }
    }

    /// Those that hold keys.
    pub(crate) fn masters(&self) -> Vec<&RedisServer> {
        match &self.servers {
            Servers::One(server) => vec![server],
            Servers::Cluster(cluster, masters) => {
                masters.iter().map(|i| &cluster.nodes()[*i]).collect()
            }
        }
    }

    fn url(&self) -> String {
        match &self.servers {
            Servers::One(server) => server.url(),
            Servers::Cluster(cluster, _) => cluster.url(),
        }
    }

    /// A store with connections of its own, as another process has. It is patient: machines may be
    /// busy.
    pub(crate) async fn store(&self, prefix: &str) -> RedisStore {
        patient(RedisStore::builder(self.url()), prefix, self.layout).await
    }

    pub(crate) fn empty(&self) {
        for node in self.masters() {
            assert_eq!(node.command(&["FLUSHALL"]).text(), "OK");
        }
    }

    pub(crate) fn truth(&self, prefix: &str) -> Truth {
        let mut truth = Truth::default();
        for node in self.masters() {
            truth.read(node, prefix, self.layout);
        }
        truth
    }
}

/// A store for which no busy machine is too slow.
pub(crate) async fn patient(
    builder: RedisStoreBuilder,
    prefix: &str,
    layout: Layout,
) -> RedisStore {
    connect(builder.prefix(prefix).layout(layout)).await
}

/// Of a patient store: twice its deadline, and 10 s. Any session that lives longer is here to stay.
pub(crate) const PROBATION: i64 = 50_000;

/// The principal of a packed session: its line ends with how long that is.
fn packed_principal(text: &str) -> Option<String> {
    let (line, rest) = text.split_once('\n').unwrap();
    let (_, length) = line.rsplit_once(' ').unwrap();
    Some(rest[..length.parse().ok()?].to_owned())
}

/// What is on the servers.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(crate) sessions: BTreeMap<SessionId, Stored>,
    /// By principal, each entry with its score.
    pub(crate) indexes: BTreeMap<String, BTreeMap<SessionId, f64>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) principal: Option<String>,
    /// Milliseconds.
    pub(crate) ttl: i64,
}

impl Truth {
    pub(crate) fn read(&mut self, node: &RedisServer, prefix: &str, layout: Layout) {
        let keys = node.command(&["KEYS", &format!("{prefix}*")]);
        let keys: Vec<_> = keys.items().iter().map(Reply::text).collect();
        let index = format!("{prefix}principal:");
        let (indexes, sessions): (Vec<_>, Vec<_>) =
            keys.iter().partition(|key| key.starts_with(&index));
        let owned: Vec<_> = match layout {
            Layout::Packed => sessions.iter().map(|key| vec!["GET", key]).collect(),
            _ => sessions.iter().map(|key| vec!["HGET", key, "p"]).collect(),
        };
        let asked: Vec<&[&str]> = owned.iter().map(Vec::as_slice).collect();
        let owners = node.commands(&asked);
        let asked: Vec<[&str; 2]> = sessions.iter().map(|key| ["PTTL", key.as_str()]).collect();
        let asked: Vec<&[&str]> = asked.iter().map(<[_; 2]>::as_slice).collect();
        for ((key, owner), ttl) in sessions.iter().zip(owners).zip(node.commands(&asked)) {
            let principal = match owner {
                Reply::Nil => None,
                text if layout == Layout::Packed => packed_principal(&text.text()),
                owner => Some(owner.text()),
            };
            let ttl = ttl.integer();
            // -2: gone since the first question.
            if ttl != -2 {
                let id = key[prefix.len()..].parse().unwrap();
                self.sessions.insert(id, Stored { principal, ttl });
            }
        }
        for key in indexes {
            let entries = node.command(&["ZRANGE", key, "0", "-1", "WITHSCORES"]);
            let entries = entries.items().chunks_exact(2);
            let entries = entries.map(|pair| {
                (
                    pair[0].text().parse().unwrap(),
                    pair[1].text().parse().unwrap(),
                )
            });
            self.indexes
                .insert(key[index.len()..].to_owned(), entries.collect());
        }
    }

    pub(crate) fn is_indexed(&self, id: SessionId, principal: &str) -> bool {
        self.indexes
            .get(principal)
            .is_some_and(|index| index.contains_key(&id))
    }

    /// The sessions of a principal.
    pub(crate) fn of(&self, principal: &str) -> BTreeSet<SessionId> {
        let theirs = |stored: &Stored| stored.principal.as_deref() == Some(principal);
        let theirs = self.sessions.iter().filter(|(_, stored)| theirs(stored));
        theirs.map(|(id, _)| *id).collect()
    }

    /// The entries of a principal.
    pub(crate) fn entries(&self, principal: &str) -> BTreeSet<SessionId> {
        let index = self.indexes.get(principal);
        index
            .map(|index| index.keys().copied().collect())
            .unwrap_or_default()
    }

    /// The sessions that no index knows and that do not end soon by themselves.
    pub(crate) fn lost(&self, probation: i64) -> Vec<(SessionId, &Stored)> {
        let is_lost = |(id, stored): &(&SessionId, &Stored)| {
            let known = |principal| self.is_indexed(**id, principal);
            (stored.ttl < 0 || stored.ttl > probation)
                && stored.principal.as_deref().is_some_and(|p| !known(p))
        };
        let lost = self.sessions.iter().filter(is_lost);
        lost.map(|(id, stored)| (*id, stored)).collect()
    }
}
