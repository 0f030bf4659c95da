#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::time::Duration;

use redis::io::tcp::socket2::TcpKeepalive;
use redis::{Client, ConnectionAddr, ProtocolVersion};

use super::super::address::tuned;
use super::*;

fn one(url: &str) -> ConnectionInfo {
    match Servers::of_url(url).unwrap() {
        Servers::One(info) => info,
        _ => panic!("{url} names several servers"),
    }
}

fn tcp(info: &ConnectionInfo) -> (&str, u16) {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) => (host, *port),
        other => panic!("not plain TCP: {other}"),
    }
}

fn tls(info: &ConnectionInfo) -> (&str, u16) {
    match info.addr() {
        ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            ..
        } => (host, *port),
        other => panic!("not TLS: {other}"),
    }
}

fn refusal(url: &str) -> String {
    match Servers::of_url(url) {
        Ok(_) => panic!("{url} was accepted"),
        Err(error) => error.to_string(),
    }
}

fn login(info: &ConnectionInfo) -> (Option<&str>, Option<&str>, i64) {
    let settings = info.redis_settings();
    (settings.username(), settings.password(), settings.db())
}

#[test]
fn one_server() {
    for scheme in ["redis", "valkey"] {
        assert_eq!(tcp(&one(&format!("{scheme}://host"))), ("host", 6379));
        assert_eq!(tcp(&one(&format!("{scheme}://host:1/"))), ("host", 1));
    }
    assert_eq!(tcp(&one("redis://10.0.0.1/")), ("10.0.0.1", 6379));
    assert_eq!(tcp(&one("redis://[::1]:7000/")), ("::1", 7000));
    assert_eq!(tcp(&one("redis://[2001:db8::7]")), ("2001:db8::7", 6379));

    assert_eq!(login(&one("redis://host")), (None, None, 0));
    assert_eq!(login(&one("redis://host/7")), (None, None, 7));
    assert_eq!(
        login(&one("redis://:secret@host/7")),
        (None, Some("secret"), 7)
    );
    let whole = one("redis://us%65r:p%40ss%3Aw%2Frd%25%C3%BC@host/");
    assert_eq!(login(&whole), (Some("user"), Some("p@ss:w/rd%ü"), 0));
}

/// A file with a URL ends with a line break, as a rule.
#[test]
fn whatever_the_driver_takes_around_a_url_is_taken() {
    for url in [
        "REDIS://host/7",
        " redis://host/7",
        "redis://host/7\n",
        "\tRedis://host/7 \r\n",
    ] {
        assert!(Client::open(url).is_ok(), "{url:?}");
        assert_eq!(
            (tcp(&one(url)).0, login(&one(url)).2),
            ("host", 7),
            "{url:?}"
        );
    }
    assert_eq!(tls(&one("RedisS://host/")), ("host", 6379));
    assert!(refusal("REDISS://host/#insecure").contains("not supported"));
    assert_eq!(cluster("REDIS-CLUSTER://a,b\n").len(), 2);
    assert_eq!(sentinel("Redis-Sentinel://a#name\n").1, "name");
    let socket = one("UNIX:///run/a.sock\n");
    assert!(
        matches!(socket.addr(), ConnectionAddr::Unix(path) if path.as_os_str() == "/run/a.sock")
    );
}

#[test]
fn whatever_the_driver_takes_in_a_login_is_taken() {
    for (text, right) in [
        ("a&b", "a&b"),
        ("a=b&c=d", "a=b&c=d"),
        ("a@b", "a@b"),
        ("a:b", "a:b"),
        ("a,b", "a,b"),
        ("a%26b%2F%3F%23%40%3A%25", "a&b/?#@:%"),
        ("a%b", "a%b"),
        ("a+b!$'()*;~", "a+b!$'()*;~"),
        ("[a]{b}|^`\"<>\\\\", "[a]{b}|^`\"<>\\\\"),
    ] {
        let url = format!("redis://:{text}@127.0.0.1/");
        let driver = Client::open(&*url).unwrap();
        assert_eq!(
            driver.get_connection_info().redis_settings().password(),
            Some(right),
            "{url}"
        );
        assert_eq!(login(&one(&url)), (None, Some(right), 0), "{url}");
        assert_eq!(
            login(&cluster(&format!("redis-cluster://:{text}@a,b/"))[1]).1,
            Some(right)
        );
        let by_sentinel = sentinel(&format!("redis-sentinel://:{text}@a,b/1#name")).2;
        assert_eq!(login(&by_sentinel), (None, Some(right), 1));
    }
    assert_eq!(
        login(&one("redis://a&b:c@[::1]:1/2?protocol=resp3")),
        (Some("a&b"), Some("c"), 2)
    );
    for path in ["/run/a=b.sock", "/run/a&b.sock", "/run/a,b@c:1.sock"] {
        let info = one(&format!("unix://{path}?db=2&pass=a%26b"));
        assert!(
            matches!(info.addr(), ConnectionAddr::Unix(found) if found.as_os_str() == path),
            "{path}"
        );
        assert_eq!(login(&info), (None, Some("a&b"), 2));
    }
}

