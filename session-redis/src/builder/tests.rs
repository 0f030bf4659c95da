#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use redis::{Client, RedisFuture, Value};

use super::*;

#[tokio::test]
async fn a_username_without_a_password_is_refused_and_an_empty_one_sent() {
    let refused = |builder: RedisStoreBuilder| builder.lazy().unwrap_err().to_string();
    let lacks = "lacks its password";
    assert!(refused(RedisStore::builder("redis://host").username("shop")).contains(lacks));
    assert!(
        refused(RedisStore::builder("redis-sentinel://a#n").sentinel_username("shop"))
            .contains(lacks)
    );
    let client = Client::open("redis://shop@host").unwrap();
    assert!(refused(RedisStore::builder(client)).contains(lacks));
    for url in ["redis://shop@host", "unix:///a?user=shop"] {
        RedisStore::builder(url).password("").lazy().unwrap();
        RedisStore::builder(url).password("secret").lazy().unwrap();
    }
    // As whom everybody begins.
    RedisStore::builder("redis://default@host").lazy().unwrap();
}

#[tokio::test]
async fn a_time_that_cannot_work_is_named() {
    let builder = || RedisStore::builder("redis://host");
    let long = Duration::from_secs(61);
    for (builder, says) in [
        (builder().call_timeout(long), "call_timeout"),
        (builder().connect_timeout(long), "connect_timeout"),
    ] {
        let refused = builder.lazy().unwrap_err().to_string();
        assert!(refused.contains(says), "{refused}");
    }
}

#[tokio::test]
async fn a_file_without_certificates_is_refused() {
    for pem in [
        "",
        "\n",
        "no PEM",
        "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n",
        "# -----BEGIN CERTIFICATE-----\n",
        "  -----BEGIN CERTIFICATE-----\n  AA==\n  -----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\\nAA==\\n-----END CERTIFICATE-----\\n",
        "-----BEGIN CERTIFICATE-----\nAA==\n",
        "-----BEGIN CERTIFICATE-----\n####\n-----END CERTIFICATE-----\n",
    ] {
        for url in [
            "rediss://host",
            "rediss-cluster://a,b",
            "rediss-sentinel://a#name",
        ] {
            let refused = RedisStore::builder(url)
                .root_certificates(pem)
                .lazy()
                .unwrap_err();
            assert!(
                refused.to_string().contains("root_certificates"),
                "{refused}"
            );
            let refused = RedisStore::builder(url)
                .client_certificate(pem, "")
                .lazy()
                .unwrap_err();
            assert!(
                refused.to_string().contains("client_certificate"),
                "{refused}"
            );
        }
    }
}

const SECRET: &str = "p4ssw0rd";

