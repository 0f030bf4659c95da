//! What requests cost whose sessions are packed, and those that meet a session of the other layout.

use std::time::{Duration, SystemTime};

use session_core::store::PrincipalIndex;
use session_core::{Directive, Ended, ManualClock, Outcome, Session, SessionGuard, SessionManager};
use session_redis::Layout;
use session_tests::servers::{Engine, RedisServer};
use session_tests::{anonymous, open, token_of};

use super::bench::Bench;
use super::requests::{INDEX, warm_up};
use super::{connect_with, insert};

const CREATE: &str = "exists set";
const WRITE: &str = "getrange set";

#[tokio::test]
async fn the_commands_of_each_request() {
    let server = RedisServer::start(Engine::Redis7);
    let store = connect_with(&server, Layout::Packed).await;
    warm_up(&store).await;
    let clock = ManualClock::new(SystemTime::now().into());
    let builder = SessionManager::builder(store.clone()).clock(clock.clone());
    let manager = builder.build().unwrap();
    let bench = Bench::new(&server);
    let commit = async |session: &SessionGuard| session.finish(Outcome::Success).await.unwrap();

    bench
        .costs("untouched", "", "", async {
            assert_eq!(commit(&anonymous(&manager).await).await, Directive::Nothing);
        })
        .await;
    let token = bench
        .costs("create", "evalsha", CREATE, async {
            let session = anonymous(&manager).await;
            insert(&session, "a", 1);
            token_of(&commit(&session).await)
        })
        .await;
    let request = async |change: &dyn Fn(&Session)| {
        let session = open(&manager, &token).await;
        change(&session);
        commit(&session).await
    };
    bench.costs("read", "get", "", request(&|_| ())).await;
    let insert = |session: &Session| insert(session, "a", 2);
    bench
        .costs("write", "get evalsha", WRITE, request(&insert))
        .await;
    bench.costs("the same", "get", "", request(&insert)).await;
    bench
        .costs("clear", "get evalsha", WRITE, request(&Session::clear))
        .await;
    clock.advance(Duration::from_secs(61));
    bench
        .costs("touch", "get evalsha", WRITE, request(&|_| ()))
        .await;

    let signed = bench
        .costs(
            "sign in",
            "get evalsha evalsha evalsha evalsha evalsha",
            &format!("getrange {INDEX} getrange set zscore getrange get set"),
            request(&|session| session.sign_in("user:1").unwrap()),
        )
        .await;
    let token = token_of(&signed);
    bench
        .costs("list one", "zrange get", "", async {
            assert_eq!(store.list_of("user:1", clock.now()).await.unwrap().len(), 1);
        })
        .await;
    let signed = bench
        .costs("renew", "get evalsha", WRITE, async {
            let session = open(&manager, &token).await;
            session.renew().unwrap();
            commit(&session).await
        })
        .await;
    let token = token_of(&signed);
    bench
        .costs(
            "destroy",
            "get evalsha zrem",
            "getrange unlink set",
            async {
                let session = open(&manager, &token).await;
                session.destroy().unwrap();
                commit(&session).await
            },
        )
        .await;
    let other = anonymous(&manager).await;
    other.sign_in("user:1").unwrap();
    commit(&other).await;
    let id = other.id().unwrap();
    for (name, principal, theirs, commands, inside) in [
        ("sign another out", "user:2", false, "evalsha", "getrange"),
        (
            "sign out one",
            "user:1",
            true,
            "evalsha zrem",
            "getrange unlink",
        ),
    ] {
        bench
            .costs(name, commands, inside, async {
                assert_eq!(
                    store
                        .delete_one_of(principal, id, Ended::default())
                        .await
                        .unwrap(),
                    theirs
                );
            })
            .await;
    }
    bench
        .costs("gone", "get", "", async {
            assert!(open(&manager, &token).await.is_new());
        })
        .await;
}

/// One command more to read a session of the other layout, and what moves it.
#[tokio::test]
async fn what_a_session_of_the_other_layout_costs() {
    let server = RedisServer::start(Engine::Redis7);
    let bench = Bench::new(&server);
    let packing = (
        "get evalsha",
        "get hgetall",
        "getrange getrange hmget set",
        "get",
    );
    let unpacking = (
        "hgetall evalsha",
        "get",
        "hmget hmget getrange pexpire unlink hset pexpire",
        "hgetall",
    );
    for (from, to, (read, reading, writing, again)) in [
        (Layout::Fields, Layout::Packed, packing),
        (Layout::Packed, Layout::Fields, unpacking),
    ] {
        // Fields are tried to be merged before that.
        let moved = if to == Layout::Packed {
            "evalsha"
        } else {
            "evalsha evalsha"
        };
        let [from, to] = [from, to].map(|layout| connect_with(&server, layout));
        let (from, to) = (from.await, to.await);
        warm_up(&from).await;
        warm_up(&to).await;
        let [from, to] = [from, to].map(SessionManager::new);
        let write = async |manager: &SessionManager, token: &str, number| {
            let session = open(manager, token).await;
            insert(&session, "a", number);
            session.finish(Outcome::Success).await.unwrap();
        };
        let create = async || {
            let session = anonymous(&from).await;
            insert(&session, "a", 0);
            token_of(&session.finish(Outcome::Success).await.unwrap())
        };
        // Once more, so that the server knows every script.
        write(&to, &create().await, 1).await;
        let token = create().await;
        let session = bench.costs("read", read, reading, open(&to, &token)).await;
        assert_eq!(session.get("a").unwrap(), Some(0_u64));
        let (moved, inside) = (format!("{read} {moved}"), format!("{reading} {writing}"));
        bench
            .costs("moved", &moved, &inside, write(&to, &token, 1))
            .await;
        let session = bench
            .costs("read again", again, "", open(&to, &token))
            .await;
        assert_eq!(session.get("a").unwrap(), Some(1_u64));
    }
}
