//! A type changes between two deployments, and both versions of the program run for a while. Each
//! recipe of the guide's page on that, by both codecs and in both directions.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use session_core::{
    Codec, Directive, MemoryStore, Outcome, SessionError, SessionGuard, SessionManager, TypedKey,
};

const BOTH: [Codec; 2] = [Codec::Json, Codec::Postcard];

/// One session, which a process of either version opens.
struct Site {
    manager: SessionManager,
    token: String,
}

impl Site {
    /// With the value of one version.
    async fn of<T: Serialize>(codec: Codec, key: TypedKey<T>, value: &T) -> Self {
        let builder = SessionManager::builder(MemoryStore::new()).codec(codec);
        let manager = builder.build().unwrap();
        let session = manager.begin(&[]).await.unwrap();
        session.at(key).insert(value).unwrap();
        let Directive::Hold(token) = session.finish(Outcome::Success).await.unwrap() else {
            unreachable!()
        };
        let token = token.as_str().to_owned();
        Self { manager, token }
    }

    async fn open(&self) -> SessionGuard {
        self.manager.begin(&[&self.token]).await.unwrap()
    }
}

fn is_decode<T>(result: &Result<T, SessionError>) -> bool {
    matches!(result, Err(SessionError::Decode { .. }))
}

mod a_field_is_added {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Old {
        items: Vec<String>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct New {
        items: Vec<String>,
        #[serde(default)]
        voucher: Option<String>,
    }

    /// The old version, if it was written with this in mind.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Careful {
        items: Vec<String>,
        #[serde(flatten)]
        unknown: BTreeMap<String, serde_json::Value>,
    }

    const OLD: TypedKey<Old> = TypedKey::new("cart");
    const NEW: TypedKey<New> = TypedKey::new("cart");
    const CAREFUL: TypedKey<Careful> = TypedKey::new("cart");

    fn old() -> Old {
        let items = vec!["tea".to_owned()];
        Old { items }
    }

    fn new(voucher: Option<&str>) -> New {
        let Old { items } = old();
        let voucher = voucher.map(str::to_owned);
        New { items, voucher }
    }

    #[tokio::test]
    async fn json_reads_it_in_both_directions() {
        let site = Site::of(Codec::Json, OLD, &old()).await;
        assert_eq!(site.open().await.at(NEW).get().unwrap(), Some(new(None)));
        let site = Site::of(Codec::Json, NEW, &new(Some("SPRING"))).await;
        assert_eq!(site.open().await.at(OLD).get().unwrap(), Some(old()));
    }

    #[tokio::test]
    async fn json_loses_it_where_the_old_version_writes() {
        let site = Site::of(Codec::Json, NEW, &new(Some("SPRING"))).await;
        let session = site.open().await;
        session.at(OLD).modify(|_| ()).unwrap();
        assert_eq!(session.at(NEW).get().unwrap(), Some(new(None)), "lost");

        // Unless that version keeps what it does not know.
        let session = site.open().await;
        let add = |cart: &mut Option<Careful>| cart.as_mut().unwrap().items.push("jam".into());
        session.at(CAREFUL).modify(add).unwrap();
        let cart = session.at(NEW).get().unwrap().unwrap();
        assert_eq!(cart.voucher.as_deref(), Some("SPRING"));
        assert_eq!(cart.items, ["tea", "jam"]);
    }

    #[tokio::test]
    async fn postcard_reads_it_in_no_direction() {
        let site = Site::of(Codec::Postcard, OLD, &old()).await;
        assert!(is_decode(&site.open().await.at(NEW).get()));
        let site = Site::of(Codec::Postcard, NEW, &new(Some("SPRING"))).await;
        assert!(is_decode(&site.open().await.at(OLD).get()));
    }
}

mod an_enum_grows {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
    enum Old {
        Post,
        Courier,
        /// What a newer version wrote. It is never written.
        #[serde(other, skip_serializing)]
        Unknown,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
    enum New {
        Post,
        Courier,
        Locker,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
    enum Plain {
        Post,
        Courier,
    }

    /// The new variant is not the last one.
    #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
    enum Moved {
        Locker,
        Post,
        Courier,
    }

