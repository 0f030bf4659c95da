//! The permissions that sessions need: these are enough, each is needed, and nothing else is
//! touched.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use session_core::store::conformance::{CaseOutcome, Report, Suite};
use session_core::store::{NearCache, SessionStore};
use session_core::{Ended, SessionId, SessionManager};
use session_redis::{Layout, RedisStore, RedisStoreBuilder};
use session_tests::servers::{Builder, Engine, RedisCluster, RedisSentinel, RedisServer};
use session_tests::{create, open};

use crate::patient;

/// What the store sends, and what its scripts call, where sessions are hashes. `info`, `scan` and
/// `zscan` are for the tools of operators alone.
const COMMANDS: [&str; 20] = [
    "eval",
    "evalsha",
    "exists",
    "hdel",
    "hget",
    "hgetall",
    "hkeys",
    "hmget",
    "hset",
    "info",
    "pexpire",
    "pttl",
    "scan",
    "unlink",
    "zadd",
    "zrange",
    "zrem",
    "zremrangebyscore",
    "zscan",
    "zscore",
];
/// The same where they are packed.
const PACKED: [&str; 18] = [
    "eval",
    "evalsha",
    "exists",
    "get",
    "getrange",
    "info",
    "mget",
    "pexpire",
    "pttl",
    "scan",
    "set",
    "unlink",
    "zadd",
    "zrange",
    "zrem",
    "zremrangebyscore",
    "zscan",
    "zscore",
];
/// In a Cluster besides: its map, a sign of life of each node, and what a scan asks each of them.
const CLUSTER: [&str; 3] = ["cluster|nodes", "cluster|slots", "ping"];
/// Behind Sentinel besides, on the server.
const SENTINEL: [&str; 1] = ["role"];

/// With a near cache besides; and in a Cluster.
const NEAR: [&str; 2] = ["client|tracking", "ping"];
const NEAR_CLUSTER: [&str; 2] = ["cluster|info", "cluster|nodes"];

/// The rules of the user `shop`, who may run these commands.
fn rules(commands: &[&str], keys: &str) -> Vec<String> {
    let mut rules: Vec<_> = ["reset", "on", ">secret", keys, "resetchannels", "-@all"]
        .map(str::to_owned)
        .to_vec();
    rules.extend(commands.iter().map(|command| format!("+{command}")));
    rules
}

const KEYS: &str = "~session:*";

/// A refusal to connect is told after this time.
const REFUSED: Duration = Duration::from_secs(3);

fn set_user(server: &RedisServer, user: &str, rules: &[String]) {
    let mut command = vec!["ACL", "SETUSER", user];
    command.extend(rules.iter().map(String::as_str));
    assert_eq!(server.command(&command).text(), "OK", "{command:?}");
}

fn builder(url: &str) -> RedisStoreBuilder {
    let builder = RedisStore::builder(url).username("shop").password("secret");
    patient(builder)
}

async fn suite(url: &str, layout: Layout, rounds: u32) -> Report {
    let suite = Suite::new(|| async { builder(url).layout(layout).lazy().unwrap() });
    suite
        .rounds(rounds)
        .time_limit(Duration::from_secs(300))
        .run()
        .await
}

async fn keeps_the_contract(name: &str, url: &str) {
    layout_keeps_the_contract(name, url, Layout::Fields).await;
}

