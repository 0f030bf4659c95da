//! The servers of the other tests are what those take them for.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use session_tests::servers::{Engine, RedisCluster, RedisSentinel, RedisServer, plain_redis};

/// Sends `PING` over TCP, and says whether the answer comes within half a second.
fn ping(stream: &mut TcpStream) -> Result<String, ErrorKind> {
    stream
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    stream
        .write_all(b"PING\r\n")
        .map_err(|error| error.kind())?;
    let mut answer = [0; 64];
    let read = stream.read(&mut answer).map_err(|error| error.kind())?;
    Ok(String::from_utf8_lossy(&answer[..read]).into_owned())
}

fn connect(server: &RedisServer) -> TcpStream {
    TcpStream::connect(server.address()).unwrap()
}

fn set(server: &RedisServer, key: &str, value: &str) {
    assert_eq!(server.command(&["SET", key, value]).text(), "OK");
}

/// Returns when the replica of `server` has it too.
fn set_on_both(server: &RedisServer, key: &str, value: &str) {
    let replies = server.commands(&[&["SET", key, value], &["WAIT", "1", "5000"]]);
    assert_eq!(
        (replies[0].text(), replies[1].integer()),
        ("OK".to_owned(), 1)
    );
}

fn get(server: &RedisServer, key: &str) -> String {
    server.command(&["GET", key]).text()
}

fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn each_engine_starts_and_answers() {
    for (engine, field, version) in [
        (Engine::Redis7, "redis_version", "7."),
        (Engine::Valkey9, "valkey_version", "9."),
        (Engine::Redis8, "redis_version", "8."),
    ] {
        let server = RedisServer::start(engine);
        let info = server.command(&["INFO", "server"]);
        assert!(
            info.field(field).unwrap().starts_with(version),
            "{engine}: {info}"
        );
        assert_eq!(info.field("process_id").unwrap(), server.pid().to_string());
        assert_eq!(ping(&mut connect(&server)).unwrap(), "+PONG\r\n");
        assert_eq!(
            server.url(),
            format!("redis://127.0.0.1:{}/", server.port())
        );
    }
}

#[test]
fn a_killed_server_comes_back_on_its_port_with_nothing_in_it() {
    let server = RedisServer::start(Engine::Redis7);
    let (port, pid) = (server.port(), server.pid());
    set(&server, "key", "value");
    server.kill();
    assert!(!is_alive(pid) && !server.is_up());
    assert!(TcpStream::connect(server.address()).is_err());
    server.restart();
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    assert_eq!(get(&server, "key"), "");
}

#[test]
fn a_persistent_server_keeps_what_it_has_answered() {
    for engine in Engine::ALL {
        let server = RedisServer::builder(engine).persistent().start();
        set(&server, "key", "value");
        server.kill();
        server.restart();
        assert_eq!(get(&server, "key"), "value", "{engine}");
    }
}

#[test]
fn a_paused_server_answers_later() {
    let server = RedisServer::start(Engine::Redis7);
    let mut stream = connect(&server);
    assert_eq!(ping(&mut stream).unwrap(), "+PONG\r\n");
    server.pause();
    assert!(!server.is_up());
    assert_eq!(ping(&mut stream).unwrap_err(), ErrorKind::WouldBlock);
    server.resume();
    assert_eq!(ping(&mut connect(&server)).unwrap(), "+PONG\r\n");
}

#[test]
fn a_dropped_server_leaves_nothing_behind() {
    let server = RedisServer::start(Engine::Redis7);
    let (pid, dir) = (server.pid(), server.dir().to_owned());
    assert!(is_alive(pid) && dir.exists());
    server.pause();
    drop(server);
    assert!(!is_alive(pid) && !dir.exists());
}

#[test]
fn arguments_and_settings_reach_the_server() {
    let builder = RedisServer::builder(Engine::Valkey9).config("maxmemory 9mb");
    let server = builder
        .arg("--maxmemory-policy")
        .arg("volatile-ttl")
        .start();
    assert_eq!(
        server
            .command(&["CONFIG", "GET", "maxmemory-policy"])
            .items()[1]
            .text(),
        "volatile-ttl"
    );
    assert_eq!(
        server.command(&["CONFIG", "GET", "maxmemory"]).items()[1].integer(),
        9 << 20
    );
}

#[test]
#[should_panic(expected = "did not start")]
fn a_server_that_does_not_start_fails_the_test() {
    RedisServer::builder(Engine::Redis7)
        .config("no-such-setting 1")
        .start();
}