    const OLD: TypedKey<Old> = TypedKey::new("delivery");
    const NEW: TypedKey<New> = TypedKey::new("delivery");
    const PLAIN: TypedKey<Plain> = TypedKey::new("delivery");
    const MOVED: TypedKey<Moved> = TypedKey::new("delivery");

    #[tokio::test]
    async fn both_codecs_read_what_the_old_version_wrote() {
        for codec in BOTH {
            let site = Site::of(codec, PLAIN, &Plain::Courier).await;
            assert_eq!(site.open().await.at(NEW).get().unwrap(), Some(New::Courier));
        }
    }

    #[tokio::test]
    async fn the_old_version_reads_no_new_variant() {
        for codec in BOTH {
            let site = Site::of(codec, NEW, &New::Locker).await;
            assert!(is_decode(&site.open().await.at(PLAIN).get()), "{codec:?}");
        }
    }

    #[tokio::test]
    async fn json_has_a_variant_for_what_is_not_known_yet() {
        let site = Site::of(Codec::Json, NEW, &New::Locker).await;
        let session = site.open().await;
        assert_eq!(session.at(OLD).get().unwrap(), Some(Old::Unknown));
        let written = session.at(OLD).modify(|_| ());
        assert!(matches!(written, Err(SessionError::Encode { .. })));
        session.at(OLD).insert(Old::Post).unwrap();
        assert_eq!(session.at(NEW).get().unwrap(), Some(New::Post));
    }

    #[tokio::test]
    async fn postcard_knows_variants_by_their_place() {
        let site = Site::of(Codec::Postcard, PLAIN, &Plain::Courier).await;
        let read = site.open().await.at(MOVED).get().unwrap();
        assert_eq!(read, Some(Moved::Post), "another value, and no error");
        let site = Site::of(Codec::Json, PLAIN, &Plain::Courier).await;
        let read = site.open().await.at(MOVED).get().unwrap();
        assert_eq!(read, Some(Moved::Courier));
    }
}

mod a_field_is_renamed {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Old {
        mail: String,
    }

    /// The name in the code changes, the stored one does not.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Kept {
        #[serde(rename = "mail")]
        address: String,
    }

    /// First deployment of two: it reads both names and writes the old one.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct First {
        #[serde(rename = "mail", alias = "address")]
        address: String,
    }

    /// Second deployment: it reads both names and writes the new one.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Second {
        #[serde(alias = "mail")]
        address: String,
    }

    const OLD: TypedKey<Old> = TypedKey::new("contact");
    const KEPT: TypedKey<Kept> = TypedKey::new("contact");
    const FIRST: TypedKey<First> = TypedKey::new("contact");
    const SECOND: TypedKey<Second> = TypedKey::new("contact");

    fn text() -> String {
        "ann@example.org".to_owned()
    }

    #[tokio::test]
    async fn a_stored_name_that_stays_is_read_in_both_directions() {
        for codec in BOTH {
            let site = Site::of(codec, OLD, &Old { mail: text() }).await;
            let kept = site.open().await.at(KEPT).get().unwrap().unwrap();
            let site = Site::of(codec, KEPT, &kept).await;
            let old = site.open().await.at(OLD).get().unwrap();
            assert_eq!(old, Some(Old { mail: text() }));
        }
    }

    #[tokio::test]
    async fn a_stored_name_changes_in_two_deployments() {
        for codec in BOTH {
            let site = Site::of(codec, OLD, &Old { mail: text() }).await;
            let first = site.open().await.at(FIRST).get().unwrap().unwrap();
            let site = Site::of(codec, FIRST, &first).await;
            assert_eq!(
                site.open().await.at(OLD).get().unwrap().unwrap().mail,
                text()
            );
            let second = site.open().await.at(SECOND).get().unwrap().unwrap();
            let site = Site::of(codec, SECOND, &second).await;
            let read = site.open().await.at(FIRST).get().unwrap();
            assert_eq!(read, Some(First { address: text() }));
            // In one step, JSON would not be read by the version before.
            let read = site.open().await.at(OLD).get();
            assert_eq!(is_decode(&read), codec == Codec::Json);
        }
    }
}

