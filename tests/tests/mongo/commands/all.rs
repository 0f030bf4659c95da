//! The commands that are ever sent.

use std::collections::BTreeMap;

use mongodb::bson::{Bson, Document, doc};
use session_core::store::conformance::Suite;
use session_tests::servers::MongoServer;

use super::watch::{Sent, filters};
use super::watched;

/// Everything that is sent after the indexes are there. Each of these is in the crate's
/// documentation, but for what gets the rest of a long list.
const SENT: [&str; 5] = ["delete", "find", "findAndModify", "insert", "update"];
/// What an update may look at beside `_id`: nothing that has an index.
const LOOKED_AT: [&str; 8] = [
    "v", "tag", "size", "keys", "ends", "epoch", "idle", "deadline",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_command_of_the_contract_is_another() {
    let server = MongoServer::start();
    let (client, watch, store) = watched(&server.patient_uri()).await;
    let suite = Suite::new(|| async { store.clone() }).rounds(8);
    let report = suite.run().await;
    assert!(report.is_success(), "{report}");
    let seen = watch.take();
    let mut counted = BTreeMap::new();
    for sent in &seen {
        *counted.entry(&*sent.name).or_insert(0) += 1;
        assert!(
            !has_upsert(&Bson::Document(sent.command.clone())),
            "{sent:?}"
        );
        check_filters(sent);
    }
    counted.remove("getMore");
    assert_eq!(
        counted.keys().copied().collect::<Vec<_>>(),
        SENT,
        "{counted:?}"
    );
    assert!(counted.values().all(|count| *count > 20), "{counted:?}");

    // Whatever has an index is among them, so none that is missing here can be looked at.
    let sessions = client.database("sessions").collection::<Bson>("sessions");
    let mut names = sessions.list_index_names().await.unwrap();
    names.sort_unstable();
    assert_eq!(names, ["_id_", "session_expires", "session_principal"]);
}

/// Anywhere in the command, except for one that the server refuses to insert.
fn has_upsert(value: &Bson) -> bool {
    match value {
        Bson::Document(fields) if inserts_nothing(fields) => false,
        Bson::Document(fields) => fields.iter().any(|(name, value)| {
            (name == "upsert" && value != &Bson::Boolean(false)) || has_upsert(value)
        }),
        Bson::Array(items) => items.iter().any(has_upsert),
        _ => false,
    }
}

/// One of many updates in a command. It would insert another `_id` than it looks for.
fn inserts_nothing(statement: &Document) -> bool {
    let id = || statement.get_document("q").ok()?.get_str("_id").ok();
    let change = statement.get_document("u");
    let insert = change.and_then(|change| change.get_document("$setOnInsert"));
    id().is_some() && insert.is_ok_and(|insert| *insert == doc! { "_id": 0 })
}

fn check_filters(sent: &Sent) {
    for filter in filters(sent) {
        let names: Vec<_> = filter.keys().map(String::as_str).collect();
        match (&*sent.name, &names[..]) {
            // Of one version all else is known.
            ("update", ["_id", "v"]) => {}
            // What ends sessions, and looks at no mark.
            (
                "update",
                ["_id", "ended"] | ["_id", "principal"] | ["principal"] | ["principal", "_id"],
            ) => {}
            ("update" | "findAndModify", ["_id", others @ ..]) => {
                assert!(filter.get_str("_id").is_ok(), "{sent:?}");
                assert!(
                    others.iter().all(|name| LOOKED_AT.contains(name)),
                    "{sent:?}"
                );
                assert!(
                    ["epoch", "ends"].iter().all(|name| others.contains(name)),
                    "{sent:?}"
                );
            }
            // Of several loads at the same time.
            ("find", ["_id"]) if filter.get_document("_id").is_ok() => {
                let ids = filter.get_document("_id").unwrap();
                assert!(ids.keys().eq(["$in"]), "{sent:?}");
            }
            // A page of a scan.
            ("find", []) => {
                let hint = sent.command.get_document("hint").unwrap();
                assert_eq!(*hint, doc! { "_id": 1 }, "{sent:?}");
                assert!(sent.command.get_i64("limit").unwrap() > 0, "{sent:?}");
                assert!(sent.command.get_document("filter").unwrap().is_empty());
            }
            ("find", ["_id"]) | ("delete", ["_id", "ends"]) => {
                assert!(filter.get_str("_id").is_ok(), "{sent:?}");
            }
            ("find", ["principal"]) | ("delete", ["expires", "ends"]) => {}
            _ => unreachable!("{sent:?}"),
        }
    }
}
