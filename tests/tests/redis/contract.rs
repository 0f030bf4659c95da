//! The contract of stores, on every kind of server and by every way to one.

use std::fs;
use std::time::Duration;

use redis::cluster::ClusterClientBuilder;
use session_core::SessionId;
use session_core::store::NearCache;
use session_core::store::conformance::{CaseOutcome, Suite, cases};
use session_redis::{Layout, RedisStore, RedisStoreBuilder, Source};
use session_tests::servers::{Engine, RedisCluster, RedisSentinel, RedisServer, plain_redis};

use crate::connect;

/// For another kind of server.
const MANY: u32 = 64;
/// For another way to one that is known.
const FEW: u32 = 4;

/// In both layouts every case passes, and none is left out.
async fn keeps_the_contract(name: &str, rounds: u32, builder: impl Fn() -> RedisStoreBuilder) {
    for layout in [Layout::Fields, Layout::Packed] {
        let name = format!("{name}, {layout:?}");
        layout_keeps_the_contract(&name, rounds, || builder().layout(layout)).await;
    }
}

async fn layout_keeps_the_contract(
    name: &str,
    rounds: u32,
    builder: impl Fn() -> RedisStoreBuilder,
) {
    let suite = Suite::new(|| connect(builder()));
    let report = suite
        .rounds(rounds)
        .time_limit(Duration::from_secs(300))
        .run()
        .await;
    println!("{name}: {report}");
    assert!(report.is_success(), "{name}: {report}");
    let passed = |(_, outcome): &(_, &CaseOutcome)| **outcome == CaseOutcome::Passed;
    assert_eq!(
        report.outcomes().filter(passed).count(),
        cases().len(),
        "{name}: {report}"
    );
}

