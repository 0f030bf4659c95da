//! What each kind of request costs.

use std::time::{Duration, SystemTime};

use session_core::store::conformance::Suite;
use session_core::store::{PrincipalIndex, SessionStore};
use session_core::{
    Directive, Ended, KeyRing, ManualClock, Outcome, Session, SessionGuard, SessionManager,
};
use session_redis::RedisStore;
use session_tests::servers::{Engine, RedisServer};
use session_tests::{anonymous, open, patient_timeouts, token_of};

use super::bench::Bench;
use super::{CREATE, connect, insert};

/// Every script once, so that the server knows them all.
pub(super) async fn warm_up(store: &RedisStore) {
    let report = Suite::new(|| async { store.clone() }).rounds(1).run().await;
    assert!(report.is_success(), "{report}");
    let manager = SessionManager::builder(store.clone())
        .timeouts(patient_timeouts())
        .build()
        .unwrap();
    let session = anonymous(&manager).await;
    session.sign_in("warm").unwrap();
    session.finish(Outcome::Success).await.unwrap();
    store
        .delete(&session.id().unwrap().into(), Ended::default())
        .await
        .unwrap();
}

pub(super) const INDEX: &str = "zremrangebyscore zadd pttl pexpire";

#[tokio::test]
async fn the_commands_of_each_request() {
    let server = RedisServer::start(Engine::Redis7);
    let store = connect(&server).await;
    warm_up(&store).await;
    let clock = ManualClock::new(SystemTime::now().into());
    let builder = SessionManager::builder(store.clone()).clock(clock.clone());
    let manager = builder.keys(KeyRing::generate().unwrap()).build().unwrap();
    let bench = Bench::new(&server);
    let commit = async |session: &SessionGuard| session.finish(Outcome::Success).await.unwrap();

    // Nothing stored, nothing sent.
    bench
        .costs("untouched", "", "", async {
            let session = anonymous(&manager).await;
            assert_eq!(session.get::<u64>("a").unwrap(), None);
            assert_eq!(commit(&session).await, Directive::Nothing);
        })
        .await;
    let token = bench
        .costs("create", "evalsha", CREATE, async {
            let session = anonymous(&manager).await;
            insert(&session, "a", 1);
            insert(&session, "b", 1);
            token_of(&commit(&session).await)
        })
        .await;
    let mut forged = token.clone();
    let last = forged.pop().unwrap();
    forged.push(if last == 'A' { 'B' } else { 'A' });
    bench
        .costs("a forged token", "", "", async {
            assert!(open(&manager, &forged).await.is_new());
        })
        .await;
    let session = bench
        .costs("read", "hgetall", "", async {
            let session = open(&manager, &token).await;
            assert_eq!(session.get("a").unwrap(), Some(1_u64));
            assert_eq!(commit(&session).await, Directive::Nothing);
            session
        })
        .await;
    let id = session.id().unwrap();

    let request = async |change: &dyn Fn(&Session)| {
        let session = open(&manager, &token).await;
        change(&session);
        commit(&session).await
    };
    let writing = "hgetall evalsha";
    bench
        .costs(
            "write",
            writing,
            "hmget hset",
            request(&|session| insert(session, "a", 2)),
        )
        .await;
    let update = |session: &Session| {
        let more = |number: Option<u64>| number.unwrap_or(0) + 1;
        session.update("a", more).unwrap();
    };
    bench
        .costs("update", writing, "hmget hset", request(&update))
        .await;
    bench
        .costs(
            "the same",
            "hgetall",
            "",
            request(&|session| insert(session, "a", 3)),
        )
        .await;
    let remove = |session: &Session| assert!(session.remove("b"));
    bench
        .costs("remove", writing, "hmget hdel hset", request(&remove))
        .await;
    bench
        .costs(
            "clear",
            writing,
            "hmget hkeys hdel hset",
            request(&Session::clear),
        )
        .await;

    // A minute later activity is written: by itself, or with what else is.
    clock.advance(Duration::from_secs(61));
    let touched = "hmget pexpire hset";
    bench
        .costs("touch", writing, touched, request(&|_| ()))
        .await;
    clock.advance(Duration::from_secs(61));
    bench
        .costs(
            "touch and write",
            writing,
            touched,
            request(&|session| insert(session, "a", 4)),
        )
        .await;
    bench
        .costs("not touched again", "hgetall", "", request(&|_| ()))
        .await;

    // A principal is indexed before and confirmed after the session is written.
    let signed = bench
        .costs(
            "sign in",
            "hgetall evalsha evalsha evalsha evalsha evalsha",
            &format!("hmget {INDEX} hmget pexpire hdel hset zscore hmget pexpire hdel"),
            request(&|session| session.sign_in("user:1").unwrap()),
        )
        .await;
    let token = token_of(&signed);
    bench
        .costs("read signed in", "hgetall", "", async {
            drop(open(&manager, &token).await);
        })
        .await;
    let signed = bench
        .costs("renew", writing, touched, async {
            let session = open(&manager, &token).await;
            session.renew().unwrap();
            commit(&session).await
        })
        .await;
    let token = token_of(&signed);
    bench
        .costs("write signed in", writing, "hmget hset", async {
            let session = open(&manager, &token).await;
            insert(&session, "a", 5);
            commit(&session).await
        })
        .await;
    bench
        .costs("list one", "zrange hgetall", "", async {
            assert_eq!(
                store.list_of("user:1", clock.now()).await.unwrap()[0].id(),
                id
            );
        })
        .await;
    bench
        .costs(
            "destroy signed in",
            "hgetall evalsha zrem",
            "hmget unlink hset pexpire",
            async {
                let session = open(&manager, &token).await;
                session.destroy().unwrap();
                assert_eq!(commit(&session).await, Directive::Forget);
            },
        )
        .await;

    let sign_in = async || {
        let session = anonymous(&manager).await;
        session.sign_in("user:2").unwrap();
        let token = token_of(&commit(&session).await);
        (session.id().unwrap(), token)
    };
    let (id, _) = bench
        .costs(
            "create with a principal",
            "evalsha evalsha evalsha evalsha",
            &format!("{INDEX} exists hset hset pexpire zscore hmget pexpire hdel"),
            sign_in(),
        )
        .await;
    let end_one = async |principal: &str, theirs: bool| {
        assert_eq!(
            store
                .delete_one_of(principal, id, Ended::default())
                .await
                .unwrap(),
            theirs
        );
    };
    bench
        .costs(
            "sign another out",
            "evalsha",
            "hmget",
            end_one("user:1", false),
        )
        .await;
    let ending = "hmget unlink";
    bench
        .costs(
            "sign out one",
            "evalsha zrem",
            ending,
            end_one("user:2", true),
        )
        .await;
    bench
        .costs(
            "sign out one again",
            "evalsha",
            "hmget",
            end_one("user:2", false),
        )
        .await;
    let (_, token) = sign_in().await;
    bench
        .costs(
            "sign out everywhere",
            "zrange zadd evalsha evalsha",
            "hmget unlink zscore zrem",
            async {
                assert_eq!(
                    store
                        .delete_all_of("user:2", None, Ended::default())
                        .await
                        .unwrap(),
                    1
                );
            },
        )
        .await;
    bench
        .costs("a session that is gone", "hgetall", "", async {
            assert!(open(&manager, &token).await.is_new());
        })
        .await;

    let session = anonymous(&manager).await;
    insert(&session, "a", 1);
    let token = token_of(&commit(&session).await);
    let nobodys = session.id().unwrap();
    bench
        .costs("sign nobody out", "evalsha zscore", "hmget", async {
            let ended = store
                .delete_one_of("user:1", nobodys, Ended::default())
                .await;
            assert!(!ended.unwrap());
        })
        .await;
    bench
        .costs(
            "destroy",
            "hgetall evalsha",
            "hmget unlink hset pexpire",
            async {
                let session = open(&manager, &token).await;
                session.destroy().unwrap();
                commit(&session).await
            },
        )
        .await;
}