mod a_type_changes_wholly {
    use super::*;

    const OLD: TypedKey<u64> = TypedKey::new("theme");
    const NEW: TypedKey<String> = TypedKey::new("theme");

    #[tokio::test]
    async fn what_can_be_lost_starts_over_in_both_directions() {
        for codec in BOTH {
            let site = Site::of(codec, OLD, &7).await;
            let session = site.open().await;
            assert!(is_decode(&session.at(NEW).get()), "{codec:?}");
            assert_eq!(session.at(NEW.or_discard()).get().unwrap(), None);
            session
                .at(NEW.or_discard())
                .insert("dark".to_owned())
                .unwrap();
            assert_eq!(session.at(OLD.or_discard()).get().ok(), Some(None));
            let first = |n: Option<u64>| n.unwrap_or(1);
            assert_eq!(session.at(OLD.or_discard()).update(first).unwrap(), 1);
        }
    }

    #[tokio::test]
    async fn postcard_may_read_another_type_without_an_error() {
        const PAIR: TypedKey<(u8, u8)> = TypedKey::new("theme");
        let site = Site::of(Codec::Postcard, PAIR, &(1, b'x')).await;
        let read = site.open().await.at(NEW.or_discard()).get().unwrap();
        assert_eq!(read.as_deref(), Some("x"));
        let site = Site::of(Codec::Json, PAIR, &(1, b'x')).await;
        assert_eq!(site.open().await.at(NEW.or_discard()).get().unwrap(), None);
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(from = "Stored", into = "Stored")]
    struct Cart {
        items: Vec<(String, u32)>,
    }

    /// What is stored, by version: a new one goes to the end.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    enum Stored {
        V1(Vec<String>),
        V2 { items: Vec<(String, u32)> },
    }

    /// The version before, which knows only the first.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Before {
        V1(Vec<String>),
    }

    impl From<Stored> for Cart {
        fn from(stored: Stored) -> Self {
            let items = match stored {
                Stored::V1(names) => names.into_iter().map(|name| (name, 1)).collect(),
                Stored::V2 { items } => items,
            };
            Self { items }
        }
    }

    impl From<Cart> for Stored {
        fn from(Cart { items }: Cart) -> Self {
            Self::V2 { items }
        }
    }

    /// First deployment of two: it reads both versions and writes the first.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(from = "Stored", into = "Before")]
    struct Between(Cart);

    impl From<Stored> for Between {
        fn from(stored: Stored) -> Self {
            Self(stored.into())
        }
    }

    impl From<Between> for Before {
        fn from(Between(Cart { items }): Between) -> Self {
            Self::V1(items.into_iter().map(|(name, _)| name).collect())
        }
    }

    const BEFORE: TypedKey<Before> = TypedKey::new("cart");
    const BETWEEN: TypedKey<Between> = TypedKey::new("cart");
    const CART: TypedKey<Cart> = TypedKey::new("cart");

    fn cart() -> Cart {
        Cart {
            items: vec![("tea".to_owned(), 1)],
        }
    }

    #[tokio::test]
    async fn in_two_deployments_each_version_reads_the_one_beside_it() {
        for codec in BOTH {
            let v1 = Before::V1(vec!["tea".to_owned()]);
            let site = Site::of(codec, BEFORE, &v1).await;
            let between = site.open().await.at(BETWEEN).get().unwrap();
            assert_eq!(between, Some(Between(cart())), "{codec:?}");
            let site = Site::of(codec, BETWEEN, &Between(cart())).await;
            assert_eq!(site.open().await.at(BEFORE).get().unwrap(), Some(v1));
            assert_eq!(site.open().await.at(CART).get().unwrap(), Some(cart()));
            let site = Site::of(codec, CART, &cart()).await;
            let between = site.open().await.at(BETWEEN).get().unwrap();
            assert_eq!(between, Some(Between(cart())), "{codec:?}");
        }
    }

    #[tokio::test]
    async fn a_versioned_enum_reads_each_version() {
        for codec in BOTH {
            let v1 = Before::V1(vec!["tea".to_owned()]);
            let site = Site::of(codec, BEFORE, &v1).await;
            let session = site.open().await;
            let one = |cart: Option<Cart>| Cart {
                items: cart
                    .unwrap()
                    .items
                    .into_iter()
                    .map(|(name, n)| (name, n + 1))
                    .collect(),
            };
            let cart = session.at(CART).update(one).unwrap();
            assert_eq!(cart.items, [("tea".to_owned(), 2)], "{codec:?}");
            assert_eq!(session.at(CART).get().unwrap(), Some(cart));
            // The version before reads no later one.
            assert!(is_decode(&session.at(BEFORE).get()), "{codec:?}");
        }
    }
}

