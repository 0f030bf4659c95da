//! Stores that hand every call to another one: a macro for them, and the pointers.

use std::sync::Arc;

use crate::store::SessionStore;

/// Writes the methods of a store that only passes its calls to another store.
///
/// Call it inside an `impl` of [`SessionStore`], [`PrincipalIndex`] or [`RecordScan`]. It takes the
/// name of that trait, and an expression that borrows the inner store from the outer one. It writes
/// all methods of the trait, so the `impl` contains nothing else.
///
/// Use it for a type of your own around a store: to keep the inner type out of your public items,
/// or to give a store more methods. It does three things that are easy to miss by hand:
///
/// - It forwards the methods that have a default, also those that later versions of this crate add.
///   A wrapper that leaves out [`durability`](SessionStore::durability) or
///   [`revalidate`](SessionStore::revalidate) compiles, and then the default answers in place of
///   the inner store.
/// - It returns the inner store's index from [`principals`](SessionStore::principals), and its scan
///   from [`scan`](SessionStore::scan), if there is one.
/// - Its methods return the future of the inner store as it is. A method that is written with
///   [`async_trait`](crate::store::async_trait) allocates a second future around it.
///
/// A store that does more in a call, such as counting, implements all methods itself.
///
/// ```
/// use session_core::store::{Durability, SessionStore, forward_store};
/// use session_core::{MemoryStore, SessionManager};
///
/// /// Where this application keeps its sessions.
/// #[derive(Debug)]
/// struct AppStore {
///     sessions: MemoryStore,
/// }
///
/// impl AppStore {
///     fn count(&self) -> usize {
///         self.sessions.len()
///     }
/// }
///
/// impl SessionStore for AppStore {
///     forward_store!(SessionStore, |store| &store.sessions);
/// }
///
/// let store = AppStore { sessions: MemoryStore::new() };
/// assert_eq!(store.count(), 0);
/// // What the inner store says, and not the default.
/// assert_eq!(store.durability(), Durability::Durable);
/// assert!(store.principals().is_some());
/// let manager = SessionManager::new(store);
/// ```
///
/// # Generics, and the index
///
/// You write the head of the `impl`, so it can have parameters and bounds. A manager needs
/// `SessionStore` only. If the inner store implements [`PrincipalIndex`], the outer one can do so
/// too. Its callers then need not ask for [`principals`](SessionStore::principals).
///
/// ```
/// use session_core::MemoryStore;
/// use session_core::store::{PrincipalIndex, SessionStore, forward_store};
///
/// #[derive(Debug)]
/// struct Named<S> {
///     name: &'static str,
///     store: S,
/// }
///
/// impl<S: SessionStore> SessionStore for Named<S> {
///     forward_store!(SessionStore, |named| &named.store);
/// }
///
/// impl<S: PrincipalIndex> PrincipalIndex for Named<S> {
///     forward_store!(PrincipalIndex, |named| &named.store);
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let now = session_core::Timestamp::from_millis(0);
/// let named = Named { name: "main", store: MemoryStore::new() };
/// assert!(named.list_of("ann", now).await?.is_empty());
/// # assert_eq!(named.name, "main");
/// # Ok::<_, session_core::store::StoreError>(()) }).unwrap();
/// ```
///
/// [`PrincipalIndex`]: crate::store::PrincipalIndex
/// [`RecordScan`]: crate::store::RecordScan
// Exported macros are at the root of their crate. The documentation shows it in `store` instead.
#[doc(hidden)]
#[macro_export]
macro_rules! forward_store {
    (SessionStore, |$store:ident| $inner:expr $(,)?) => {
        fn location(&self) -> $crate::store::RecordLocation {
            let $store = self;
            $crate::store::SessionStore::location($inner)
        }

        fn call_timeout(&self) -> ::std::option::Option<::std::time::Duration> {
            let $store = self;
            $crate::store::SessionStore::call_timeout($inner)
        }

        fn durability(&self) -> $crate::store::Durability {
            let $store = self;
            $crate::store::SessionStore::durability($inner)
        }

        $crate::forward_store!(@call |$store| $inner, SessionStore::load<'k>(
            key: &'k $crate::store::RecordKey,
            now: $crate::Timestamp,
        ) -> ::std::option::Option<::std::sync::Arc<$crate::store::Record>>);

        $crate::forward_store!(@call |$store| $inner, SessionStore::revalidate<'k, 'r>(
            key: &'k $crate::store::RecordKey,
            known: &'r ::std::sync::Arc<$crate::store::Record>,
            now: $crate::Timestamp,
        ) -> $crate::store::Revalidated);

        $crate::forward_store!(@call |$store| $inner, SessionStore::create<'r>(
            record: &'r ::std::sync::Arc<$crate::store::Record>,
            now: $crate::Timestamp,
        ) -> $crate::store::RecordKey);

        $crate::forward_store!(@call |$store| $inner, SessionStore::update<'k, 'u>(
            key: &'k $crate::store::RecordKey,
            update: &'u $crate::store::Update,
            now: $crate::Timestamp,
        ) -> $crate::store::Updated);

        $crate::forward_store!(@call |$store| $inner, SessionStore::delete<'k>(
            key: &'k $crate::store::RecordKey,
            ended: $crate::Ended,
        ) -> ());

        fn principals(&self) -> ::std::option::Option<&dyn $crate::store::PrincipalIndex> {
            let $store = self;
            $crate::store::SessionStore::principals($inner)
        }

        fn scan(&self) -> ::std::option::Option<&dyn $crate::store::RecordScan> {
            let $store = self;
            $crate::store::SessionStore::scan($inner)
        }

        $crate::forward_store!(@call |$store| $inner, SessionStore::delete_expired<>(
            now: $crate::Timestamp,
        ) -> u64);
    };
    (PrincipalIndex, |$store:ident| $inner:expr $(,)?) => {
        $crate::forward_store!(@call |$store| $inner, PrincipalIndex::list_of<'p>(
            principal: &'p str,
            now: $crate::Timestamp,
        ) -> ::std::vec::Vec<$crate::store::Listed>);

        $crate::forward_store!(@call |$store| $inner, PrincipalIndex::delete_one_of<'p>(
            principal: &'p str,
            id: $crate::SessionId,
            ended: $crate::Ended,
        ) -> bool);

        $crate::forward_store!(@call |$store| $inner, PrincipalIndex::delete_all_of<'p>(
            principal: &'p str,
            except: ::std::option::Option<$crate::SessionId>,
            ended: $crate::Ended,
        ) -> u64);
    };
    (RecordScan, |$store:ident| $inner:expr $(,)?) => {
        $crate::forward_store!(@call |$store| $inner, RecordScan::scan_records<'c>(
            from: ::std::option::Option<&'c $crate::store::ScanCursor>,
            most: usize,
        ) -> $crate::store::ScanPage);

        $crate::forward_store!(@call |$store| $inner, RecordScan::scan_index<'c>(
            from: ::std::option::Option<&'c $crate::store::ScanCursor>,
            most: usize,
        ) -> $crate::store::IndexPage);

        $crate::forward_store!(@call |$store| $inner, RecordScan::mend_index<'p>(
            principal: &'p str,
            id: $crate::SessionId,
            now: $crate::Timestamp,
        ) -> $crate::store::IndexMend);

        $crate::forward_store!(@call |$store| $inner, RecordScan::delete_unreadable<>(
            id: $crate::SessionId,
            ended: $crate::Ended,
        ) -> bool);
    };
    // One method, with the signature that `async_trait` gives it in the trait.
    (@call |$store:ident| $inner:expr, $trait:ident::$call:ident<$($life:lifetime),*>(
        $($argument:ident: $type:ty),* $(,)?
    ) -> $answer:ty) => {
        fn $call<'s, $($life,)* 'f>(
            &'s self,
            $($argument: $type),*
        ) -> ::std::pin::Pin<::std::boxed::Box<
            dyn ::std::future::Future<
                    Output = ::std::result::Result<$answer, $crate::store::StoreError>,
                > + ::std::marker::Send
                + 'f,
        >>
        where
            Self: 'f,
            's: 'f,
            $($life: 'f,)*
        {
            let $store = self;
            $crate::store::$trait::$call($inner, $($argument),*)
        }
    };
}

pub use forward_store;

#[deny(clippy::missing_trait_methods)]
impl<S: SessionStore + ?Sized> SessionStore for Arc<S> {
    forward_store!(SessionStore, |pointer| &**pointer);
}

#[deny(clippy::missing_trait_methods)]
impl<S: SessionStore + ?Sized> SessionStore for Box<S> {
    forward_store!(SessionStore, |pointer| &**pointer);
}
