//! The MongoDB servers of the other tests are what those take them for.

use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use mongodb::Client;
use mongodb::bson::{DateTime, Document, doc};
use session_tests::servers::{MongoReplicaSet, MongoServer, plain_mongo, wait_until};

/// Returns when the server has it, or a majority of its set.
fn set(server: &MongoServer, value: i32) {
    let write = doc! {
        "update": "things",
        "updates": [{ "q": { "_id": 0 }, "u": { "value": value }, "upsert": true }],
        "writeConcern": { "w": "majority", "wtimeout": 10_000 },
    };
    let answer = server.command("test", write);
    assert_eq!(answer.get_i32("n").unwrap(), 1, "{answer}");
    assert!(!answer.contains_key("writeConcernError"), "{answer}");
}

fn get(server: &MongoServer) -> Option<i32> {
    let answer = server.command("test", doc! { "find": "things", "filter": { "_id": 0 } });
    let found = answer
        .get_document("cursor")
        .unwrap()
        .get_array("firstBatch")
        .unwrap();
    found.first()?.as_document()?.get_i32("value").ok()
}

fn parameter(server: &MongoServer, name: &str) -> Document {
    server.command("admin", doc! { "getParameter": 1, name: 1 })
}

fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn a_server_starts_and_answers() {
    let server = MongoServer::start();
    let status = server.command("admin", doc! { "serverStatus": 1 });
    assert!(status.get_str("version").unwrap().starts_with("6.0."));
    assert_eq!(status.get_i64("pid").unwrap(), i64::from(server.pid()));
    assert_eq!(
        server.uri(),
        format!("mongodb://127.0.0.1:{}/", server.port())
    );
    set(&server, 1);
    assert_eq!(get(&server), Some(1));
}

#[test]
fn a_killed_server_comes_back_on_its_port_with_what_it_has_answered() {
    let server = MongoServer::start();
    let (port, pid) = (server.port(), server.pid());
    set(&server, 1);
    server.kill();
    assert!(!is_alive(pid) && !server.is_up());
    assert!(TcpStream::connect(server.address()).is_err());
    server.restart();
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    assert_eq!(get(&server), Some(1));
}

#[test]
fn a_paused_server_answers_later() {
    let server = MongoServer::start();
    server.pause();
    assert!(!server.is_up());
    assert!(TcpStream::connect(server.address()).is_ok());
    let asked = Instant::now();
    assert!(server.try_command("admin", doc! { "ping": 1 }).is_err());
    assert!(asked.elapsed() > Duration::from_secs(2));
    server.resume();
    server.command("admin", doc! { "ping": 1 });
}

#[test]
fn a_dropped_server_leaves_nothing_behind() {
    let server = MongoServer::start();
    let (pid, dir) = (server.pid(), server.dir().to_owned());
    assert!(is_alive(pid) && dir.exists());
    server.pause();
    drop(server);
    assert!(!is_alive(pid) && !dir.exists());
}