mod the_codec_changes {
    use super::*;

    const CART: TypedKey<BTreeMap<String, u32>> = TypedKey::new("cart");

    #[tokio::test]
    async fn each_value_is_read_by_the_codec_that_wrote_it() {
        for [before, after] in [BOTH, [Codec::Postcard, Codec::Json]] {
            let store = Arc::new(MemoryStore::new());
            let manager = |codec| {
                let builder = SessionManager::builder(Arc::clone(&store)).codec(codec);
                builder.build().unwrap()
            };
            let [old, new] = [manager(before), manager(after)];
            let session = old.begin(&[]).await.unwrap();
            let cart: BTreeMap<_, _> = [("tea".to_owned(), 1)].into();
            session.at(CART).insert(&cart).unwrap();
            let Directive::Hold(token) = session.finish(Outcome::Success).await.unwrap() else {
                unreachable!()
            };
            let session = new.begin(&[token.as_str()]).await.unwrap();
            assert_eq!(session.at(CART).get().unwrap(), Some(cart));
            let add = |cart: &mut Option<BTreeMap<_, _>>| {
                cart.get_or_insert_default().insert("jam".to_owned(), 2);
            };
            session.at(CART).modify(add).unwrap();
            session.finish(Outcome::Success).await.unwrap();
            let session = old.begin(&[token.as_str()]).await.unwrap();
            assert_eq!(session.at(CART).get().unwrap().unwrap().len(), 2);
        }
    }
}

mod nobody_is_locked_out {
    use super::*;

    const WRONG: TypedKey<u64> = TypedKey::new("cart");
    const CART: TypedKey<Vec<String>> = TypedKey::new("cart");

    #[tokio::test]
    async fn what_does_not_read_the_value_works() {
        for codec in BOTH {
            let site = Site::of(codec, WRONG, &u64::MAX).await;
            let session = site.open().await;
            assert!(is_decode(&session.at(CART).get()));
            session.insert("other", 1).unwrap();
            assert!(session.verify_csrf(&session.csrf_token().unwrap()));
            session.sign_in("user:42").unwrap();
            let Directive::Hold(token) = session.finish(Outcome::Success).await.unwrap() else {
                unreachable!()
            };
            let session = site.manager.begin(&[token.as_str()]).await.unwrap();
            assert_eq!(session.principal().as_deref(), Some("user:42"));
            // To remove or replace it takes no reading.
            assert!(session.at(CART).remove());
            session.at(WRONG).insert(1).unwrap();
            session.at(CART).insert(Vec::new()).unwrap();
            assert_eq!(session.at(CART).get().unwrap(), Some(Vec::new()));
        }
    }

    #[tokio::test]
    async fn who_signs_out_is_signed_out() {
        for codec in BOTH {
            let site = Site::of(codec, WRONG, &u64::MAX).await;
            let session = site.open().await;
            session.destroy().unwrap();
            let directive = session.finish(Outcome::Success).await.unwrap();
            assert_eq!(directive, Directive::Forget);
            assert!(site.open().await.is_new());
        }
    }

    #[tokio::test]
    async fn a_flash_value_that_cannot_be_read_is_used_up() {
        for codec in BOTH {
            let site = Site::of(codec, WRONG, &1).await;
            let session = site.open().await;
            session.flash("notice", u64::MAX).unwrap();
            session.finish(Outcome::Success).await.unwrap();
            let session = site.open().await;
            assert!(is_decode(&session.flashed::<String>("notice")));
            session.finish(Outcome::Success).await.unwrap();
            assert_eq!(site.open().await.flashed::<String>("notice").unwrap(), None);
        }
    }
}
