//! Ending what cannot be read, while somebody writes what can.

use std::time::Duration;

use session_core::store::{RecordKey, RecordScan, SessionStore};
use session_core::{EndReason, Ended, SessionId};
use session_redis::Layout;
use session_tests::servers::RedisServer;

use super::scan::{PREFIX, key};
use super::site::Site;
use super::steps::{NOW, create, id, of};

/// What a key holds, as the server hands it out.
fn dump(server: &RedisServer, id: SessionId) -> String {
    let hex = r"local all = redis.call('DUMP', KEYS[1])
        return (string.gsub(all, '.', function(c)
            return string.format('%02x', string.byte(c))
        end))";
    server.command(&["EVAL", hex, "1", &key(id)]).text()
}

/// Puts it into the place of what is there, in one step.
const RESTORE: &str = r"local all = string.gsub(ARGV[1], '..', function(hex)
        return string.char(tonumber(hex, 16))
    end)
    return redis.call('RESTORE', KEYS[1], 600000, all, 'REPLACE')";

fn damage(server: &RedisServer, id: SessionId, kind: usize, layout: Layout) {
    let key = key(id);
    let command: &[&str] = match (kind % 3, layout) {
        (0, _) => &["SET", &key, "no session"],
        (1, Layout::Packed) => &["SET", &key, "5 damaged"],
        (1, _) => &["HSET", &key, "m", "damaged"],
        // Of another kind.
        _ => &["DEL", &key],
    };
    server.command(command);
    if kind % 3 == 2 {
        server.command(&["RPUSH", &key, "no session"]);
    }
}

async fn what_cannot_be_read_ends(layout: Layout) {
    let site = Site::one(layout);
    let server = site.masters()[0];
    let store = site.store(PREFIX).await;
    for kind in 0..3 {
        let damaged = id();
        create(&store, of(damaged, "ann")).await.unwrap();
        damage(server, damaged, kind, layout);
        let ended = Ended::new(EndReason::Revoked, NOW);
        assert!(
            store.delete_unreadable(damaged, ended).await.unwrap(),
            "{kind}"
        );
        let mark = store.load(&RecordKey::Id(damaged), NOW).await.unwrap();
        let reason = mark.and_then(|mark| mark.ended()).map(|it| it.reason);
        assert_eq!(reason, Some(EndReason::Revoked), "{kind}");
        // The mark can be read.
        assert!(!store.delete_unreadable(damaged, ended).await.unwrap());
    }
    let live = id();
    create(&store, of(live, "ann")).await.unwrap();
    for id in [live, id()] {
        assert!(!store.delete_unreadable(id, Ended::default()).await.unwrap());
    }
    assert!(site.truth(PREFIX).is_indexed(live, "ann"));
}

/// Whatever comes first, the session that was put there is there in the end.
async fn what_takes_the_place_of_it_stays(layout: Layout) {
    let site = Site::one(layout);
    let server = site.masters()[0];
    let store = site.store(PREFIX).await;
    let (mut ended, mut stayed) = (0, 0);
    for round in 0..300_u32 {
        let session = id();
        create(&store, of(session, "ann")).await.unwrap();
        let whole = dump(server, session);
        damage(server, session, round as usize, layout);
        let (other, name) = (server.url(), key(session));
        let client = redis::Client::open(other).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let restoring = async {
            tokio::time::sleep(Duration::from_micros(u64::from(round * 37 % 900))).await;
            let mut restore = redis::cmd("EVAL");
            restore.arg(RESTORE).arg(1).arg(&name).arg(&whole);
            restore.exec_async(&mut connection).await.unwrap();
        };
        let deleting = store.delete_unreadable(session, Ended::default());
        let (deleted, ()) = futures_util::join!(deleting, restoring);
        match deleted {
            Ok(true) => ended += 1,
            Ok(false) => stayed += 1,
            Err(error) => panic!("{error:?}"),
        }
        let found = store.load(&RecordKey::Id(session), NOW).await.unwrap();
        assert!(
            found.is_some_and(|it| it.ended().is_none()),
            "{round} {deleted:?}"
        );
    }
    assert!(ended > 0 && stayed > 0, "{ended} {stayed}");
}

in_both_layouts![what_cannot_be_read_ends, what_takes_the_place_of_it_stays,];