#[test]
fn every_connection_is_kept_alive() {
    let quiet = one("redis://host/?protocol=2");
    for info in [
        &one("redis://host"),
        &quiet,
        &cluster("redis-cluster://a,b")[1],
    ] {
        assert!(info.tcp_settings().keepalive().is_some());
        #[cfg(target_os = "linux")]
        assert_eq!(
            info.tcp_settings().user_timeout(),
            Some(Duration::from_secs(15))
        );
    }
    let (sentinels, _, server) = sentinel("redis-sentinel://a#name");
    assert!(sentinels[0].tcp_settings().keepalive().is_some());
    assert!(server.tcp_settings().keepalive().is_some());
    // What a client has set stays.
    let own = TcpKeepalive::new().with_time(Duration::from_secs(99));
    let info = one("redis://host");
    let settings = info.tcp_settings().clone().set_keepalive(own);
    let kept = tuned(info.set_tcp_settings(settings));
    assert!(format!("{:?}", kept.tcp_settings()).contains("99"));
}

#[test]
fn over_tls() {
    for scheme in ["rediss", "valkeys"] {
        assert_eq!(tls(&one(&format!("{scheme}://host"))), ("host", 6379));
        assert_eq!(tls(&one(&format!("{scheme}://[::1]:1/2"))), ("::1", 1));
    }
    for rest in [
        "#insecure",
        "/#insecure",
        "/#insecure ",
        "/#inse\ncure",
        "/0#insecure",
        "/?protocol=3#insecure",
    ] {
        let refused = refusal(&format!("rediss://host{rest}"));
        assert!(refused.contains("root certificate"), "{rest}: {refused}");
    }
    assert!(refusal("rediss-cluster://a,b/#insecure").contains("root certificate"));
    assert!(refusal("rediss://host/#other").contains("fragment"));
}

#[test]
fn by_a_socket() {
    for scheme in ["unix", "redis+unix", "valkey+unix"] {
        let info = one(&format!(
            "{scheme}:///run/redis.sock?db=3&user=user&pass=secret"
        ));
        let ConnectionAddr::Unix(path) = info.addr() else {
            panic!("{}", info.addr())
        };
        assert_eq!(path.as_os_str(), "/run/redis.sock");
        assert_eq!(login(&info), (Some("user"), Some("secret"), 3));
    }
    assert_eq!(login(&one("unix:///a")), (None, None, 0));
}

#[test]
fn every_connection_is_prompt_and_speaks_the_new_protocol() {
    let protocol = |url| one(url).redis_settings().protocol();
    for url in [
        "redis://host",
        "unix:///a",
        "redis://:protocol=2@host",
        "redis://host/?protocol=resp3",
    ] {
        assert_eq!(protocol(url), ProtocolVersion::RESP3, "{url}");
    }
    for url in [
        "redis://host/?protocol=resp2",
        "redis://host/?protocol=2",
        "unix:///a?db=1&protocol=2",
    ] {
        assert_eq!(protocol(url), ProtocolVersion::RESP2, "{url}");
    }
    assert!(one("redis://host").tcp_settings().nodelay());
}

fn cluster(url: &str) -> Vec<ConnectionInfo> {
    match Servers::of_url(url).unwrap() {
        Servers::Cluster(nodes) => nodes,
        _ => panic!("{url} names no Cluster"),
    }
}

#[test]
fn clusters() {
    let nodes = cluster("redis-cluster://us%2Cer:p%2Css@a,b:7001,[::1],[::2]:7002/");
    let hosts: Vec<_> = nodes.iter().map(tcp).collect();
    assert_eq!(
        hosts,
        [("a", 6379), ("b", 7001), ("::1", 6379), ("::2", 7002)]
    );
    for node in &nodes {
        assert_eq!(login(node), (Some("us,er"), Some("p,ss"), 0));
    }
    // In a password neither is the end of it.
    assert_eq!(
        login(&cluster("redis-cluster://:p,s@s@a,b")[1]).1,
        Some("p,s@s")
    );
    let old = cluster("valkey-cluster://a,b?protocol=2");
    assert_eq!(old[1].redis_settings().protocol(), ProtocolVersion::RESP2);
    for url in ["rediss-cluster://a,b:1", "valkeys-cluster://a,b:1/"] {
        assert_eq!(
            cluster(url).iter().map(tls).collect::<Vec<_>>(),
            [("a", 6379), ("b", 1)]
        );
    }
}

fn sentinel(url: &str) -> (Vec<ConnectionInfo>, String, ConnectionInfo) {
    match Servers::of_url(url).unwrap() {
        Servers::Sentinel {
            sentinels,
            name,
            server,
        } => (sentinels, name, server),
        _ => panic!("{url} names no sentinels"),
    }
}

#[test]
fn sentinels() {
    let (sentinels, name, server) =
        sentinel("redis-sentinel://user:p%23ss@a,b:7001,[::1],[::2]:7002/4?protocol=2#shop.1");
    let hosts: Vec<_> = sentinels.iter().map(tcp).collect();
    assert_eq!(
        hosts,
        [("a", 26379), ("b", 7001), ("::1", 26379), ("::2", 7002)]
    );
    // User, password and database are the server's.
    for sentinel in &sentinels {
        assert_eq!(login(sentinel), (None, None, 0));
    }
    assert_eq!(name, "shop.1");
    assert_eq!(login(&server), (Some("user"), Some("p#ss"), 4));
    assert_eq!(server.redis_settings().protocol(), ProtocolVersion::RESP2);

    let (sentinels, name, server) = sentinel("rediss-sentinel://a#insecure");
    assert_eq!((tls(&sentinels[0]), &*name), (("a", 26379), "insecure"));
    tls(&server);
}
