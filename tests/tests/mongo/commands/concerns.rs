//! How many nodes must have a write, and where sessions are read.

use std::time::{Duration, SystemTime};

use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::options::{
    CollectionOptions, ReadPreference, SelectionCriteria, ServerAddress, WriteConcern,
};
use session_core::store::{PrincipalIndex, SessionStore};
use session_core::{Ended, ManualClock, Outcome, Session, SessionId, SessionManager};
use session_mongo::{MongoStore, MongoStoreBuilder, Source};
use session_tests::servers::MongoReplicaSet;
use session_tests::{PATIENCE, anonymous, open, patient, patient_timeouts, token_of};

use super::watch::{Sent, Watch};

/// One of each write: its name and its write concern.
async fn writes(watch: &Watch, store: MongoStore) -> Vec<(&'static str, Option<Document>)> {
    let clock = ManualClock::new(SystemTime::now().into());
    let builder = SessionManager::builder(store.clone()).clock(clock.clone());
    let manager = builder.timeouts(patient_timeouts()).build().unwrap();
    let mut writes = Vec::new();
    let mut take = |what| {
        let sent = watch.take();
        let sent: Vec<_> = sent.iter().filter(|sent| sent.name != "find").collect();
        assert_eq!(sent.len(), 1, "{what}: {sent:?}");
        let mut concern = sent[0].command.get_document("writeConcern").ok().cloned();
        // A node waits for the others no longer than the store does.
        if let Some(limit) = concern
            .as_mut()
            .and_then(|concern| concern.remove("wtimeout"))
        {
            let limit = limit.as_i64().or(limit.as_i32().map(i64::from)).unwrap();
            assert!(
                u128::try_from(limit).unwrap() < PATIENCE.as_millis(),
                "{limit}"
            );
        }
        writes.push((what, concern));
    };
    watch.take();
    let session = anonymous(&manager).await;
    session.insert("a", 1).unwrap();
    let mut token = token_of(&session.finish(Outcome::Success).await.unwrap());
    take("create");
    let request = async |token: &str, change: &dyn Fn(&Session)| {
        let session = open(&manager, token).await;
        change(&session);
        session.finish(Outcome::Success).await.unwrap()
    };
    request(&token, &|session| session.insert("a", 2).unwrap()).await;
    take("write");
    clock.advance(Duration::from_secs(61));
    request(&token, &|_| ()).await;
    take("touch");
    clock.advance(Duration::from_secs(61));
    request(&token, &|session| session.insert("a", 3).unwrap()).await;
    take("touch and write");
    token = token_of(&request(&token, &|session| session.sign_in("user:1").unwrap()).await);
    take("sign in");
    request(&token, &|session| session.destroy().unwrap()).await;
    take("destroy");
    let nobody = SessionId::from_bytes([0; 16]);
    assert!(
        !store
            .delete_one_of("user:1", nobody, Ended::default())
            .await
            .unwrap()
    );
    take("sign out one");
    store
        .delete_all_of("user:1", None, Ended::default())
        .await
        .unwrap();
    take("sign out everywhere");
    store.delete_expired(clock.now()).await.unwrap();
    take("sweep");
    writes
}

/// What touches have, and all the others.
async fn concerns(watch: &Watch, builder: MongoStoreBuilder) -> [Option<Document>; 2] {
    let store = builder.call_timeout(PATIENCE).connect().await.unwrap();
    let writes = writes(watch, store).await;
    let (touches, others): (Vec<_>, Vec<_>) =
        writes.into_iter().partition(|(what, _)| *what == "touch");
    assert!(
        others.iter().all(|(_, concern)| *concern == others[0].1),
        "{others:?}"
    );
    [touches[0].1.clone(), others[0].1.clone()]
}

#[tokio::test]
async fn a_majority_has_what_was_written_and_one_node_has_a_touch() {
    let set = MongoReplicaSet::start();
    let (client, watch) = Watch::client(&set.patient_uri()).await;
    let majority = Some(doc! { "w": "majority" });
    let one = Some(doc! { "w": 1 });
    let found = concerns(&watch, MongoStore::builder(client)).await;
    assert_eq!(found, [one.clone(), majority.clone()]);

    // Where the application has said something, that is so.
    let two = WriteConcern::nodes(2);
    let (client, watch) = Watch::client(&format!("{}&w=2", set.patient_uri())).await;
    let found = concerns(&watch, MongoStore::builder(client.clone())).await;
    assert_eq!(found, [one, Some(doc! { "w": 2 })]);
    let builder = MongoStore::builder(client.clone()).write_concern(WriteConcern::majority());
    let found = concerns(&watch, builder.touch_write_concern(two.clone())).await;
    assert_eq!(found, [Some(doc! { "w": 2 }), majority]);
    let options = CollectionOptions::builder()
        .write_concern({
            let mut all = WriteConcern::nodes(3);
            all.journal = Some(true);
            all
        })
        .build();
    let collection = client
        .database("sessions")
        .collection_with_options::<Document>("c", options);
    let builder = MongoStore::builder(Source::from(collection)).touch_write_concern(two);
    let found = concerns(&watch, builder).await;
    assert_eq!(
        found,
        [Some(doc! { "w": 2 }), Some(doc! { "w": 3, "j": true })]
    );
}

/// What a load sends, and where the primary is.
async fn loaded(
    set: &MongoReplicaSet,
    watch: &Watch,
    builder: MongoStoreBuilder,
) -> (Sent, ServerAddress) {
    let store = builder.call_timeout(PATIENCE).connect().await.unwrap();
    let manager = patient(store.clone());
    // On all three, so that any of them can answer.
    let token = session_tests::create(&manager, [("a", 1)]).await;
    watch.take();
    assert!(!open(&manager, &token).await.is_new());
    let mut sent = watch.take();
    assert_eq!(sent.len(), 1, "{sent:?}");
    let primary = set.nodes()[set.primary()].address().to_string();
    (sent.remove(0), ServerAddress::parse(primary).unwrap())
}

#[tokio::test]
async fn sessions_are_read_at_the_primary_unless_said_otherwise() {
    let set = MongoReplicaSet::start();
    let (client, watch): (Client, _) = Watch::client(&set.patient_uri()).await;
    let all = WriteConcern::nodes(3);
    let builder = || MongoStore::builder(client.clone()).write_concern(all.clone());
    let mode = |sent: &Sent| {
        let preference = sent.command.get_document("$readPreference");
        preference.map_or("primary".to_owned(), |preference| {
            preference.get_str("mode").unwrap().to_owned()
        })
    };
    // A client of the application that reads elsewhere makes no difference.
    let (other, others) =
        Watch::client(&format!("{}&readPreference=secondary", set.patient_uri())).await;
    for (watch, builder) in [
        (&watch, builder()),
        (
            &others,
            MongoStore::builder(other).write_concern(all.clone()),
        ),
    ] {
        let (sent, primary) = loaded(&set, watch, builder).await;
        assert_eq!((mode(&sent), sent.to), ("primary".to_owned(), primary));
    }
    let secondary = SelectionCriteria::ReadPreference(ReadPreference::Secondary {
        options: Default::default(),
    });
    let (sent, primary) = loaded(&set, &watch, builder().read_from(secondary)).await;
    assert_eq!(mode(&sent), "secondary");
    assert_ne!(sent.to, primary);
}
