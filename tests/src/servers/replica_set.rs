//! A replica set of three nodes.

use std::cmp::Reverse;
use std::thread;
use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind};

use super::{MongoBuilder, MongoServer, PATIENTLY, wait_until};

/// How long nothing is heard of a primary before it is given up.
const ELECTION_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a set may take to form, or to get over a death.
const LIMIT: Duration = Duration::from_secs(60);
const NAME: &str = "rs0";
const NODE_NOT_FOUND: i32 = 74;

/// Three nodes, one of which is the primary. They end with this value.
///
/// A primary that is not heard of for 2 s, or as long as [`start_to_wait`](Self::start_to_wait) was
/// told, is given up, and the others elect another one.
#[derive(Debug)]
pub struct MongoReplicaSet {
    nodes: Vec<MongoServer>,
}

impl MongoReplicaSet {
    /// Starts the nodes, joins them, and returns when a majority has taken a write.
    pub fn start() -> Self {
        Self::start_from(&MongoServer::builder())
    }

    /// The same, of nodes with more to say about them. They ask for no login.
    pub fn start_from(node: &MongoBuilder) -> Self {
        Self::start_to_wait(node, ELECTION_TIMEOUT)
    }

    /// The same, where a primary is given up after this time. On a busy machine a short one makes
    /// elections for which nobody has asked.
    pub fn start_to_wait(node: &MongoBuilder, election_timeout: Duration) -> Self {
        let args = ["--replSet", NAME, "--oplogSize", "64"];
        let node = args.into_iter().fold(node.clone(), MongoBuilder::arg);
        let nodes = thread::scope(|scope| {
            let starting = [(); 3].map(|()| scope.spawn(|| node.clone().start()));
            starting.map(|node| node.join().unwrap()).into()
        });
        let set = Self { nodes };
        set.initiate(election_timeout);
        set.wait_ok();
        set
    }

    /// Nodes that are not heard of in time, on a busy machine, are asked again.
    fn initiate(&self, election_timeout: Duration) {
        wait_until("the nodes to hear of each other", LIMIT, || {
            let initiate = doc! { "replSetInitiate": self.settings(election_timeout) };
            match self.nodes[0].try_command("admin", initiate) {
                Ok(_) => true,
                Err(error) if code(&error) == Some(NODE_NOT_FOUND) => false,
                Err(error) => panic!("the set did not form: {error}"),
            }
        });
    }

    fn settings(&self, election_timeout: Duration) -> Document {
        let member =
            |(i, node): (i32, &MongoServer)| doc! { "_id": i, "host": node.address().to_string() };
        let members: Vec<_> = (0..).zip(&self.nodes).map(member).collect();
        doc! {
            "_id": NAME,
            "members": members,
            // A majority is enough: each write would wait for the disks of two nodes, which are one
            // disk here.
            "writeConcernMajorityJournalDefault": false,
            "settings": {
                "electionTimeoutMillis": millis(election_timeout),
                "heartbeatTimeoutSecs": millis(election_timeout) / 2_000,
                "heartbeatIntervalMillis": 500,
            },
        }
    }

    /// Where clients find it: all nodes, and the name of the set.
    pub fn uri(&self) -> String {
        let hosts: Vec<_> = self
            .nodes
            .iter()
            .map(|node| node.address().to_string())
            .collect();
        format!("mongodb://{}/?replicaSet={NAME}", hosts.join(","))
    }

    /// The same, for clients that are as patient as those of
    /// [`MongoServer::patient_uri`].
    pub fn patient_uri(&self) -> String {
        format!("{}&{PATIENTLY}", self.uri())
    }

    /// Its nodes. Which of them is the primary changes.
    pub fn nodes(&self) -> &[MongoServer] {
        &self.nodes
    }

