//! Reading a whole collection, and ending what cannot be read.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::cstr;
use mongodb::bson::{Bson, Document, RawArrayBuf, RawDocumentBuf, doc};
use session_core::store::{
    Listed, RecordKey, RecordScan, ScanCursor, ScanPage, SessionStore, StoreError,
};
use session_core::{EndReason, Ended, SessionId};

use super::bench::{Bench, by};

/// Documents of other programs, with an `_id` of each type.
fn foreign() -> Vec<Bson> {
    vec![
        Bson::MinKey,
        Bson::Null,
        Bson::from(-7),
        Bson::from(7.5),
        Bson::from(i64::MAX),
        Bson::from(""),
        Bson::from("another program's"),
        Bson::from(doc! { "a": "b" }),
        Bson::ObjectId(ObjectId::from_bytes([0; 12])),
        Bson::ObjectId(ObjectId::from_bytes([0xff; 12])),
        Bson::from(true),
    ]
}

fn again(cursor: Option<ScanCursor>) -> Option<ScanCursor> {
    cursor.map(|cursor| cursor.to_string().parse().unwrap())
}

/// All pages; `meanwhile` comes between two of them.
async fn pages(
    store: &dyn RecordScan,
    most: usize,
    mut meanwhile: impl AsyncFnMut(usize),
) -> Vec<ScanPage> {
    let (mut pages, mut from) = (Vec::new(), None);
    loop {
        let mut page = store.scan_records(from.as_ref(), most).await.unwrap();
        from = again(page.next.take());
        pages.push(page);
        if from.is_none() {
            return pages;
        }
        assert!(pages.len() < 1_000, "it does not end");
        meanwhile(pages.len()).await;
    }
}

fn found(pages: &[ScanPage]) -> Vec<SessionId> {
    let sessions = pages.iter().flat_map(|page| &page.sessions);
    sessions.map(Listed::id).collect()
}

#[test]
fn what_other_programs_have_put_there_is_counted_and_passed_over() {
    let bench = Bench::new();
    let mut ids = BTreeSet::new();
    for _ in 0..25 {
        ids.insert(bench.create().id());
    }
    for id in foreign() {
        bench.add(&doc! { "_id": id, "v": 1 });
    }
    let damaged = *ids.first().unwrap();
    bench.change(damaged, doc! { "$unset": { "meta": "" } });
    for most in [0, 1, 2, 7, 1_000_000] {
        let read = pages(&bench.store, most, async |_| {});
        let pages = bench.runtime.block_on(read);
        let found = found(&pages);
        assert_eq!(found.len(), ids.len(), "{most}: each is found once");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), ids, "{most}");
        let others: u64 = pages.iter().map(|page| page.foreign).sum();
        assert_eq!(others, foreign().len() as u64, "{most}");
        let all = pages.iter().flat_map(|page| &page.sessions);
        let unreadable = all.filter(|listed| listed.record().is_none());
        assert_eq!(unreadable.map(Listed::id).collect::<Vec<_>>(), [damaged]);
    }
}

#[test]
fn what_comes_and_goes_meanwhile_hides_nothing() {
    let bench = Bench::new();
    let kept: BTreeSet<_> = (0..40).map(|_| bench.create().id()).collect();
    let passing: Vec<_> = (0..40).map(|_| bench.create().id()).collect();
    for most in [1, 3, 10] {
        let read = pages(&bench.store, most, async |number| {
            let (store, now) = (&bench.store, bench.now);
            let id = passing[number % passing.len()];
            // The document behind which the next page begins may be among those that go.
            bench.other.delete_one(by(id)).await.unwrap();
            let record = Arc::new(bench.record());
            store.create(&record, now).await.unwrap();
            // They come behind all others, so not for ever.
            if number < 30 {
                let odd = doc! { "_id": ObjectId::new() };
                bench.other.insert_one(odd).await.unwrap();
            }
        });
        let found: BTreeSet<_> = found(&bench.runtime.block_on(read)).into_iter().collect();
        assert_eq!(kept.difference(&found).count(), 0, "{most}");
    }
}

#[test]
fn a_page_of_large_documents_ends_early() {
    let bench = Bench::new();
    let filler = "x".repeat(5 * 1024 * 1024);
    let mut ids = BTreeSet::new();
    for _ in 0..8 {
        let id = bench.create().id();
        bench.change(id, doc! { "$set": { "filler": &filler } });
        ids.insert(id);
    }
    let read = pages(&bench.store, 1_000, async |_| {});
    let pages = bench.runtime.block_on(read);
    // The last one has nothing: no page knows that it ends with the last document.
    let sizes: Vec<_> = pages.iter().map(|page| page.sessions.len()).collect();
    assert_eq!(sizes, [4, 4, 0]);
    assert_eq!(found(&pages).into_iter().collect::<BTreeSet<_>>(), ids);
}

fn damages() -> [Document; 4] {
    [
        doc! { "$unset": { "meta": "" } },
        doc! { "$set": { "v": 1 } },
        doc! { "$set": { "data.a%2Eb": 7, "data.c": { "d": "$e" } } },
        doc! { "$set": { "seen": "yesterday" } },
    ]
}

