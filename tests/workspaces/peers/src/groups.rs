//! Who is compared with whom.

use session_http::redis::Layout;

use crate::mongo::{self, Way};
use crate::ours::Cache;
use crate::subject::Subject;
use crate::{BoxError, actix, axum_session, ours, redis, tower_sessions};

/// What was asked for on the command line: `--redis URL --mongo URI --mongo-set URI
/// [filter]...`.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub redis: Option<String>,
    pub mongo: Option<String>,
    /// A replica set of one server, for what needs one.
    pub mongo_set: Option<String>,
    pub filters: Vec<String>,
}

impl Options {
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, BoxError> {
        let mut options = Self::default();
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--redis" => options.redis = arguments.next(),
                "--mongo" => options.mongo = arguments.next(),
                "--mongo-set" => options.mongo_set = arguments.next(),
                _ => options.filters.push(argument),
            }
        }
        Ok(options)
    }

    /// Whether a filter has chosen this scenario; without filters, all are chosen.
    pub fn wants(&self, scenario: &str) -> bool {
        let mut filters = self.filters.iter();
        self.filters.is_empty() || filters.any(|filter| scenario.contains(&**filter))
    }
}

/// A store, and so many tasks that use it at once.
#[derive(Clone, Debug)]
pub struct Group {
    pub store: &'static str,
    pub tasks: usize,
}

/// Those who take part: ours first, and what is to be subtracted from whom.
pub struct Parties {
    pub ours: Box<dyn Subject>,
    pub peers: Vec<Box<dyn Subject>>,
    pub bare: Box<dyn Subject>,
    /// The bare service of peers that are not tower services.
    pub their_bare: Option<Box<dyn Subject>>,
}

/// All groups, those of servers that are there.
pub fn groups(options: &Options) -> Vec<Group> {
    let mut groups = Vec::new();
    for store in [
        "memory",
        "memory sealed",
        "memory metered",
        "cookie",
        "redis",
        "redis sealed",
        "redis metered",
        "redis packed",
        "redis missed",
        "redis packed missed",
        "redis near",
        "mongo",
        "mongo majority",
        "mongo near",
    ] {
        let there = match store {
            store if store.starts_with("redis") => options.redis.is_some(),
            "mongo near" => options.mongo_set.is_some(),
            "mongo" | "mongo majority" => options.mongo.is_some(),
            _ => true,
        };
        let tasks: &[usize] = match store {
            "cookie" => &[1],
            // The store tells of changes while its runtime runs, and that of one task stands still
            // while others have their turn.
            "mongo near" => &[64],
            _ => &[1, 64],
        };
        if there {
            groups.extend(tasks.iter().map(|&tasks| Group { store, tasks }));
        }
    }
    groups
}

impl Group {
    /// As results name it: `memory read`, `redis write x64`.
    pub fn scenario(&self, job: crate::Job) -> String {
        match self.tasks {
            1 => format!("{} {}", self.store, job.name()),
            tasks => format!("{} {} x{tasks}", self.store, job.name()),
        }
    }

    /// Whether another store writes what is read, so that one of them cannot be counted alone.
    pub fn two_stores(&self) -> bool {
        self.store.ends_with(" missed")
    }

    pub fn jobs(&self, options: &Options) -> Vec<crate::Job> {
        use crate::Job::{Read, Write};
        let jobs: &[crate::Job] = match self.tasks {
            _ if self.two_stores() => &[Read],
            1 => &crate::Job::ALL,
            _ => &[Read, Write],
        };
        let wanted = |job: &crate::Job| options.wants(&self.scenario(*job));
        jobs.iter().copied().filter(wanted).collect()
    }