#[test]
fn a_password_is_asked_for() {
    let server = RedisServer::builder(Engine::Redis7)
        .password("secret")
        .start();
    assert!(ping(&mut connect(&server)).unwrap().starts_with("-NOAUTH"));
    set(&server, "key", "value");
    assert_eq!(
        server.url(),
        format!("redis://:secret@127.0.0.1:{}/", server.port())
    );
}

#[test]
fn a_server_by_socket_file_has_no_port() {
    let server = RedisServer::builder(Engine::Redis7).unix_socket().start();
    assert!(TcpStream::connect(server.address()).is_err());
    assert_eq!(
        server.url(),
        format!("redis+unix://{}", server.socket_path().display())
    );
    assert!(server.socket_path().exists());
}

/// What `redis-cli` says to a PING by TLS, with further arguments.
fn ping_by_tls(server: &RedisServer, args: &[&Path]) -> String {
    let mut command = Command::new("redis-cli");
    command.args(["-h", "localhost", "-p", &server.port().to_string(), "--tls"]);
    let done = command.args(args).arg("PING").output().unwrap();
    String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr)
}

#[test]
fn a_server_with_tls_shows_its_certificate() {
    let server = RedisServer::builder(Engine::Redis7).tls().start();
    let files = server.tls_files();
    let ca = [Path::new("--cacert"), &files.ca];
    assert_eq!(ping_by_tls(&server, &ca), "PONG\n");
    let client = [
        Path::new("--cert"),
        &files.client_cert,
        Path::new("--key"),
        &files.client_key,
    ];
    assert_eq!(
        ping_by_tls(&server, &[&ca[..], &client[..]].concat()),
        "PONG\n"
    );
    assert!(ping_by_tls(&server, &[]).contains("certificate verify failed"));
    assert_eq!(
        server.url(),
        format!("rediss://localhost:{}/", server.port())
    );
}

#[test]
fn servers_take_ports_of_their_own() {
    let servers = [(); 8].map(|()| RedisServer::start(Engine::Valkey9));
    let mut ports: Vec<_> = servers.iter().map(|server| server.port()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), servers.len());
}

#[test]
fn a_plain_server_is_there() {
    assert!(plain_redis().url().starts_with("redis"));
}

#[test]
fn a_cluster_forms_and_gets_over_the_death_of_a_master() {
    let cluster = RedisCluster::start_to_fail_over(&RedisServer::builder(Engine::Redis7));
    assert_eq!(cluster.urls().len(), 6);
    let old = cluster.master_of("key");
    let replica = cluster.replicas_of(old)[0];
    set_on_both(&cluster.nodes()[old], "key", "value");
    cluster.kill(old);
    cluster.wait_ok();
    let new = cluster.master_of("key");
    assert_eq!(new, replica);
    assert_eq!(get(&cluster.nodes()[new], "key"), "value");
    cluster.restart(old);
    cluster.wait_ok();
    assert_eq!(cluster.master_of("key"), new);
    assert_eq!(cluster.replicas_of(new), [old]);
}

#[test]
fn a_cluster_gets_over_a_master_that_hangs() {
    for engine in [Engine::Valkey9, Engine::Redis8] {
        let cluster = RedisCluster::start_to_fail_over(&RedisServer::builder(engine));
        let old = cluster.master_of("key");
        cluster.pause(old);
        cluster.wait_ok();
        assert_ne!(cluster.master_of("key"), old, "{engine}");
        cluster.resume(old);
        cluster.wait_ok();
        assert_ne!(cluster.master_of("key"), old, "{engine}");
    }
}

#[test]
fn sentinels_get_over_the_death_of_the_master() {
    let all = RedisSentinel::start(Engine::Redis7);
    assert_eq!((all.master_name(), all.master()), ("mymaster", 0));
    assert_eq!(
        (all.sentinel_ports().len(), all.sentinel_urls().len()),
        (3, 3)
    );
    let old = all.master_port();
    set_on_both(&all.servers()[0], "key", "value");
    all.kill(0);
    all.wait_for_failover(old);
    assert_eq!(
        (all.master(), all.master_port()),
        (1, all.servers()[1].port())
    );
    assert_eq!(get(&all.servers()[1], "key"), "value");
    all.restart(0);
    all.wait_ok();
    assert_eq!(get(&all.servers()[0], "key"), "value");
}

#[test]
fn sentinels_make_the_replica_the_master_when_told() {
    for engine in [Engine::Valkey9, Engine::Redis8] {
        let all = RedisSentinel::start(engine);
        all.failover();
        assert_eq!(all.master(), 1, "{engine}");
        all.wait_ok();
        assert_eq!(all.master(), 1, "{engine}");
    }
}
