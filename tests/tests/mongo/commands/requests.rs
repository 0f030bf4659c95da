//! What each kind of request sends.

use std::time::{Duration, SystemTime};

use session_core::store::PrincipalIndex;
use session_core::{
    Directive, Ended, KeyRing, Limits, ManualClock, Outcome, Session, SessionGuard, SessionManager,
};
use session_tests::servers::MongoServer;
use session_tests::{anonymous, numbers, open, patient, patient_timeouts, token_of};

use super::watched;

const WRITTEN: &str = "find update";

fn insert(session: &Session, key: &str, number: u64) {
    session.insert(key, number).unwrap();
}

#[tokio::test]
async fn the_commands_of_each_request() {
    let server = MongoServer::start();
    let (_, watch, store) = watched(&server.patient_uri()).await;
    let clock = ManualClock::new(SystemTime::now().into());
    let builder = SessionManager::builder(store.clone())
        .clock(clock.clone())
        .timeouts(patient_timeouts());
    let manager = builder.keys(KeyRing::generate().unwrap()).build().unwrap();
    let commit = async |session: &SessionGuard| session.finish(Outcome::Success).await.unwrap();

    // Nothing stored, nothing sent.
    let untouched = async {
        let session = anonymous(&manager).await;
        assert_eq!(session.get::<u64>("a").unwrap(), None);
        assert_eq!(commit(&session).await, Directive::Nothing);
    };
    watch.costs("untouched", "", untouched).await;
    let create = async {
        let session = anonymous(&manager).await;
        insert(&session, "a", 1);
        insert(&session, "b", 1);
        token_of(&commit(&session).await)
    };
    let token = watch.costs("create", "insert", create).await;
    let mut forged = token.clone();
    let last = forged.pop().unwrap();
    forged.push(if last == 'A' { 'B' } else { 'A' });
    let open_forged = async { assert!(open(&manager, &forged).await.is_new()) };
    watch.costs("a forged token", "", open_forged).await;
    let read = async {
        let session = open(&manager, &token).await;
        assert_eq!(session.get("a").unwrap(), Some(1_u64));
        assert_eq!(commit(&session).await, Directive::Nothing);
        session.id().unwrap()
    };
    let id = watch.costs("read", "find", read).await;

    let request = async |token: &str, change: &dyn Fn(&Session)| {
        let session = open(&manager, token).await;
        change(&session);
        commit(&session).await
    };
    let costs = async |what: &str, names: &str, token: &str, change: &dyn Fn(&Session)| {
        watch.costs(what, names, request(token, change)).await
    };
    costs("write", WRITTEN, &token, &|session| insert(session, "a", 2)).await;
    let more = |number: Option<u64>| number.unwrap_or(0) + 1;
    let update = |session: &Session| {
        session.update("a", more).unwrap();
    };
    costs("update", WRITTEN, &token, &update).await;
    costs("the same", "find", &token, &|session| {
        insert(session, "a", 3);
    })
    .await;
    let remove = |session: &Session| assert!(session.remove("b"));
    costs("remove", WRITTEN, &token, &remove).await;
    costs("clear", WRITTEN, &token, &Session::clear).await;

    // A minute later activity is written: by itself, or with what else is.
    clock.advance(Duration::from_secs(61));
    costs("touch", WRITTEN, &token, &|_| ()).await;
    clock.advance(Duration::from_secs(61));
    costs("touch and write", WRITTEN, &token, &|session| {
        insert(session, "a", 4);
    })
    .await;
    costs("not touched again", "find", &token, &|_| ()).await;

    let sign_in = |session: &Session| session.sign_in("user:1").unwrap();
    let token = token_of(&costs("sign in", WRITTEN, &token, &sign_in).await);
    let renew = |session: &Session| session.renew().unwrap();
    let token = token_of(&costs("renew", WRITTEN, &token, &renew).await);
    let list = async { store.list_of("user:1", clock.now()).await.unwrap() };
    let listed = watch.costs("list", "find", list).await;
    assert_eq!(
        listed.iter().map(|record| record.id()).collect::<Vec<_>>(),
        [id]
    );
    let destroy = |session: &Session| session.destroy().unwrap();
    let told = costs("destroy", WRITTEN, &token, &destroy).await;
    assert_eq!(told, Directive::Forget);

    let sign_in = async || {
        let session = anonymous(&manager).await;
        session.sign_in("user:2").unwrap();
        let token = token_of(&commit(&session).await);
        (session.id().unwrap(), token)
    };
    let (id, _) = watch
        .costs("create with a principal", "insert", sign_in())
        .await;
    for (what, principal, theirs) in [
        ("sign another out", "user:1", false),
        ("sign out one", "user:2", true),
        ("sign out one again", "user:2", false),
    ] {
        let one = async {
            store
                .delete_one_of(principal, id, Ended::default())
                .await
                .unwrap()
        };
        assert_eq!(watch.costs(what, "update", one).await, theirs);
    }
    let (_, token) = sign_in().await;
    let all = async {
        store
            .delete_all_of("user:2", None, Ended::default())
            .await
            .unwrap()
    };
    assert_eq!(watch.costs("sign out everywhere", "update", all).await, 1);
    let gone = async { assert!(open(&manager, &token).await.is_new()) };
    watch.costs("a session that is gone", "find", gone).await;
}