async fn layout_keeps_the_contract(name: &str, url: &str, layout: Layout) {
    let report = suite(url, layout, 8).await;
    assert!(report.is_success(), "{name}: {report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn these_permissions_are_enough() {
    println!("ACL SETUSER shop {}", rules(&COMMANDS, KEYS).join(" "));
    for engine in Engine::ALL {
        let server = RedisServer::start(engine);
        set_user(&server, "shop", &rules(&COMMANDS, KEYS));
        keeps_the_contract(&engine.to_string(), &server.url()).await;
        set_user(&server, "shop", &rules(&PACKED, KEYS));
        // A scan reads sessions of the other layout too, which takes its commands.
        server.command(&["FLUSHALL"]);
        layout_keeps_the_contract(&engine.to_string(), &server.url(), Layout::Packed).await;
    }
}

/// Every failure is an error that names the permission, and none a wrong result.
fn refusals(report: &Report, without: &str) -> usize {
    let mut refused = 0;
    for (case, outcome) in report.outcomes() {
        if let CaseOutcome::Failed(reason) = outcome {
            let first = reason.lines().next().unwrap();
            let known = first.contains("unavailable") || first.contains("did not say whether");
            assert!(
                known && first.contains("permission"),
                "without {without}, {}: {reason}",
                case.name()
            );
            refused += 1;
        }
    }
    refused
}

async fn each_is_needed(engine: Engine, layout: Layout, commands: &[&str]) {
    let server = RedisServer::start(engine);
    for &without in commands {
        let others: Vec<_> = commands
            .iter()
            .copied()
            .filter(|command| *command != without)
            .collect();
        set_user(&server, "shop", &rules(&others, KEYS));
        server.command(&["SCRIPT", "FLUSH"]);
        // What connecting takes: to read what is not there, and to delete it.
        let connecting = match layout {
            Layout::Packed => ["get", "evalsha", "eval", "getrange", "exists", "unlink"].as_slice(),
            _ => &["hgetall", "evalsha", "eval", "hget", "hmget", "unlink"],
        };
        if connecting.contains(&without) {
            let refused = builder(&server.url())
                .layout(layout)
                .connect()
                .await
                .unwrap_err();
            assert!(refused.to_string().contains("permission"), "{refused}");
            continue;
        }
        let report = suite(&server.url(), layout, 1).await;
        if without == "mget" {
            // Readers ask one by one then.
            assert!(report.is_success(), "{report}");
            continue;
        }
        assert!(
            refusals(&report, without) > 0,
            "{without} is not needed: {report}"
        );
        println!(
            "{engine} without {without}: {} cases refused",
            refusals(&report, without)
        );
    }
    // No session that was refused half-way stays for ever.
    let keys = server.command(&["KEYS", "session:*"]);
    let names = keys.items().iter().map(ToString::to_string);
    let sessions: Vec<_> = names.filter(|name| !name.contains("principal:")).collect();
    assert!(!sessions.is_empty());
    for key in sessions {
        let rest = server.command(&["PTTL", &key]).integer();
        assert!(rest != -1, "{key} never expires");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_permission_is_needed() {
    each_is_needed(Engine::Redis7, Layout::Fields, &COMMANDS).await;
    each_is_needed(Engine::Redis7, Layout::Packed, &PACKED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_permission_is_needed_of_valkey() {
    each_is_needed(Engine::Valkey9, Layout::Fields, &COMMANDS).await;
    each_is_needed(Engine::Valkey9, Layout::Packed, &PACKED).await;
}

#[tokio::test]
async fn another_prefix_is_refused() {
    let server = RedisServer::start(Engine::Redis7);
    set_user(&server, "shop", &rules(&COMMANDS, "~shop:session:*"));
    let refused = builder(&server.url()).connect().await.unwrap_err();
    assert!(refused.to_string().contains("permission"), "{refused}");
    builder(&server.url())
        .prefix("shop:session:")
        .connect()
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_takes_select() {
    let server = RedisServer::start(Engine::Redis7);
    set_user(&server, "shop", &rules(&COMMANDS, KEYS));
    let refused = builder(&server.url()).database(1).connect_timeout(REFUSED);
    let refused = refused.connect().await.unwrap_err();
    assert!(refused.to_string().contains("permission"), "{refused}");
    set_user(
        &server,
        "shop",
        &rules(&[&COMMANDS[..], &["select"]].concat(), KEYS),
    );
    builder(&server.url()).database(1).connect().await.unwrap();
}

fn with_user(engine: Engine, commands: &[&str]) -> Builder {
    let rules = rules(commands, KEYS);
    RedisServer::builder(engine).config(format!("user shop {}", rules.join(" ")))
}

fn hosts(urls: &[String]) -> String {
    let host = |url: &String| {
        url.trim_start_matches("redis://")
            .trim_end_matches('/')
            .to_owned()
    };
    urls.iter().map(host).collect::<Vec<_>>().join(",")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster() {
    let all = [&COMMANDS[..], &CLUSTER].concat();
    println!(
        "in a Cluster: ACL SETUSER shop {}",
        rules(&all, KEYS).join(" ")
    );
    let cluster = RedisCluster::start_from(&with_user(Engine::Redis7, &all));
    let url = format!("redis-cluster://{}", hosts(&cluster.urls()));
    keeps_the_contract("Cluster", &url).await;

    // Without a sign of life the driver connects to its nodes more often, and all works.
    for node in cluster.nodes() {
        set_user(
            node,
            "shop",
            &rules(&[&COMMANDS[..], &["ping"]].concat(), KEYS),
        );
    }
    let refused = builder(&url)
        .connect_timeout(REFUSED)
        .connect()
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("permission"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_sentinel() {
    let all = [&COMMANDS[..], &SENTINEL].concat();
    println!(
        "behind Sentinel: ACL SETUSER shop {}",
        rules(&all, KEYS).join(" ")
    );
    let servers = RedisSentinel::start_from(&with_user(Engine::Redis7, &all));
    // On each sentinel, where the store does not sign in.
    let limited = [
        "resetkeys",
        "resetchannels",
        "&+switch-master",
        "-@all",
        "+sentinel|get-master-addr-by-name",
        "+subscribe",
    ]
    .map(str::to_owned);
    println!(
        "on the sentinels: ACL SETUSER default {}",
        limited.join(" ")
    );
    for sentinel in servers.sentinels() {
        let admin = ["reset", "on", ">admin", "~*", "&*", "+@all"].map(str::to_owned);
        set_user(sentinel, "admin", &admin);
        set_user(sentinel, "default", &limited);
    }
    let url = format!(
        "redis-sentinel://{}#mymaster",
        hosts(&servers.sentinel_urls())
    );
    let store = builder(&url).connect().await.unwrap();
    let listened = || {
        servers.sentinels().iter().any(|sentinel| {
            let asked = sentinel.commands(&[&["AUTH", "admin", "admin"], &["CLIENT", "LIST"]]);
            asked[1].text().contains(" sub=1 ")
        })
    };
    session_tests::servers::wait_until("somebody to listen", Duration::from_secs(20), listened);
    keeps_the_contract("Sentinel", &url).await;
    drop(store);

    for server in servers.servers() {
        set_user(server, "shop", &rules(&COMMANDS, KEYS));
    }
    let refused = builder(&url)
        .connect_timeout(REFUSED)
        .connect()
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("permission"), "{refused}");
}

/// Keys of other programs, by their names.
fn others(server: &RedisServer) -> BTreeMap<String, (String, i64)> {
    let keys = server.command(&["KEYS", "*"]);
    let names = keys.items().iter().map(ToString::to_string);
    let others = names.filter(|name| !name.starts_with("session:"));
    let state = |name: String| {
        let dump = format!("{:?}", server.command(&["DUMP", &name]));
        let rest = server.command(&["PTTL", &name]).integer();
        (name, (dump, rest))
    };
    others.map(state).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_keep_there_stays() {
    let server = RedisServer::start(Engine::Redis7);
    let id = SessionId::random().unwrap().encode();
    let names = [
        "session",
        "session2:a",
        "sessio:a",
        "sessions:",
        "Session:a",
        "SESSION:a",
        ":session:a",
        " session:a",
        "principal:user:1",
        "s",
        "h",
        "m",
        "",
        &id,
    ];
    for (at, name) in names.iter().enumerate() {
        let command: &[&str] = match at % 6 {
            0 => &[
                "HSET", name, "s", "1 2 3 4", "h", "1 2 3 4", "m", "x", ".a", "1",
            ],
            1 => &["ZADD", name, "1", &id, "-1", "x"],
            2 => &["SET", name, "text"],
            3 => &["RPUSH", name, "a", "b"],
            4 => &["SADD", name, "a"],
            _ => &["XADD", name, "1-1", "a", "b"],
        };
        assert!(!server.command(command).is_error());
    }
    let before = others(&server);
    assert_eq!(before.len(), names.len());
    let store = || async { RedisStore::connect(server.url()).await.unwrap() };
    let report = Suite::new(store).rounds(8).run().await;
    assert!(report.is_success(), "{report}");
    assert_eq!(others(&server), before);
    assert!(server.command(&["DBSIZE"]).integer() > 50);

    // Nor does another store with a prefix of its own see these sessions.
    let other = RedisStore::builder(server.url()).prefix("session2:");
    let other = other.connect().await.unwrap();
    let now = SystemTime::now().into();
    for key in server.command(&["KEYS", "session:*"]).items() {
        let name = key.text();
        if let Ok(id) = name.trim_start_matches("session:").parse::<SessionId>() {
            assert!(other.load(&id.into(), now).await.unwrap().is_none());
            other.delete(&id.into(), Ended::default()).await.unwrap();
            assert_eq!(server.command(&["EXISTS", &name]).integer(), 1);
        }
    }
    assert_eq!(others(&server), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_near_cache() {
    let server = RedisServer::start(Engine::Redis7);
    let all = [&COMMANDS[..], &NEAR].concat();
    set_user(&server, "shop", &rules(&all, KEYS));
    is_leased(&server.url()).await;

    let all = [&all[..], &CLUSTER, &NEAR_CLUSTER].concat();
    let cluster = RedisCluster::start_from(&with_user(Engine::Redis7, &all));
    is_leased(&format!("redis-cluster://{}", hosts(&cluster.urls()))).await;

    let all = [&COMMANDS[..], &NEAR[..1], &SENTINEL].concat();
    let servers = RedisSentinel::start_from(&with_user(Engine::Redis7, &all));
    let hosts = hosts(&servers.sentinel_urls());
    is_leased(&format!("redis-sentinel://{hosts}#mymaster")).await;
}

/// Reads are served without a command.
async fn is_leased(url: &str) {
    let near = NearCache::new(Duration::from_secs(1));
    let store = builder(url).near_cache(near).connect().await.unwrap();
    let manager = SessionManager::new(store.clone());
    let token = create(&manager, [("n", 1)]).await;
    while store.cache_stats().leased == 0 {
        drop(open(&manager, &token).await);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