/// All that is wrong with a password in it: none of it shows.
const WRONG: [(&str, &str); 43] = [
    ("", "begins with"),
    ("host:6379", "begins with"),
    ("http://:p4ssw0rd@host", "begins with"),
    ("redis+sentinel://:p4ssw0rd@host", "begins with"),
    ("redis://host/?password=p4ssw0rd", "parameter"),
    ("redis://host/?timeout=5", "parameter"),
    ("redis://p4ssw0rd?x@host", "@ too late"),
    ("redis://user:1#p4ssw0rd@host", "@ too late"),
    ("redis-cluster://user:p4ssw0rd/x@a,b", "@ too late"),
    ("unix:///a.sock&pass=p4ssw0rd", "& before"),
    ("redis-sentinel://a#name&pass=p4ssw0rd", "ends with #name"),
    ("redis://:p4ssw0rd@host/-1", "negative"),
    ("redis:/:p4ssw0rd@host", "begins with"),
    ("redis-other://:p4ssw0rd@host", "begins with"),
    ("other-cluster://:p4ssw0rd@host", "begins with"),
    ("unix-cluster://:p4ssw0rd@host", "begins with"),
    ("redis://", "wrong"),
    ("redis://:p4ssw0rd@", "wrong"),
    ("redis://:p4ssw0rd@host:port", "wrong"),
    ("redis://:p4ssw0rd@host:99999", "wrong"),
    ("redis://:p4ssw0rd@host/database", "wrong"),
    ("redis://:p4ssw0rd%ff@host", "wrong"),
    ("redis://:p4ssw0rd@host/?protocol=9", "wrong"),
    ("redis://:p4ssw0rd@0.0.0.0", "wildcard"),
    ("redis://:p4ssw0rd@[::]", "wildcard"),
    ("redis-cluster://:p4ssw0rd@a,,b", "wrong"),
    ("redis-cluster://:p4ssw0rd@a,0.0.0.0", "wildcard"),
    ("redis-sentinel://:p4ssw0rd@a", "lacks the name"),
    ("redis-sentinel://:p4ssw0rd@a/0#", "lacks the name"),
    ("redis-sentinel://user:1#p4ssw0rd@a/0#name", "@ too late"),
    ("rediss://:p4ssw0rd@host/#p4ssw0rd", "fragment"),
    ("redis://:p4ssw0rd@sentinel/0#name", "redis-sentinel://"),
    (
        "redis://:p4ssw0rd@host/0?protocol=3#name",
        "redis-sentinel://",
    ),
    ("redis-cluster://:p4ssw0rd@a,b/#name", "redis-sentinel://"),
    ("unix:///run/a#b.sock?pass=p4ssw0rd", "%23"),
    ("redis://:p4ssw0rd@a,b/", "several hosts"),
    ("rediss://:p4ssw0rd@a:1,b:2", "several hosts"),
    ("redis://:p4ssw0rd@host/0&protocol=3", "& before"),
    ("unix:///a.sock&db=1&password=p4ssw0rd", "& before"),
    ("redis://p4ssw0rd@host/", "lacks its password"),
    ("redis-cluster://p4ssw0rd@a,b/", "lacks its password"),
    ("redis-sentinel://p4ssw0rd@a/#name", "lacks its password"),
    ("unix:///a.sock?user=p4ssw0rd", "lacks its password"),
];

#[test]
fn what_is_wrong_is_said_without_the_password() {
    for (url, reason) in WRONG {
        let error = RedisStore::builder(url).lazy().unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains(reason) && !said.contains(SECRET),
            "{url}: {said}"
        );
        let connect = ConnectError::from(error.clone());
        for text in [
            format!("{error:?}"),
            connect.to_string(),
            format!("{connect:?}"),
        ] {
            assert!(!text.contains(SECRET), "{text}");
        }
    }
}

#[tokio::test]
async fn nothing_shows_a_password() {
    let page = |value: &dyn std::fmt::Debug| {
        let text = format!("{value:?}{value:#?}");
        assert!(!text.contains(SECRET) && text.len() > 5, "{text}");
    };
    let (user, pass) = ("user:p4ssw0rd@", "pass=p4ssw0rd");
    for url in [
        format!("redis://{user}127.0.0.1:1/"),
        format!("rediss://{user}127.0.0.1:1/"),
        format!("unix:///nowhere?{pass}"),
        format!("redis-cluster://{user}127.0.0.1:1,127.0.0.1:2/"),
        format!("redis-sentinel://{user}127.0.0.1:1,127.0.0.1:2/#name"),
    ] {
        page(&Source::from(&url));
        page(&RedisStore::builder(&url));
        page(&RedisStore::builder("redis://127.0.0.1:1").password(SECRET));
        page(&RedisStore::builder(&url).lazy().unwrap());
        // Nobody listens there.
        let impatient = RedisStore::builder(&url).connect_timeout(Duration::from_millis(200));
        let failed = impatient.connect().await.unwrap_err();
        page(&failed);
        let mut next: Option<&dyn std::error::Error> = Some(&failed);
        while let Some(error) = next {
            let text = error.to_string();
            assert!(!text.contains(SECRET), "{text}");
            next = error.source();
        }
        assert!(failed.to_string().contains("no connection to"), "{failed}");
    }
    page(&Source::from(
        Client::open("redis://:p4ssw0rd@host").unwrap(),
    ));
    page(&Source::from(redis::cluster::ClusterClientBuilder::new([
        "redis://:p4ssw0rd@host",
    ])));
}

