//! Law 5 for values: what is equal to what is stored is no write, in whatever order it is encoded.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::FutureExt;
use serde::{Serialize, Serializer};
use session_core::{Codec, Directive, Outcome, Session, SessionManager};
use session_tests::{Backend, Counted, CountingStore, Counts, anonymous, open, stage, token_of};

type Prefs = HashMap<String, u64>;

/// A map whose entries are encoded in this order.
struct Ordered<T>(Vec<(&'static str, T)>);

impl<T: Serialize> Serialize for Ordered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

fn forth() -> Ordered<u64> {
    Ordered(vec![("a", 1), ("b", 2), ("c", 30)])
}

fn back() -> Ordered<u64> {
    Ordered(vec![("c", 30), ("b", 2), ("a", 1)])
}

/// The same entries in the order of another hasher.
fn rehashed(prefs: Option<Prefs>) -> Prefs {
    prefs.unwrap_or_default().into_iter().collect()
}

struct Fixture {
    store: Counted,
    manager: SessionManager,
    token: String,
}

fn fixture(backend: Backend, codec: Codec) -> Fixture {
    let (manager, store, _) = stage(backend.store(), |builder| builder.codec(codec));
    let token = async {
        let session = anonymous(&manager).await;
        session.insert("prefs", forth()).unwrap();
        session.insert("list", vec![forth(), forth()]).unwrap();
        session
            .insert("deep", Ordered(vec![("x", forth()), ("y", forth())]))
            .unwrap();
        let many: Prefs = (0..20).map(|n| (format!("key {n}"), n)).collect();
        session.insert("many", many).unwrap();
        token_of(&session.finish(Outcome::Success).await.unwrap())
    };
    let token = token.now_or_never().unwrap();
    store.take();
    Fixture {
        store,
        manager,
        token,
    }
}

impl Fixture {
    /// Calls of the store by a request, and what the client hears.
    fn costs(&self, handler: impl Fn(&Session)) -> (Counts, Directive) {
        let run = async {
            let session = open(&self.manager, &self.token).await;
            handler(&session);
            let directive = session.finish(Outcome::Success).await.unwrap();
            (self.store.take(), directive)
        };
        run.now_or_never().unwrap()
    }

    #[track_caller]
    fn is_no_write(&self, handler: impl Fn(&Session)) {
        assert_eq!(self.costs(handler), (Counts::LOAD, Directive::Nothing));
    }

    #[track_caller]
    fn is_a_write(&self, handler: impl Fn(&Session)) {
        assert_ne!(self.costs(handler).0, Counts::LOAD);
    }
}

#[test]
fn an_object_in_another_order_is_no_write() {
    for backend in Backend::ALL {
        let fixture = fixture(backend, Codec::Json);
        fixture.is_no_write(|session| session.insert("prefs", back()).unwrap());
        fixture.is_no_write(|session| session.insert("list", vec![back(), forth()]).unwrap());
        let deep = || Ordered(vec![("y", back()), ("x", back())]);
        fixture.is_no_write(|session| session.insert("deep", deep()).unwrap());
    }
}

#[test]
fn a_hash_map_that_is_read_and_inserted_is_no_write() {
    for backend in Backend::ALL {
        let fixture = fixture(backend, Codec::Json);
        for _ in 0..20 {
            fixture.is_no_write(|session| {
                let prefs: Prefs = session.get("many").unwrap().unwrap();
                session.insert("many", rehashed(Some(prefs))).unwrap();
            });
        }
    }
}

#[test]
fn an_update_to_an_equal_map_is_no_write() {
    for backend in Backend::ALL {
        let fixture = fixture(backend, Codec::Json);
        for _ in 0..10 {
            fixture.is_no_write(|session| {
                session.update("many", rehashed).unwrap();
                session.update("many", rehashed).unwrap();
            });
            fixture.is_no_write(|session| {
                let saved = session.update_now("many", rehashed).now_or_never().unwrap();
                assert_eq!(saved.unwrap().len(), 20);
            });
        }
    }
}

#[test]
fn a_value_that_is_changed_and_put_back_in_another_order_is_no_write() {
    for backend in Backend::ALL {
        let fixture = fixture(backend, Codec::Json);
        fixture.is_no_write(|session| {
            session.insert("prefs", 1).unwrap();
            session.insert("prefs", back()).unwrap();
        });
        fixture.is_no_write(|session| {
            assert!(session.remove("prefs"));
            session.insert("prefs", back()).unwrap();
        });
        fixture.is_no_write(|session| {
            session.clear();
            session.insert("prefs", back()).unwrap();
            session.insert("list", vec![back(), back()]).unwrap();
            session
                .insert("deep", Ordered(vec![("y", forth()), ("x", back())]))
                .unwrap();
            session
                .update("many", |_: Option<Prefs>| {
                    (0..20)
                        .rev()
                        .map(|n| (format!("key {n}"), n))
                        .collect::<Prefs>()
                })
                .unwrap();
        });
    }
}

#[test]
fn what_differs_in_more_than_its_order_is_a_write() {
    for backend in Backend::ALL {
        let fixture = fixture(backend, Codec::Json);
        fixture.is_a_write(|session| {
            session
                .insert("prefs", Ordered(vec![("a", 2), ("b", 1), ("c", 30)]))
                .unwrap();
        });
        let prefs: Prefs = open(&fixture.manager, &fixture.token)
            .now_or_never()
            .unwrap()
            .get("prefs")
            .unwrap()
            .unwrap();
        let expected = if backend.is_sealed() { 1 } else { 2 };
        assert_eq!(
            prefs["a"], expected,
            "a sealed session is in the new token only"
        );
        fixture.is_a_write(|session| session.insert("list", vec![back()]).unwrap());
        fixture.is_a_write(|session| session.insert("prefs", Ordered(vec![("a", 1.0)])).unwrap());
        fixture.is_a_write(|session| {
            session.clear();
            session.insert("prefs", back()).unwrap();
        });
    }
}

#[test]
fn a_replay_that_comes_to_what_another_request_stored_is_no_write() {
    for backend in Backend::SERVER {
        let fixture = fixture(backend, Codec::Json);
        let run = async {
            let add = |prefs: Option<Prefs>| {
                let mut prefs = rehashed(prefs);
                prefs.insert("new".to_owned(), 1);
                prefs
            };
            let session = open(&fixture.manager, &fixture.token).await;
            session.update("many", add).unwrap();
            let rival = open(&fixture.manager, &fixture.token).await;
            rival.update("many", add).unwrap();
            rival.finish(Outcome::Success).await.unwrap();
            fixture.store.take();
            session.finish(Outcome::Success).await.unwrap();
            let counts = fixture.store.take();
            assert_eq!(
                (counts.updates, counts.loads < 2),
                (1, true),
                "{backend:?}: only the refused one"
            );
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn a_float_that_is_read_and_inserted_is_no_write() {
    for (backend, codec) in Backend::ALL.into_iter().flat_map(|backend| {
        let with = move |codec| (backend, codec);
        [Codec::Json, Codec::Postcard].map(with)
    }) {
        let store = CountingStore::new(backend.store());
        let builder = SessionManager::builder(Arc::clone(&store)).codec(codec);
        let manager = builder.build().unwrap();
        let floats: Vec<f64> = (1..200)
            .map(|n| 0.07 * f64::from(n))
            .chain([-0.0, f64::MIN_POSITIVE])
            .collect();
        let run = async {
            let session = anonymous(&manager).await;
            session.insert("floats", &floats).unwrap();
            assert_eq!(session.get("floats").unwrap().as_ref(), Some(&floats));
            let token = token_of(&session.finish(Outcome::Success).await.unwrap());
            store.take();
            let session = open(&manager, &token).await;
            let read: Vec<f64> = session.get("floats").unwrap().unwrap();
            assert!(
                read.iter()
                    .zip(&floats)
                    .all(|(read, float)| read.to_bits() == float.to_bits())
            );
            session.insert("floats", read).unwrap();
            session
                .update("floats", |floats: Option<Vec<f64>>| floats.unwrap())
                .unwrap();
            assert_eq!(
                session.finish(Outcome::Success).await.unwrap(),
                Directive::Nothing
            );
            assert_eq!(store.take(), Counts::LOAD);
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn postcard_cannot_tell_one_order_from_another() {
    let fixture = fixture(Backend::Memory, Codec::Postcard);
    fixture.is_no_write(|session| session.insert("prefs", forth()).unwrap());
    fixture.is_a_write(|session| session.insert("prefs", back()).unwrap());
}

#[test]
fn a_value_of_another_codec_is_a_write() {
    let fixture = fixture(Backend::Memory, Codec::Json);
    let builder = SessionManager::builder(Arc::clone(&fixture.store)).codec(Codec::Postcard);
    let other = Fixture {
        manager: builder.build().unwrap(),
        ..fixture
    };
    other.is_a_write(|session| session.insert("prefs", forth()).unwrap());
}
