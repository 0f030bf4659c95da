//! Requests whose session is damaged.

use session_core::store::{SessionStore, StoreError};
use session_core::{
    Clock, Ended, OnCorrupt, OnMaxSessions, Outcome, SessionError, SessionId, SessionManager,
    SystemClock,
};
use session_tests::servers::Engine;
use session_tests::{anonymous, open, token_of};
use tokio::runtime::Runtime;

use super::bench::{Absent, Bench, Corrupt, Done, OWNER, key};
use super::damages::DAMAGES;

#[test]
fn a_request_with_a_damaged_session() {
    let mut bench = Bench::new(Engine::Redis7);
    let (store, runtime) = (bench.store.clone(), Runtime::new().unwrap());
    let manager = |policy| {
        let builder = SessionManager::builder(store.clone()).on_corrupt(policy);
        builder.build().unwrap()
    };
    let (refusing, anew) = (manager(OnCorrupt::Refuse), manager(OnCorrupt::StartEmpty));
    for damage in DAMAGES {
        let name = damage.name;
        let (id, token) = runtime.block_on(async {
            let session = anonymous(&anew).await;
            session.sign_in(OWNER).unwrap();
            session.insert("a", 1).unwrap();
            session.insert("b", 1).unwrap();
            let directive = session.finish(Outcome::Success).await.unwrap();
            (session.id().unwrap(), token_of(&directive))
        });
        (damage.done)(&mut bench, &key(id));
        runtime.block_on(async {
            let refused = refusing.begin(&[&token]).await;
            match damage.load {
                Corrupt => assert!(
                    matches!(refused, Err(SessionError::Store(StoreError::Corrupt(_)))),
                    "{name}"
                ),
                Absent => assert!(refused.unwrap().is_new(), "{name}"),
                _ => assert_eq!(refused.unwrap().id(), Some(id), "{name}"),
            }
            let session = open(&anew, &token).await;
            assert_eq!(session.is_new(), damage.load != Done, "{name}");
            session.insert("c", 1).unwrap();
            session.finish(Outcome::Success).await.unwrap();
            assert_eq!(session.id() == Some(id), damage.load == Done, "{name}");
            store.delete(&id.into(), Ended::default()).await.unwrap();
        });
        bench.run::<()>("DEL", key(id));
        bench.delete_all();
    }
}

#[test]
fn the_owner_of_a_damaged_session_signs_in_and_out() {
    let mut bench = Bench::new(Engine::Redis7);
    let (store, runtime) = (bench.store.clone(), Runtime::new().unwrap());
    for beyond in [OnMaxSessions::RevokeOldest, OnMaxSessions::Refuse] {
        let builder = SessionManager::builder(store.clone()).max_sessions(1, beyond);
        let manager = builder.build().unwrap();
        let sign_in = || {
            runtime.block_on(async {
                let session = anonymous(&manager).await;
                session.sign_in(OWNER).unwrap();
                session.insert("a", 1).unwrap();
                session.insert("b", 1).unwrap();
                session.finish(Outcome::Success).await.unwrap();
                session.id().unwrap()
            })
        };
        for damage in DAMAGES.iter().filter(|damage| damage.load != Done) {
            let name = damage.name;
            let id = sign_in();
            (damage.done)(&mut bench, &key(id));
            let there = damage.load == Corrupt && !damage.says_another;
            let listed = runtime.block_on(manager.sessions_of(OWNER)).unwrap();
            assert_eq!(listed.len(), usize::from(there), "{name}");
            assert!(
                listed
                    .iter()
                    .all(|info| info.id() == id && !info.is_readable()),
                "{name}"
            );

            let second = sign_in();
            let listed = runtime.block_on(manager.sessions_of(OWNER)).unwrap();
            assert_eq!(listed.len(), 1, "{name}");
            assert_eq!(
                (listed[0].id(), listed[0].is_readable()),
                (second, true),
                "{name}"
            );
            // What is left of it is the mark of its end.
            let is_marked = |id: SessionId| {
                let found = runtime.block_on(store.load(&id.into(), SystemClock.now()));
                found.is_ok_and(|found| found.is_some_and(|record| record.ended().is_some()))
            };
            assert_eq!(is_marked(id), there, "{name}");

            (damage.done)(&mut bench, &key(second));
            let ended = runtime
                .block_on(manager.sign_out_everywhere(OWNER))
                .unwrap();
            let left = u64::from(damage.load == Corrupt);
            assert!((left..=left + 1).contains(&ended), "{name}: {ended}");
            assert_eq!(is_marked(second), damage.load == Corrupt, "{name}");
            bench.run::<()>("DEL", (key(id), key(second)));
        }
    }
}