#[tokio::test]
async fn there_are_as_many_connections_as_are_set_or_the_kind_of_servers_wants() {
    let shown = |builder: RedisStoreBuilder| format!("{:?}", builder.lazy().unwrap());
    let cpus = std::thread::available_parallelism().unwrap().get();
    let usual = format!("connections: {}", (cpus / 2).clamp(1, 4));
    for url in ["redis://host", "redis-sentinel://a,b#name"] {
        assert!(shown(RedisStore::builder(url)).contains(&usual));
    }
    let one = "connections: 1,";
    assert!(shown(RedisStore::builder("redis-cluster://a,b")).contains(one));
    for url in ["redis://host", "redis-sentinel://a#n", "redis-cluster://a"] {
        assert!(shown(RedisStore::builder(url).connections(9)).contains("connections: 9"));
        for wrong in [0, 65] {
            let refused = RedisStore::builder(url).connections(wrong).lazy();
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("between 1 and 64"), "{refused}");
        }
    }
    let applications = || RedisStore::builder(Source::connection(NoConnection));
    assert!(shown(applications()).contains(one));
    assert!(shown(applications().connections(1)).contains(one));
    let refused = applications().connections(2).lazy().unwrap_err();
    assert!(refused.to_string().contains("URL or a client"), "{refused}");
}

#[derive(Clone)]
struct NoConnection;

impl redis::aio::ConnectionLike for NoConnection {
    fn req_packed_command<'a>(&'a mut self, _: &'a redis::Cmd) -> RedisFuture<'a, Value> {
        Box::pin(std::future::pending())
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        _: &'a redis::Pipeline,
        _: usize,
        _: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(std::future::pending())
    }

    fn get_db(&self) -> i64 {
        0
    }
}

#[tokio::test]
async fn a_near_cache_goes_with_connections_that_can_tell() {
    let near = |seconds| NearCache::new(Duration::from_secs(seconds));
    for url in [
        "redis://host",
        "unix:///a",
        "redis-sentinel://a#n",
        "redis-cluster://a",
    ] {
        let store = RedisStore::builder(url).near_cache(near(1)).lazy();
        assert!(format!("{store:?}").contains("lease: 1s"), "{store:?}");
    }
    let client = Client::open("redis://host").unwrap();
    RedisStore::builder(client)
        .near_cache(near(1))
        .lazy()
        .unwrap();
    let cluster = redis::cluster::ClusterClientBuilder::new(["redis://host"]);
    for (builder, says) in [
        (RedisStore::builder("redis://host?protocol=resp2"), "RESP3"),
        (
            RedisStore::builder("redis-sentinel://a?protocol=resp2#n"),
            "RESP3",
        ),
        (
            RedisStore::builder("redis-cluster://a?protocol=resp2"),
            "RESP3",
        ),
        (
            RedisStore::builder(Source::connection(NoConnection)),
            "URL or a client",
        ),
        (RedisStore::builder(cluster), "redis-cluster:// URL"),
        (
            RedisStore::builder("redis://host").cache_bytes(0),
            "cache_bytes(0)",
        ),
    ] {
        let refused = builder.near_cache(near(1)).lazy().unwrap_err().to_string();
        assert!(refused.contains(says), "{refused}");
    }
    for wrong in [near(0), near(61)] {
        let refused = RedisStore::builder("redis://host").near_cache(wrong).lazy();
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("between 10 ms and 60 s"), "{refused}");
    }
}
