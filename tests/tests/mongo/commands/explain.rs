//! How the server finds what a command is about.

use mongodb::bson::{Bson, Document, doc};
use mongodb::{Client, Database};
use session_core::store::PrincipalIndex;
use session_core::store::conformance::Suite;
use session_core::{Clock, Ended, Outcome, SystemClock};
use session_tests::servers::MongoServer;
use session_tests::{anonymous, patient};

use super::watch::Sent;
use super::watched;

/// What belongs to the connection and not to the command.
const OF_THE_DRIVER: [&str; 6] = [
    "lsid",
    "txnNumber",
    "$db",
    "$clusterTime",
    "$readPreference",
    "writeConcern",
];

async fn explain(database: &Database, sent: &Sent) -> Document {
    let mut command = sent.command.clone();
    for field in OF_THE_DRIVER {
        command.remove(field);
    }
    let explain = doc! { "explain": command, "verbosity": "executionStats" };
    database.run_command(explain).await.unwrap()
}

/// The stages of the plan that was chosen, and the index it goes by.
fn stages(plan: &Document) -> Vec<String> {
    let mut stages = vec![plan.get_str("stage").unwrap().to_owned()];
    stages.extend(plan.get_str("indexName").map(str::to_owned));
    if let Ok(input) = plan.get_document("inputStage") {
        stages.extend(self::stages(input));
    }
    stages
}

fn number(stats: &Document, field: &str) -> i64 {
    match stats.get(field) {
        Some(Bson::Int32(number)) => (*number).into(),
        Some(Bson::Int64(number)) => *number,
        other => unreachable!("{field}: {other:?}"),
    }
}

async fn site() -> (MongoServer, Client, super::Watch, session_mongo::MongoStore) {
    let server = MongoServer::start();
    let (client, watch, store) = watched(&server.patient_uri()).await;
    let manager = patient(store.clone());
    for n in 0..40 {
        let session = anonymous(&manager).await;
        session.insert("n", n).unwrap();
        session.sign_in(&format!("user:{}", n % 8)).unwrap();
        session.finish(Outcome::Success).await.unwrap();
    }
    watch.take();
    (server, client, watch, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_session_is_found_by_its_id_alone() {
    let (_server, client, watch, store) = site().await;
    let suite = Suite::new(|| async { store.clone() }).rounds(1);
    assert!(suite.run().await.is_success());
    let database = client.database("sessions");
    let mut explained = [0; 4];
    for sent in watch.take() {
        let kinds = ["find", "update", "findAndModify", "delete"];
        let Some(kind) = kinds.iter().position(|kind| *kind == sent.name) else {
            continue;
        };
        let by_id = super::watch::filters(&sent)
            .iter()
            .all(|filter| filter.contains_key("_id"));
        let big = sent.command.to_vec().unwrap().len() > 100_000;
        if !by_id
            || sent.command.to_string().contains("principal\": ")
            || big
            || explained[kind] == 60
        {
            continue;
        }
        explained[kind] += 1;
        let plan = explain(&database, &sent).await;
        let winner = plan.get_document("queryPlanner").unwrap();
        let stages = stages(winner.get_document("winningPlan").unwrap());
        let by_id = ["IDHACK", "_id_"];
        assert!(
            stages.iter().any(|stage| by_id.contains(&&**stage)),
            "{stages:?}: {sent:?}"
        );
        assert!(
            !stages.iter().any(|stage| stage == "COLLSCAN"),
            "{stages:?}"
        );
        // What is there may have gone meanwhile; more than one it never is.
        let stats = plan.get_document("executionStats").unwrap();
        assert!(number(stats, "totalKeysExamined") <= 1, "{stats}");
        assert!(number(stats, "totalDocsExamined") <= 1, "{stats}");
    }
    // Nothing but what has expired is deleted.
    assert!(explained.iter().all(|count| *count > 5), "{explained:?}");
}

/// Of a session that is there.
#[tokio::test]
async fn an_update_examines_one_key_and_one_document() {
    let (_server, client, watch, store) = site().await;
    let manager = patient(store.clone());
    let token = session_tests::create(&manager, [("a", 1)]).await;
    let database = client.database("sessions");
    for exact in [false, true] {
        let session = session_tests::open(&manager, &token).await;
        match exact {
            true => assert_eq!(
                session
                    .update("a", |n: Option<u64>| n.unwrap() + 1)
                    .unwrap(),
                6
            ),
            false => session.insert("a", 5).unwrap(),
        }
        watch.take();
        session.finish(Outcome::Success).await.unwrap();
        let mut sent = watch.take().remove(0);
        // As it was before this very update.
        let Ok(updates) = sent.command.get_array_mut("updates") else {
            unreachable!()
        };
        let filter = updates[0]
            .as_document_mut()
            .unwrap()
            .get_document_mut("q")
            .unwrap();
        let version = filter.get_i64("v").unwrap();
        filter.insert("v", version + 1);
        let plan = explain(&database, &sent).await;
        let stats = plan.get_document("executionStats").unwrap();
        let examined = ["totalKeysExamined", "totalDocsExamined"].map(|field| number(stats, field));
        assert_eq!(examined, [1, 1], "{stats}");
        let winner = plan.get_document("queryPlanner").unwrap();
        println!(
            "{}: {:?}",
            sent.name,
            stages(winner.get_document("winningPlan").unwrap())
        );
    }
}

/// However many sessions the principal has.
#[tokio::test]
async fn one_session_of_a_principal_is_found_by_its_id() {
    let (_server, client, watch, store) = site().await;
    let theirs = store.list_of("user:3", SystemClock.now()).await.unwrap();
    let id = theirs[0].id();
    for (principal, ended) in [("user:4", false), ("user:3", true), ("user:3", false)] {
        watch.take();
        assert_eq!(
            store
                .delete_one_of(principal, id, Ended::default())
                .await
                .unwrap(),
            ended
        );
        let sent = watch.take().remove(0);
        let plan = explain(&client.database("sessions"), &sent).await;
        let winner = plan.get_document("queryPlanner").unwrap();
        let stages = stages(winner.get_document("winningPlan").unwrap());
        assert!(stages.contains(&"_id_".to_owned()), "{stages:?}");
        let stats = plan.get_document("executionStats").unwrap();
        let examined = ["totalKeysExamined", "totalDocsExamined"].map(|field| number(stats, field));
        // Somebody else's, or the mark of what has ended.
        assert_eq!(examined, [1, 1], "{principal}");
    }
}

#[tokio::test]
async fn sessions_of_a_principal_are_found_by_their_index() {
    let (_server, client, watch, store) = site().await;
    assert_eq!(
        store
            .list_of("user:3", SystemClock.now())
            .await
            .unwrap()
            .len(),
        5
    );
    assert_eq!(
        store
            .delete_all_of("user:4", None, Ended::default())
            .await
            .unwrap(),
        5
    );
    let sent = watch.take();
    assert_eq!(sent.len(), 2);
    for (sent, there) in sent.iter().zip([5, 0]) {
        let plan = explain(&client.database("sessions"), sent).await;
        let winner = plan.get_document("queryPlanner").unwrap();
        let stages = stages(winner.get_document("winningPlan").unwrap());
        assert!(
            stages.contains(&"session_principal".to_owned()),
            "{stages:?}"
        );
        let stats = plan.get_document("executionStats").unwrap();
        let examined = ["totalKeysExamined", "totalDocsExamined"].map(|field| number(stats, field));
        assert_eq!(examined, [there, there], "{}", sent.name);
    }
}