    pub fn parties(&self, options: &Options) -> Result<Parties, BoxError> {
        let tasks = self.tasks;
        let bare = ours::bare(tasks)?;
        let mut their_bare = None;
        let (ours, peers) = match (self.store, &options.redis, &options.mongo) {
            ("memory", ..) => {
                let peers = vec![tower_sessions::memory(tasks)?, axum_session::memory(tasks)?];
                (ours::memory(tasks)?, peers)
            }
            // What it costs that values are sealed: the same without it is the peer.
            ("memory sealed", ..) => (ours::memory_sealed(tasks)?, vec![ours::memory(tasks)?]),
            ("redis sealed", Some(url), _) => {
                redis::clear(url)?;
                let peer = ours::redis(url, Layout::Fields, Cache::Default, tasks)?;
                (ours::redis_sealed(url, tasks)?, vec![peer])
            }
            // What it costs to count everything.
            ("memory metered", ..) => (ours::memory_metered(tasks)?, vec![ours::memory(tasks)?]),
            ("redis metered", Some(url), _) => {
                redis::clear(url)?;
                let peer = ours::redis(url, Layout::Fields, Cache::Default, tasks)?;
                (ours::redis_metered(url, tasks)?, vec![peer])
            }
            ("cookie", ..) => {
                their_bare = Some(actix::bare()?);
                (ours::cookie(tasks)?, vec![actix::cookie()?])
            }
            ("redis" | "redis packed", Some(url), _) => {
                redis::clear(url)?;
                let layout = self.layout();
                let ours = |cache| ours::redis(url, layout, cache, tasks);
                let mut peers = vec![tower_sessions::redis(url, tasks)?];
                if layout == Layout::Fields {
                    peers.push(axum_session::redis(url, tasks)?);
                    peers.push(actix::redis(url, tasks)?);
                }
                peers.push(ours(Cache::Off)?);
                peers.push(redis::raw(url, layout, tasks)?);
                (ours(Cache::Default)?, peers)
            }
            ("redis missed" | "redis packed missed", Some(url), _) => {
                redis::clear(url)?;
                let ours = |cache| ours::redis_missed(url, self.layout(), cache, tasks);
                let peers = vec![tower_sessions::redis_missed(url, tasks)?, ours(Cache::Off)?];
                (ours(Cache::Default)?, peers)
            }
            ("redis near", Some(url), _) => {
                redis::clear(url)?;
                let peers = vec![
                    tower_sessions::redis(url, tasks)?,
                    axum_session::redis(url, tasks)?,
                    ours::redis(url, Layout::Fields, Cache::Default, tasks)?,
                ];
                (ours::redis(url, Layout::Fields, Cache::Near, tasks)?, peers)
            }
            ("mongo near", ..) => {
                let uri = options.mongo_set.as_deref().ok_or("no replica set")?;
                mongo::initiate(uri)?;
                mongo::clear(uri)?;
                let peers = vec![
                    tower_sessions::mongo(uri, tasks)?,
                    ours::mongo(uri, Cache::Default, tasks)?,
                ];
                (ours::mongo(uri, Cache::Near, tasks)?, peers)
            }
            (_, _, Some(uri)) => {
                mongo::clear(uri)?;
                // The same for all: what the server says when it has the write, or when it has it
                // on disk.
                let concern = if self.store == "mongo" {
                    "w=1"
                } else {
                    "w=majority"
                };
                let uri = &*format!("{uri}?{concern}");
                let ours = ours::mongo(uri, Cache::Default, tasks)?;
                let driver = |way| mongo::raw(uri, tasks, way);
                let peers = vec![
                    tower_sessions::mongo(uri, tasks)?,
                    driver(Way::Least)?,
                    driver(Way::Same)?,
                ];
                (ours, peers)
            }
            _ => return Err("a store without a server".into()),
        };
        Ok(Parties {
            ours,
            peers,
            bare,
            their_bare,
        })
    }

    /// One of them: `ours`, `bare`, `their-bare`, or a peer, the driver alone as `driver`.
    pub fn party(&self, name: &str, options: &Options) -> Result<Box<dyn Subject>, BoxError> {
        let tasks = self.tasks;
        match (self.store, name) {
            (_, "bare") => ours::bare(tasks),
            ("memory", "ours") => ours::memory(tasks),
            ("memory", _) => tower_sessions::memory(tasks),
            ("cookie", "ours") => ours::cookie(tasks),
            ("cookie", "their-bare") => actix::bare(),
            ("cookie", _) => actix::cookie(),
            _ => {
                let parties = self.parties(options)?;
                let driver =
                    |peer: &Box<dyn Subject>| peer.name().contains("driver") == (name == "driver");
                match name {
                    "ours" => Ok(parties.ours),
                    _ => parties
                        .peers
                        .into_iter()
                        .find(driver)
                        .ok_or_else(|| "no such peer".into()),
                }
            }
        }
    }

    fn layout(&self) -> Layout {
        match self.store {
            "redis packed" | "redis packed missed" => Layout::Packed,
            _ => Layout::Fields,
        }
    }

    /// How many commands some work sends to the server; nothing for stores without one.
    pub fn commands(
        &self,
        options: &Options,
        work: impl FnOnce(),
    ) -> Result<Option<u64>, BoxError> {
        Ok(match (self.store, &options.redis, &options.mongo) {
            (
                "redis" | "redis packed" | "redis near" | "redis sealed" | "redis metered",
                Some(url),
                _,
            ) => Some(redis::commands(url, work)?),
            ("mongo" | "mongo majority", _, Some(uri)) => {
                let before = mongo::server_counts(uri)?;
                work();
                Some(mongo::server_counts(uri)? - before)
            }
            _ => None,
        })
    }

    /// Bytes that the server keeps for a session of ours, and of each peer.
    pub fn server_bytes(
        &self,
        options: &Options,
    ) -> Result<Option<(u64, Vec<(&'static str, u64)>)>, BoxError> {
        type Make = fn(&str, usize) -> Result<Box<dyn Subject>, BoxError>;
        Ok(match (self.store, &options.redis, &options.mongo) {
            ("redis" | "redis packed", Some(url), _) => {
                redis::clear(url)?;
                let _ours = match self.layout() {
                    Layout::Packed => ours::redis_small(url)?,
                    layout => ours::redis(url, layout, Cache::Default, 1)?,
                };
                let ours = redis::server_bytes(url)?;
                let makes: &[Make] = match self.layout() {
                    Layout::Packed => &[tower_sessions::redis],
                    _ => &[tower_sessions::redis, axum_session::redis, actix::redis],
                };
                let mut peers = Vec::new();
                for make in makes {
                    redis::clear(url)?;
                    let peer = make(url, 1)?;
                    peers.push((peer.name(), redis::server_bytes(url)?));
                }
                Some((ours, peers))
            }
            ("mongo", _, Some(uri)) => {
                mongo::clear(uri)?;
                let (_ours, peer) = (
                    ours::mongo(uri, Cache::Default, 1)?,
                    tower_sessions::mongo(uri, 1)?,
                );
                let peers = vec![(peer.name(), mongo::server_bytes(uri, "peer")?)];
                Some((mongo::server_bytes(uri, "sessions")?, peers))
            }
            _ => None,
        })
    }
}