    /// The ports of its nodes.
    pub fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(|node| node.port()).collect()
    }

    /// Kills node `i`. What a majority was told is with the others.
    pub fn kill(&self, i: usize) {
        self.nodes[i].kill();
    }

    /// Starts node `i` anew. It comes back as a secondary, some time later.
    pub fn restart(&self, i: usize) {
        self.nodes[i].restart();
    }

    /// Stops node `i` where it is.
    pub fn pause(&self, i: usize) {
        self.nodes[i].pause();
    }

    /// Lets node `i` go on. For a moment it may still take itself for what it was.
    pub fn resume(&self, i: usize) {
        self.nodes[i].resume();
    }

    /// Which node is now the primary. A set that has none for 60 s fails the test.
    pub fn primary(&self) -> usize {
        let mut primary = None;
        wait_until("a primary", LIMIT, || {
            primary = self.find_primary();
            primary.is_some()
        });
        primary.unwrap()
    }

    /// Tells the primary to be none for the next 10 s. Another one is elected at once. A primary
    /// refuses as long as no secondary has all that it has. Then it is asked again.
    pub fn step_down(&self) {
        let step_down = doc! { "replSetStepDown": 10, "secondaryCatchUpPeriodSecs": 5 };
        wait_until("the primary to step down", LIMIT, || {
            let primary = &self.nodes[self.primary()];
            primary.try_command("admin", step_down.clone()).is_ok()
        });
    }

    /// The number of the last election that a node knows of. `None` if no node answers.
    pub fn term(&self) -> Option<i64> {
        let status = |node: &MongoServer| {
            let status = doc! { "replSetGetStatus": 1 };
            let status = node.try_command("admin", status).ok()?;
            status.get_i64("term").ok()
        };
        let up = self.nodes.iter().filter(|node| node.is_up());
        up.filter_map(status).max()
    }

    /// Waits at most 60 s until there is a primary whose writes a majority takes, and says which
    /// node it is.
    pub fn wait_for_primary(&self) -> usize {
        let mut primary = None;
        wait_until("a primary", LIMIT, || {
            primary = self.find_primary().filter(|i| self.takes_writes(*i));
            primary.is_some()
        });
        primary.unwrap()
    }

    /// Waits at most 60 s until there is such a primary, and all other nodes that are up are its
    /// secondaries.
    pub fn wait_ok(&self) {
        wait_until("the set to be content", LIMIT, || self.is_ok());
        self.wait_for_primary();
    }

    /// What the primary answers, as [`MongoServer::command`].
    pub fn command(&self, database: &str, command: Document) -> Document {
        self.nodes[self.primary()].command(database, command)
    }

    fn is_ok(&self) -> bool {
        let up = || self.nodes.iter().filter(|node| node.is_up());
        let fit = |node: &MongoServer| {
            let answer = hello(node);
            answer.is_some_and(|answer| {
                says(&answer, "isWritablePrimary") || says(&answer, "secondary")
            })
        };
        self.find_primary().is_some() && up().all(fit)
    }

    /// Of two that take themselves for it, the one that was elected later.
    fn find_primary(&self) -> Option<usize> {
        let elected = |(i, node): (usize, &MongoServer)| {
            let answer = node.is_up().then(|| hello(node))??;
            let election = answer.get_object_id("electionId").ok()?;
            says(&answer, "isWritablePrimary").then_some((election, i))
        };
        let primaries = self.nodes.iter().enumerate().filter_map(elected);
        primaries
            .min_by_key(|(election, _)| Reverse(*election))
            .map(|(_, i)| i)
    }

    fn takes_writes(&self, i: usize) -> bool {
        let write = doc! {
            "update": "probe",
            "updates": [{ "q": { "_id": 0 }, "u": { "$inc": { "writes": 1 } }, "upsert": true }],
            "writeConcern": { "w": "majority", "wtimeout": 2000 },
        };
        let answer = self.nodes[i].try_command("session_tests_probe", write);
        answer.is_ok_and(|answer| {
            !answer.contains_key("writeConcernError") && !answer.contains_key("writeErrors")
        })
    }
}

fn millis(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}

fn hello(node: &MongoServer) -> Option<Document> {
    node.try_command("admin", doc! { "hello": 1 }).ok()
}

fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}

fn says(answer: &Document, what: &str) -> bool {
    answer.get_bool(what).unwrap_or(false)
}