#[tokio::test]
async fn the_commands_of_two_at_once() {
    let server = MongoServer::start();
    let (_, watch, store) = watched(&server.patient_uri()).await;
    let [one, two] = [patient(store.clone()), patient(store.clone())];
    let token = session_tests::create(&one, [("n", 0)]).await;
    let more = |number: Option<u64>| number.unwrap_or(0) + 1;

    // Different keys: the second is merged.
    let (first, second) = (open(&one, &token).await, open(&two, &token).await);
    insert(&first, "a", 1);
    insert(&second, "b", 1);
    let both = async {
        first.finish(Outcome::Success).await.unwrap();
        second.finish(Outcome::Success).await.unwrap();
    };
    watch
        .costs("different keys", "update update findAndModify", both)
        .await;

    // One key: the second finds out with one read, and goes on from that.
    let (first, second) = (open(&one, &token).await, open(&two, &token).await);
    first.update("n", more).unwrap();
    second.update("n", more).unwrap();
    watch
        .costs("faster", "update", first.finish(Outcome::Success))
        .await
        .unwrap();
    let slower = second.finish(Outcome::Success);
    watch
        .costs("slower", "update find update", slower)
        .await
        .unwrap();
    let stored = numbers(open(&one, &token).await.session());
    assert_eq!(stored.into_values().collect::<Vec<_>>(), [1, 1, 2]);

    // Ended meanwhile: one read tells that.
    let (first, second) = (open(&one, &token).await, open(&two, &token).await);
    insert(&second, "b", 2);
    first.destroy().unwrap();
    watch
        .costs("ended", "update", first.finish(Outcome::Success))
        .await
        .unwrap();
    let late = second.finish(Outcome::Success);
    let told = watch
        .costs("late", "update findAndModify find", late)
        .await
        .unwrap();
    assert_eq!(told, Directive::Nothing);
}

/// A session that was stored under larger limits costs no command more, whether others have written
/// meanwhile or not.
#[tokio::test]
async fn the_commands_of_a_session_that_exceeds_its_limits() {
    let server = MongoServer::start();
    let (_, watch, store) = watched(&server.patient_uri()).await;
    let larger = patient(store.clone());
    let limits = Limits::default().with_keys(1);
    let builder = SessionManager::builder(store).timeouts(patient_timeouts());
    let smaller = builder.limits(limits).build().unwrap();
    let token = session_tests::create(&larger, [("a", 0), ("b", 0), ("c", 0), ("d", 0)]).await;

    let session = open(&smaller, &token).await;
    assert!(session.remove("b"));
    let commit = session.finish(Outcome::Success);
    watch
        .costs("its version", "findAndModify", commit)
        .await
        .unwrap();

    let (first, second) = (open(&larger, &token).await, open(&smaller, &token).await);
    insert(&first, "a", 1);
    first.finish(Outcome::Success).await.unwrap();
    assert!(second.remove("c"));
    let commit = second.finish(Outcome::Success);
    watch
        .costs("another version", "findAndModify", commit)
        .await
        .unwrap();
    let stored = numbers(open(&larger, &token).await.session());
    assert_eq!(stored.into_values().collect::<Vec<_>>(), [1, 0]);
}
