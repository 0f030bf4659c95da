//! A request of a bound session costs what any request costs, and a refresh one read.

use std::time::{Duration, SystemTime};

use session_core::{
    DeviceBinding, DeviceKey, Directive, KeyRing, ManualClock, Outcome, SessionManager,
};
use session_tests::servers::{Engine, RedisServer};
use session_tests::{anonymous, open};

use super::bench::Bench;
use super::requests::warm_up;
use super::{connect, insert};

#[tokio::test]
async fn the_commands_of_bound_sessions() {
    let server = RedisServer::start(Engine::Redis7);
    let store = connect(&server).await;
    warm_up(&store).await;
    let clock = ManualClock::new(SystemTime::now().into());
    let manager = SessionManager::builder(store)
        .clock(clock.clone())
        .keys(KeyRing::generate().unwrap())
        .bound(DeviceBinding::require())
        .build()
        .unwrap();
    let bench = Bench::new(&server);
    let guard = anonymous(&manager).await;
    guard.sign_in("user:1").unwrap();
    let directive = guard.finish(Outcome::Success).await.unwrap();
    let Directive::Hold(token) = directive else {
        panic!("no token")
    };
    let challenge = token.device_challenge().unwrap();

    let writing = "hgetall evalsha";
    let registration = async {
        let guard = open(&manager, token.as_str()).await;
        let key = DeviceKey::from_bytes([7; 64]);
        let bound = guard.bind_device_now(key, challenge).await.unwrap();
        guard.finish(Outcome::Success).await.unwrap();
        (bound.proof(), bound.name())
    };
    let (proof, name) = bench
        .costs("registration", writing, "hmget pexpire hset", registration)
        .await;
    // The grace is over, and no activity is due.
    clock.advance(Duration::from_secs(61));
    let request = async |key: &str| {
        let (tokens, proofs) = ([token.as_str()], [proof.as_str()]);
        let begun = manager.begin_with_proofs(&tokens, &proofs, manager.now());
        let guard = begun.await.unwrap();
        assert_eq!(guard.principal().as_deref(), Some("user:1"));
        insert(&guard, key, 1);
        guard.finish(Outcome::Success).await.unwrap();
    };
    bench
        .costs(
            "write, with activity",
            writing,
            "hmget pexpire hset",
            request("a"),
        )
        .await;
    bench.costs("read", "hgetall", "", request("a")).await;
    bench
        .costs("refresh", "hgetall", "", async {
            let now = manager.now();
            let bound = manager
                .bound_session(&[token.as_str()], &name, now)
                .await
                .unwrap();
            assert_eq!(bound.unwrap().proof().len(), 32);
        })
        .await;
    bench
        .costs("a stolen token", "hgetall", "", async {
            let guard = open(&manager, token.as_str()).await;
            assert!(guard.is_new());
            insert(&guard, "a", 2);
            let directive = guard.finish(Outcome::Success).await.unwrap();
            assert_eq!(directive, Directive::Nothing);
        })
        .await;
}