#[test]
fn arguments_and_parameters_reach_the_server() {
    let builder = MongoServer::builder().parameter("ttlMonitorSleepSecs", "1");
    let server = builder.arg("--maxConns").arg("77").start();
    let sleep = parameter(&server, "ttlMonitorSleepSecs");
    assert_eq!(sleep.get_i32("ttlMonitorSleepSecs").unwrap(), 1);
    let options = server.command("admin", doc! { "getCmdLineOpts": 1 });
    assert!(
        options
            .to_string()
            .contains(r#""maxIncomingConnections": 77"#),
        "{options}"
    );
}

#[test]
fn the_server_removes_what_has_expired() {
    let server = MongoServer::builder()
        .parameter("ttlMonitorSleepSecs", "1")
        .start();
    let index = doc! { "key": { "ends": 1 }, "name": "ends", "expireAfterSeconds": 0 };
    server.command(
        "test",
        doc! { "createIndexes": "things", "indexes": [index] },
    );
    let ended = DateTime::from_millis(0);
    server.command(
        "test",
        doc! { "insert": "things", "documents": [{ "_id": 0, "value": 1, "ends": ended }] },
    );
    wait_until("the server to sweep", Duration::from_secs(20), || {
        get(&server).is_none()
    });
}

#[test]
#[should_panic(expected = "did not start")]
fn a_server_that_does_not_start_fails_the_test() {
    MongoServer::builder().arg("--no-such-option").start();
}

#[tokio::test]
async fn a_login_is_asked_for_also_after_a_restart() {
    let server = MongoServer::builder().login("ada", "secret").start();
    assert_eq!(
        server.uri(),
        format!("mongodb://ada:secret@127.0.0.1:{}/", server.port())
    );
    for _ in 0..2 {
        set(&server, 1);
        let nobody = Client::with_uri_str(format!("mongodb://{}/", server.address()))
            .await
            .unwrap();
        let refused = nobody.list_database_names().await.unwrap_err();
        assert!(
            refused.to_string().contains("requires authentication"),
            "{refused}"
        );
        let status = server.command("admin", doc! { "connectionStatus": 1 });
        assert!(status.to_string().contains(r#""user": "ada""#), "{status}");
        server.restart();
    }
}

#[test]
fn servers_take_ports_of_their_own() {
    let servers = [(); 3].map(|()| MongoServer::start());
    let mut ports: Vec<_> = servers.iter().map(|server| server.port()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), servers.len());
}

#[test]
fn a_plain_server_is_there() {
    assert!(plain_mongo().uri().starts_with("mongodb"));
}

/// Also from within an async test.
#[tokio::test]
async fn a_set_gets_over_the_death_of_its_primary() {
    let all = MongoReplicaSet::start();
    let [a, b, c] = all.ports()[..] else {
        unreachable!()
    };
    let hosts = format!("127.0.0.1:{a},127.0.0.1:{b},127.0.0.1:{c}");
    assert_eq!(all.uri(), format!("mongodb://{hosts}/?replicaSet=rs0"));
    let old = all.primary();
    set(&all.nodes()[old], 1);
    all.kill(old);
    let new = all.wait_for_primary();
    assert_ne!(new, old);
    assert_eq!(get(&all.nodes()[new]), Some(1));
    set(&all.nodes()[new], 2);
    all.restart(old);
    all.wait_ok();
    wait_until(
        "the restarted node to have it",
        Duration::from_secs(20),
        || get(&all.nodes()[old]) == Some(2),
    );
}

#[test]
fn a_set_elects_another_primary_when_told_and_when_one_hangs() {
    let all = MongoReplicaSet::start();
    let first = all.primary();
    all.step_down();
    let second = all.wait_for_primary();
    assert_ne!(second, first);
    all.wait_ok();
    all.pause(second);
    let third = all.wait_for_primary();
    assert_ne!(third, second);
    set(&all.nodes()[third], 3);
    all.resume(second);
    all.wait_ok();
    assert_ne!(all.primary(), second);
    assert_eq!(get(&all.nodes()[third]), Some(3));
}

#[test]
fn a_set_that_has_lost_two_has_no_primary() {
    let all = MongoReplicaSet::start();
    let primary = all.primary();
    for i in (0..3).filter(|i| *i != primary) {
        all.kill(i);
    }
    let node = &all.nodes()[primary];
    wait_until("the last one to give up", Duration::from_secs(20), || {
        let hello = node.command("admin", doc! { "hello": 1 });
        !hello.get_bool("isWritablePrimary").unwrap()
    });
}

#[test]
fn a_dropped_set_leaves_nothing_behind() {
    let all = MongoReplicaSet::start();
    let left: Vec<_> = all
        .nodes()
        .iter()
        .map(|node| (node.pid(), node.dir().to_owned()))
        .collect();
    drop(all);
    assert!(
        left.iter()
            .all(|(pid, dir)| !is_alive(*pid) && !dir.exists())
    );
}
