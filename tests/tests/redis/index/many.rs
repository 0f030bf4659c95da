//! A principal with very many sessions, most of them long gone.

use std::time::Duration;

use session_core::Ended;
use session_core::store::PrincipalIndex;
use session_redis::{Layout, RedisStore};

use super::site::Site;
use super::steps::{NOW, create, id, of};

const PREFIX: &str = "many:";

async fn all_are_ended_however_many_there_are(layout: Layout) {
    let site = Site::one(layout);
    let server = site.masters()[0];
    let store = site.store(PREFIX).await;
    let mut sessions = Vec::new();
    for _ in 0..700 {
        let session = id();
        create(&store, of(session, "ann")).await.unwrap();
        sessions.push(session);
    }
    // Entries whose sessions have ended for want of activity.
    let index = format!("{PREFIX}principal:ann");
    let deadline = (NOW + Duration::from_secs(3600)).as_millis().to_string();
    for _ in 0..40 {
        let names: Vec<_> = (0..100).map(|_| id().encode()).collect();
        let mut command = vec!["ZADD", &index];
        for name in &names {
            command.extend([deadline.as_str(), name]);
        }
        assert_eq!(server.command(&command).integer(), 100);
    }
    // No single step may take as long as all of them.
    let hasty = RedisStore::builder(server.url())
        .prefix(PREFIX)
        .layout(layout);
    let hasty = hasty
        .call_timeout(Duration::from_secs(1))
        .connect()
        .await
        .unwrap();
    assert_eq!(hasty.list_of("ann", NOW).await.unwrap().len(), 700);
    assert_eq!(
        hasty
            .delete_all_of("ann", Some(sessions[3]), Ended::default())
            .await
            .unwrap(),
        699
    );
    assert_eq!(server.command(&["ZCARD", &index]).integer(), 1);
    let left = hasty.list_of("ann", NOW).await.unwrap();
    assert_eq!(
        left.iter().map(|record| record.id()).collect::<Vec<_>>(),
        [sessions[3]]
    );
    assert_eq!(
        hasty
            .delete_all_of("ann", None, Ended::default())
            .await
            .unwrap(),
        1
    );
    assert_eq!(server.command(&["EXISTS", &index]).integer(), 0);
}

in_both_layouts! {
    all_are_ended_however_many_there_are,
}
