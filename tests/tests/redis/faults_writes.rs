//! What is known of a write whose reply or request was lost, and that nobody sends it twice: with
//! one server and in a Cluster.

use std::time::Duration;

use session_core::store::StoreError;
use session_core::{Outcome, SessionError, SessionGuard, SessionManager};
use session_redis::RedisStore;
use session_tests::servers::{Engine, RedisCluster, RedisServer};
use session_tests::{Proxy, create, open, token_of};

/// A store behind proxies, and a session in it.
struct Way {
    manager: SessionManager,
    proxies: Vec<Proxy>,
    token: String,
}

impl Way {
    async fn new(url: &str, proxies: Vec<Proxy>) -> Self {
        let manager = SessionManager::new(RedisStore::connect(url).await.unwrap());
        // Enough of them that each node knows the scripts that create and change.
        for _ in 0..40 {
            let token = create(&manager, [("warm", 1)]).await;
            let session = open(&manager, &token).await;
            session.insert("warm", 2).unwrap();
            session.finish(Outcome::Success).await.unwrap();
        }
        let token = create(&manager, [("n", 1)]).await;
        Self {
            manager,
            proxies,
            token,
        }
    }

    /// How many requests with `bytes` the servers have seen.
    fn seen(&self, bytes: &str) -> usize {
        self.proxies
            .iter()
            .map(|proxy| proxy.passed(bytes.as_bytes()))
            .sum()
    }

    fn cut_reply_to(&self, bytes: &str) {
        self.proxies
            .iter()
            .for_each(|proxy| proxy.cut_reply_to(bytes.as_bytes()));
    }

    fn cut_request(&self, bytes: &str) {
        self.proxies
            .iter()
            .for_each(|proxy| proxy.cut_request(bytes.as_bytes()));
    }

    /// Writes `word` into the session.
    async fn write(&self, word: &str) -> Result<(), StoreError> {
        let session = open(&self.manager, &self.token).await;
        session.insert("word", word).unwrap();
        store_error(finish(&session).await)
    }

    /// The word that is there.
    async fn word(&self) -> Option<String> {
        open(&self.manager, &self.token).await.get("word").unwrap()
    }
}

async fn finish(session: &SessionGuard) -> Result<(), SessionError> {
    session.finish(Outcome::Success).await?;
    Ok(())
}

fn store_error(result: Result<(), SessionError>) -> Result<(), StoreError> {
    result.map_err(|error| match error {
        SessionError::Store(error) => error,
        other => panic!("{other:?}"),
    })
}

async fn one_server() -> (RedisServer, Way) {
    let server = RedisServer::start(Engine::Redis7);
    let proxy = Proxy::start(server.address()).await;
    let url = proxy.url();
    let way = Way::new(&url, vec![proxy]).await;
    (server, way)
}

/// A Cluster whose nodes send clients to the proxies before them.
async fn a_cluster() -> (RedisCluster, Way) {
    let cluster = RedisCluster::start(Engine::Redis7);
    let mut proxies = Vec::new();
    for node in cluster.nodes() {
        let proxy = Proxy::start(node.address()).await;
        let port = proxy.port().to_string();
        let set = node.command(&["CONFIG", "SET", "cluster-announce-port", &port]);
        assert_eq!(set.text(), "OK");
        proxies.push(proxy);
    }
    for node in cluster.nodes() {
        node.wait_until(&["CLUSTER", "NODES"], |nodes| {
            let nodes = nodes.text();
            proxies
                .iter()
                .all(|proxy| nodes.contains(&format!(":{}@", proxy.port())))
        });
    }
    let hosts: Vec<_> = proxies
        .iter()
        .map(|proxy| format!("127.0.0.1:{}", proxy.port()))
        .collect();
    let url = format!("redis-cluster://{}", hosts.join(","));
    let way = Way::new(&url, proxies).await;
    (cluster, way)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_sent_twice_to_one_server() {
    let (_server, way) = one_server().await;
    all(way).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_sent_twice_to_a_cluster() {
    let (_cluster, way) = a_cluster().await;
    all(way).await;
}

async fn all(way: Way) {
    for round in 0..3 {
        updates(&way, round).await;
        creations(&way, round).await;
        reads(&way).await;
        // So that the next round meets connections that are not young.
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    deletions(way).await;
}

async fn updates(way: &Way, round: u32) {
    // The reply is lost: it was done, once, and the caller is told that nobody knows.
    let word = format!("reply-{round}");
    way.cut_reply_to(&word);
    let written = way.write(&word).await;
    assert!(
        matches!(written, Err(StoreError::OutcomeUnknown(_))),
        "{written:?}"
    );
    assert_eq!(way.word().await.as_deref(), Some(&*word));
    assert_eq!(way.seen(&word), 1);

    // The request is lost: it was not done, and nobody does it.
    let other = format!("request-{round}");
    way.cut_request(&other);
    let written = way.write(&other).await;
    let unknown_or_not_done = matches!(
        written,
        Err(StoreError::OutcomeUnknown(_) | StoreError::Unavailable(_))
    );
    assert!(unknown_or_not_done, "{written:?}");
    assert_eq!(way.word().await.as_deref(), Some(&*word));
    assert_eq!(way.seen(&other), 0);
}

async fn creations(way: &Way, round: u32) {
    let word = format!("created-{round}");
    way.cut_reply_to(&word);
    let session = way.manager.begin(&[]).await.unwrap();
    session.insert("word", &word).unwrap();
    let created = store_error(finish(&session).await);
    assert!(
        matches!(created, Err(StoreError::OutcomeUnknown(_))),
        "{created:?}"
    );
    assert_eq!(way.seen(&word), 1);
}

/// A read is made again, and the caller sees nothing of it.
async fn reads(way: &Way) {
    let id = open(&way.manager, &way.token)
        .await
        .id()
        .unwrap()
        .encode()
        .to_string();
    let word = way.word().await;
    let seen = way.seen(&id);
    way.cut_reply_to(&id);
    assert_eq!(way.word().await, word);
    assert_eq!(way.seen(&id), seen + 2);
    way.cut_request(&id);
    assert_eq!(way.word().await, word);
    assert_eq!(way.seen(&id), seen + 3);
}

/// So is a deletion: what is gone is gone.
async fn deletions(way: Way) {
    for of_the_reply in [true, false] {
        let session = way.manager.begin(&[]).await.unwrap();
        session.insert("n", 1).unwrap();
        let token = token_of(&session.finish(Outcome::Success).await.unwrap());
        let session = open(&way.manager, &token).await;
        let id = session.id().unwrap().encode().to_string();
        let seen = way.seen(&id);
        if of_the_reply {
            way.cut_reply_to(&id);
        } else {
            way.cut_request(&id);
        }
        session.destroy().unwrap();
        session.finish(Outcome::Success).await.unwrap();
        // A server that does not know the script yet is sent it, too.
        assert!(way.seen(&id) > seen + usize::from(of_the_reply));
        assert!(open(&way.manager, &token).await.is_new());
    }
}
