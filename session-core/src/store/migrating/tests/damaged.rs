//! Sessions that cannot be read, in either store.

use super::*;

fn stores(moved: bool) -> MigratingStore<Watched, Watched> {
    let damaged = |damaged| Watched {
        damaged,
        ..Watched::default()
    };
    MigratingStore::new(damaged(moved), damaged(!moved)).unwrap()
}

#[tokio::test]
async fn what_cannot_be_read_is_listed_with_the_others_and_ends_like_them() {
    for moved in [false, true] {
        for all in [false, true] {
            let store = stores(moved);
            let [damaged, other] = match moved {
                true => [&store.new, &store.old],
                false => [&store.old, &store.new],
            };
            damaged.create(&Arc::new(record()), NOW).await.unwrap();
            let id = SessionId::from_bytes([1; 16]);
            let readable = Record::new(id, "id", Lifetime::default(), NOW).with_principal("ann");
            other.create(&Arc::new(readable), NOW).await.unwrap();
            let listed = store.list_of("ann", NOW).await.unwrap();
            let readable = |listed: &&Listed| listed.record().is_some();
            assert_eq!(
                (listed.len(), listed.iter().filter(readable).count()),
                (2, 1),
                "{moved}"
            );
            match all {
                true => assert_eq!(
                    store.delete_all_of("ann", None, ENDED).await.unwrap(),
                    2,
                    "{moved}"
                ),
                false => {
                    assert!(
                        !store
                            .delete_one_of("bob", record().id(), ENDED)
                            .await
                            .unwrap(),
                        "{moved}"
                    );
                    assert!(
                        store
                            .delete_one_of("ann", record().id(), ENDED)
                            .await
                            .unwrap(),
                        "{moved}"
                    );
                    assert!(
                        store.delete_one_of("ann", id, ENDED).await.unwrap(),
                        "{moved}"
                    );
                }
            }
            assert!(
                store.list_of("ann", NOW).await.unwrap().is_empty(),
                "{moved}"
            );
            assert_eq!(
                (store.new.store.len(), store.old.store.len()),
                (0, 0),
                "{moved}"
            );
        }
    }
}