#[test]
fn what_cannot_be_read_ends() {
    let bench = Bench::new();
    let (store, now) = (&bench.store, bench.now);
    let delete = |id| {
        let ended = Ended::new(EndReason::Revoked, now);
        bench.runtime.block_on(store.delete_unreadable(id, ended))
    };
    for damage in damages() {
        let id = bench.create().id();
        assert!(!delete(id).unwrap(), "it can be read");
        bench.change(id, damage);
        assert!(delete(id).unwrap());
        let mark = bench.runtime.block_on(store.load(&RecordKey::Id(id), now));
        let reason = mark
            .unwrap()
            .and_then(|mark| mark.ended())
            .map(|it| it.reason);
        assert_eq!(reason, Some(EndReason::Revoked));
        assert!(!delete(id).unwrap(), "the mark can be read");
    }
    assert!(!delete(SessionId::random().unwrap()).unwrap());
}

/// Puts a document there as its bytes are, also if they are no text.
fn add_raw(bench: &Bench, document: RawDocumentBuf) {
    let mut documents = RawArrayBuf::new();
    documents.push(document);
    let mut insert = RawDocumentBuf::new();
    insert.append(cstr!("insert"), "sessions");
    insert.append(cstr!("documents"), documents);
    let database = bench.other.client().database("sessions");
    let insert = database.run_raw_command(insert);
    let done = bench.runtime.block_on(async { insert.await }).unwrap();
    assert_eq!(done.get_i32("n").unwrap(), 1, "{done}");
}

/// The bytes of a document in which `~~` becomes no UTF-8.
fn broken(document: &Document) -> RawDocumentBuf {
    let document = RawDocumentBuf::try_from(document).unwrap();
    let mut bytes = document.into_bytes();
    let at = bytes.windows(2).position(|two| two == b"~~").unwrap();
    bytes[at..at + 2].copy_from_slice(&[0xff, 0xfe]);
    RawDocumentBuf::from_bytes(bytes).unwrap()
}

/// The tool goes on after this error.
#[test]
fn a_text_that_is_none_is_an_error_of_its_own() {
    let bench = Bench::new();
    let id = SessionId::random().unwrap();
    add_raw(&bench, broken(&doc! { "_id": id.encode(), "label": "~~" }));
    let page = bench.store.scan_records(None, 10);
    let page = bench.runtime.block_on(page).unwrap();
    assert_eq!(found(&[page]), [id]);
    let deleting = bench.store.delete_unreadable(id, Ended::default());
    let error = bench.runtime.block_on(deleting).unwrap_err();
    let StoreError::Corrupt(reason) = error else {
        panic!("{error:?}")
    };
    assert!(reason.to_string().contains("UTF-8"), "{reason}");
}

/// It sorts behind all others that are a text.
#[test]
fn an_id_that_cannot_be_read_does_not_end_a_scan() {
    let bench = Bench::new();
    let first = bench.create().id();
    // The last text that can be read, wherever the session sorts among those of others.
    let last = "~";
    assert!(&*first.encode() < last);
    bench.add(&doc! { "_id": last });
    add_raw(&bench, broken(&doc! { "_id": "~~" }));
    for id in foreign() {
        bench.add(&doc! { "_id": id });
    }
    let (mut from, mut sessions) = (None, Vec::new());
    let error = loop {
        let page = bench.store.scan_records(from.as_ref(), 1);
        match bench.runtime.block_on(page) {
            Ok(page) => {
                sessions.extend(page.sessions.iter().map(Listed::id));
                from = Some(again(page.next).expect("it ends as if all were read"));
            }
            Err(error) => break error,
        }
    };
    let StoreError::Corrupt(reason) = error else {
        panic!("{error:?}")
    };
    assert!(reason.to_string().contains(last), "{reason}");
    assert_eq!(sessions, [first]);
    // In the middle of a page it is passed over.
    let pages = bench
        .runtime
        .block_on(pages(&bench.store, 100, async |_| {}));
    assert_eq!(found(&pages), [first]);
}

/// Sessions are damaged, and whole ones put in their place while they are deleted as unreadable.
/// Whatever comes first, the session that was put there is there in the end.
fn are_restored_meanwhile(damage: impl Fn(&Document) -> Document) {
    let bench = Bench::new();
    let (store, now) = (&bench.store, bench.now);
    let (mut ended, mut stayed) = (0, 0);
    for round in 0..300_u32 {
        let id = bench.create().id();
        let whole = bench.document(id).unwrap();
        bench.change(id, damage(&whole));
        bench.runtime.block_on(async {
            let restoring = async {
                let pause = Duration::from_micros(u64::from(round * 37 % 1_500));
                tokio::time::sleep(pause).await;
                let restored = bench.other.replace_one(by(id), &whole).upsert(true).await;
                restored.unwrap();
            };
            let deleting = store.delete_unreadable(id, Ended::new(EndReason::Revoked, now));
            let (deleted, ()) = futures_util::join!(deleting, restoring);
            match deleted.unwrap() {
                true => ended += 1,
                false => stayed += 1,
            }
            let found = store.load(&RecordKey::Id(id), now).await.unwrap();
            assert!(found.is_some_and(|it| it.ended().is_none()), "{round}");
        });
    }
    assert!(ended > 0 && stayed > 0, "{ended} {stayed}");
}

/// The first one is what was found, and the second what has taken its place.
#[test]
fn a_number_of_another_type_is_another_session() {
    are_restored_meanwhile(|whole| {
        let version = i32::try_from(whole.get_i64("v").unwrap()).unwrap();
        doc! { "$set": { "v": version } }
    });
}

#[test]
fn what_takes_the_place_of_it_stays() {
    are_restored_meanwhile(|_| doc! { "$unset": { "meta": "" } });
}