async fn standalone(engine: Engine) {
    let server = RedisServer::start(engine);
    keeps_the_contract(&engine.to_string(), MANY, || {
        RedisStore::builder(server.url())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_7() {
    standalone(Engine::Redis7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn valkey_9() {
    standalone(Engine::Valkey9).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_8() {
    standalone(Engine::Redis8).await;
}

/// `redis-cluster://` or `redis-sentinel://` with some of the hosts.
fn url(scheme: &str, urls: &[String]) -> String {
    let host = |url: &String| {
        url.trim_start_matches("redis://")
            .trim_end_matches('/')
            .to_owned()
    };
    let hosts: Vec<_> = urls.iter().take(3).map(host).collect();
    format!("{scheme}://{}", hosts.join(","))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_redis_7() {
    let cluster = RedisCluster::start(Engine::Redis7);
    let url = url("redis-cluster", &cluster.urls());
    keeps_the_contract("Cluster of Redis 7", MANY, || RedisStore::builder(&url)).await;

    let builder = || ClusterClientBuilder::new(cluster.urls());
    keeps_the_contract("ClusterClientBuilder", FEW, || {
        RedisStore::builder(builder())
    })
    .await;
    let client = builder().retries(0).build().unwrap();
    let connection = client.get_async_connection().await.unwrap();
    for layout in [Layout::Fields, Layout::Packed] {
        let source = || Source::connection(connection.clone());
        let suite = Suite::new(|| connect(RedisStore::builder(source()).layout(layout)));
        let report = suite.rounds(FEW).run().await;
        assert!(
            report.is_success(),
            "ClusterConnection, {layout:?}: {report}"
        );
    }

    // The sessions of all that lie on all masters.
    let sizes: Vec<_> = cluster
        .nodes()
        .iter()
        .map(|node| node.command(&["DBSIZE"]).integer())
        .collect();
    assert!(sizes.iter().all(|size| *size > 20), "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_valkey_9() {
    let cluster = RedisCluster::start(Engine::Valkey9);
    let url = url("redis-cluster", &cluster.urls());
    keeps_the_contract("Cluster of Valkey 9", MANY, || RedisStore::builder(&url)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinel() {
    let all = RedisSentinel::start(Engine::Redis7);
    let url = url("redis-sentinel", &all.sentinel_urls());
    let named = format!("{url}#{}", all.master_name());
    keeps_the_contract("Sentinel", MANY, || RedisStore::builder(&named)).await;

    let failed = RedisStore::connect(format!("{url}#nobody"))
        .await
        .unwrap_err();
    assert!(
        failed.to_string().contains("no primary of this name"),
        "{failed}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls() {
    let server = RedisServer::builder(Engine::Redis7).tls().start();
    let roots = fs::read(&server.tls_files().ca).unwrap();
    keeps_the_contract("TLS", FEW, || {
        RedisStore::builder(server.url()).root_certificates(roots.clone())
    })
    .await;

    // Nobody vouches for the server, or for another name only.
    let stranger = RedisStore::connect(server.url()).await.unwrap_err();
    assert!(stranger.to_string().contains("certificate"), "{stranger}");
    let another = server.url().replace("localhost", "127.0.0.2");
    let named = RedisStore::builder(another).root_certificates(roots);
    let misnamed = named.connect().await.unwrap_err();
    assert!(
        misnamed.to_string().contains("cannot use Redis"),
        "{misnamed}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_with_a_certificate_of_the_client() {
    let server = RedisServer::builder(Engine::Redis7).tls();
    let server = server.config("tls-auth-clients yes").start();
    let files = server.tls_files();
    let roots = fs::read(&files.ca).unwrap();
    let [certificate, key] =
        [&files.client_cert, &files.client_key].map(|file| fs::read(file).unwrap());
    let builder = || RedisStore::builder(server.url()).root_certificates(roots.clone());
    keeps_the_contract("TLS, both ways", FEW, || {
        builder().client_certificate(certificate.clone(), key.clone())
    })
    .await;

    let nobody = builder().connect().await.unwrap_err();
    assert!(nobody.to_string().contains("cannot use Redis"), "{nobody}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unix_socket() {
    let server = RedisServer::builder(Engine::Valkey9).unix_socket().start();
    keeps_the_contract("Unix socket", FEW, || RedisStore::builder(server.url())).await;
    let other = server.url().replace("redis+unix://", "unix://") + "?db=2";
    keeps_the_contract("Unix socket, database 2", FEW, || {
        RedisStore::builder(&other)
    })
    .await;
    assert!(size(&server, 2) > 20);
}

fn size(server: &RedisServer, database: u32) -> i64 {
    let select = ["SELECT", &database.to_string()];
    server.commands(&[&select, &["DBSIZE"]])[1].integer()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_and_protocols() {
    let server = RedisServer::start(Engine::Redis7);
    let url = server.url();
    keeps_the_contract("database of the URL", FEW, || {
        RedisStore::builder(url.clone() + "3")
    })
    .await;
    keeps_the_contract("database of the builder", FEW, || {
        RedisStore::builder(url.clone() + "3").database(5)
    })
    .await;
    let sizes = [0, 3, 5].map(|database| size(&server, database));
    assert!(sizes[0] == 0 && sizes[1] > 20 && sizes[2] > 20, "{sizes:?}");

    keeps_the_contract("RESP2", FEW, || {
        RedisStore::builder(url.clone() + "?protocol=resp2")
    })
    .await;
    assert!(size(&server, 0) > 20);
}

const PASSWORD: &str = "p@ss:w/rd%#?";
const ENCODED: &str = "p%40ss%3Aw%2Frd%25%23%3F";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_and_users() {
    let server = RedisServer::builder(Engine::Redis8)
        .password("secret")
        .start();
    keeps_the_contract("password", FEW, || RedisStore::builder(server.url())).await;

    let password = format!(">{PASSWORD}");
    let made = server.command(&["ACL", "SETUSER", "shop", "on", &password, "~*", "+@all"]);
    assert_eq!(made.text(), "OK");
    let host = server.address();
    keeps_the_contract("user of the URL", FEW, || {
        RedisStore::builder(format!("redis://shop:{ENCODED}@{host}/"))
    })
    .await;
    keeps_the_contract("user of the URL, RESP2", FEW, || {
        RedisStore::builder(format!("redis://shop:{ENCODED}@{host}/?protocol=resp2"))
    })
    .await;
    // Those of the builder take the place of the URL's.
    let by_builder = || {
        let builder = RedisStore::builder(format!("redis://nobody:nothing@{host}/"));
        builder.username("shop").password(PASSWORD)
    };
    keeps_the_contract("user of the builder", FEW, by_builder).await;

    for url in [
        format!("redis://{host}/"),
        format!("redis://shop:wrong@{host}/"),
    ] {
        let refused = RedisStore::connect(&url).await.unwrap_err().to_string();
        assert!(
            !refused.contains("wrong@") && refused.contains("cannot use Redis"),
            "{refused}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_application_has() {
    let server = RedisServer::start(Engine::Redis7);
    let client = redis::Client::open(server.url()).unwrap();
    keeps_the_contract("Client", FEW, || RedisStore::builder(client.clone())).await;
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    keeps_the_contract("MultiplexedConnection", FEW, || {
        RedisStore::builder(Source::connection(connection.clone()))
    })
    .await;
    // A client has its own.
    let twice = RedisStore::builder(client)
        .password("secret")
        .lazy()
        .unwrap_err();
    assert!(!twice.to_string().contains("secret"), "{twice}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_of_the_user() {
    let server = plain_redis();
    let prefix = format!("session-tests-{}:", SessionId::random().unwrap().encode());
    keeps_the_contract("plain", FEW, || {
        RedisStore::builder(server.url()).prefix(&prefix)
    })
    .await;
}

/// Within one store nothing changes with a near cache.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_near_cache() {
    let near = NearCache::new(Duration::from_secs(1));
    let server = RedisServer::start(Engine::Redis7);
    for connections in [1, 3] {
        let name = format!("near cache, {connections} connections");
        keeps_the_contract(&name, MANY, || {
            RedisStore::builder(server.url())
                .near_cache(near)
                .connections(connections)
        })
        .await;
    }
    let cluster = RedisCluster::start(Engine::Redis7);
    keeps_the_contract("near cache, Cluster", FEW, || {
        RedisStore::builder(cluster.url()).near_cache(near)
    })
    .await;
}
