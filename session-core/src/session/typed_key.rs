//! Keys that know the type of their value.

use std::borrow::Borrow;
use std::error::Error as StdError;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::SessionError;
use crate::session::{OnUndecodable, Session};

/// The name of a key and the type of its value, as one constant.
///
/// [`Session::at`] reads and writes the value under the key. All code that uses the key shares the
/// constant. So the name is written once and the type is never repeated, and neither a typo nor a
/// wrong type gets past the compiler. If all constants are in one file, that file says what an
/// application keeps about its visitors.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
/// # .block_on(async {
/// # use session_core::{MemoryStore, SessionManager};
/// use session_core::TypedKey;
///
/// const VISITS: TypedKey<u64> = TypedKey::new("visits");
/// const CART: TypedKey<Vec<String>> = TypedKey::new("cart");
///
/// # let session = SessionManager::new(MemoryStore::new()).begin(&[]).await?;
/// let visits = session.at(VISITS).update(|visits| visits.unwrap_or(0) + 1)?;
/// assert_eq!(visits, 1);
/// session.at(CART).insert(vec!["tea".to_owned()])?;
/// assert_eq!(session.at(CART).get()?, Some(vec!["tea".to_owned()]));
/// # Ok::<_, session_core::SessionError>(()) }).unwrap();
/// ```
///
/// A value of another type does not compile:
///
/// ```compile_fail,E0277
/// # use session_core::{SessionError, Session, TypedKey};
/// const VISITS: TypedKey<u64> = TypedKey::new("visits");
///
/// fn count(session: &Session) -> Result<(), SessionError> {
///     session.at(VISITS).insert("once")
/// }
/// ```
///
/// The plain name of the key reaches the same entry: `session.get::<u64>("visits")` reads it too.
pub struct TypedKey<T> {
    name: &'static str,
    on: OnUndecodable,
    // Whatever `T` is, the key has none: it may be sent and shared.
    value: PhantomData<fn() -> T>,
}

impl<T> TypedKey<T> {
    /// A key with this name.
    ///
    /// A session has one value under each name, so give each constant a different name.
    ///
    /// [`TypedKey`] has an example.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            on: OnUndecodable::Fail,
            value: PhantomData,
        }
    }

    /// Returns the same key, but a value under it that is not a `T` reads as absent.
    ///
    /// By default, such a value is a [`SessionError::Decode`].
    ///
    /// A session outlives a deployment, so another version of the program may have written the
    /// value. Use such a key for values that may be lost, such as a preference. `get` then returns
    /// `None`. `update`, `modify` and `try_modify` receive `None` and write a new value. `take` and
    /// `take_now` remove the value and return `None`. Each time, an event
    /// ([`EventKind::Undecodable`](crate::EventKind::Undecodable)) reports it.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{SessionError, MemoryStore, SessionManager, TypedKey};
    /// const THEME: TypedKey<String> = TypedKey::new("theme").or_discard();
    ///
    /// # let session = SessionManager::new(MemoryStore::new()).begin(&[]).await?;
    /// session.insert("theme", 7)?; // a former version kept a number
    /// assert_eq!(session.at(THEME).get()?, None);
    /// session.at(THEME).insert("dark".to_owned())?;
    /// assert_eq!(session.at(THEME).get()?.as_deref(), Some("dark"));
    /// # Ok::<_, SessionError>(()) }).unwrap();
    /// ```
    #[must_use]
    pub const fn or_discard(self) -> Self {
        Self {
            name: self.name,
            on: OnUndecodable::Discard(self.name),
            value: PhantomData,
        }
    }

    /// The name of the key.
    ///
    /// ```
    /// # use session_core::TypedKey;
    /// assert_eq!(TypedKey::<u64>::new("visits").name(), "visits");
    /// ```
    pub const fn name(self) -> &'static str {
        self.name
    }
}

impl<T> Clone for TypedKey<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for TypedKey<T> {}

impl<T> fmt::Debug for TypedKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedKey").field(&self.name).finish()
    }
}

/// The entry of a session under a [`TypedKey`]; made by [`Session::at`].
///
/// Each method does the same as the method of [`Session`] with the same name, but you pass no key
/// and name no type. (`exists` is [`contains_key`](Session::contains_key).)
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
/// # .block_on(async {
/// # use session_core::{MemoryStore, SessionManager, TypedKey};
/// const NAME: TypedKey<String> = TypedKey::new("name");
///
/// # let session = SessionManager::new(MemoryStore::new()).begin(&[]).await?;
/// let name = "Anna".to_owned();
/// session.at(NAME).insert(&name)?; // or the value itself
/// assert!(session.at(NAME).exists());
///
/// session.at(NAME).modify(|name| name.get_or_insert_default().push('!'))?;
/// let longer = session.at(NAME).update_now(|name| name.unwrap_or_default() + "!").await?;
/// assert_eq!(longer, "Anna!!");
///
/// assert_eq!(session.at(NAME).take_now().await?.as_deref(), Some("Anna!!"));
/// assert_eq!(session.at(NAME).take()?, None);
/// assert!(!session.at(NAME).remove());
/// # Ok::<_, session_core::SessionError>(()) }).unwrap();
/// ```
pub struct Entry<'s, T> {
    session: &'s Session,
    key: TypedKey<T>,
}

impl Session {
    /// The entry under `key`, to read or write its value.
    ///
    /// [`TypedKey`] has an example.
    pub const fn at<T>(&self, key: TypedKey<T>) -> Entry<'_, T> {
        Entry { session: self, key }
    }
}

impl<T> Entry<'_, T> {
    /// Removes the value, and returns whether there was one. See [`Session::remove`].
    ///
    /// [`Entry`] has an example.
    pub fn remove(self) -> bool {
        self.session.remove(self.key.name)
    }
}

impl<T: Serialize> Entry<'_, T> {
    /// Sets the value, passed by value or by reference. See [`Session::insert`].
    ///
    /// [`Entry`] has an example.
    ///
    /// # Errors
    ///
    /// The same as [`Session::insert`].
    pub fn insert(self, value: impl Borrow<T>) -> Result<(), SessionError> {
        self.session.put(self.key.name, value.borrow())
    }
}

impl<T: DeserializeOwned> Entry<'_, T> {
    /// The value, or `None` if there is none. See [`Session::get`].
    ///
    /// [`TypedKey`] has an example.
    ///
    /// # Errors
    ///
    /// [`SessionError::Decode`] if the value is not a `T`, unless the key was made with
    /// [`or_discard`](TypedKey::or_discard).
    pub fn get(self) -> Result<Option<T>, SessionError> {
        self.session.read(self.key.name, self.key.on)
    }

    /// Whether there is a value. See [`Session::contains_key`].
    ///
    /// A value that [`or_discard`](TypedKey::or_discard) makes read as absent does not count.
    ///
    /// [`Entry`] has an example.
    pub fn exists(self) -> bool {
        match self.key.on {
            OnUndecodable::Fail => self.session.contains_key(self.key.name),
            OnUndecodable::Discard(_) => self.get().is_ok_and(|value| value.is_some()),
        }
    }

    /// Removes the value and returns it. See [`Session::take`].
    ///
    /// **Two requests at the same time can both get it.**
    ///
    /// [`Entry`] has an example.
    ///
    /// # Errors
    ///
    /// The same as [`Session::take`].
    pub fn take(self) -> Result<Option<T>, SessionError> {
        self.session.take_as(self.key.name, self.key.on)
    }

    /// Removes the value from the store at once, and returns it to one request only. See
    /// [`Session::take_now`].
    ///
    /// [`Entry`] has an example.
    ///
    /// # Errors
    ///
    /// The same as [`Session::take_now`].
    pub async fn take_now(self) -> Result<Option<T>, SessionError> {
        self.session.take_now_as(self.key.name, self.key.on).await
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Entry<'_, T> {
    /// Changes the value with `f`. The change is never lost to another writer. See
    /// [`Session::update`].
    ///
    /// [`TypedKey`] has an example.
    ///
    /// # Errors
    ///
    /// The same as [`Session::update`].
    pub fn update<F>(self, f: F) -> Result<T, SessionError>
    where
        F: Fn(Option<T>) -> T + Send + Sync + 'static,
    {
        self.session.update_as(self.key.name, self.key.on, f)
    }

    /// Changes the value with `f`, saves it at once and returns the final value. See
    /// [`Session::update_now`].
    ///
    /// [`Entry`] has an example.
    ///
    /// # Errors
    ///
    /// The same as [`Session::update_now`].
    pub async fn update_now<F>(self, f: F) -> Result<T, SessionError>
    where
        F: Fn(Option<T>) -> T + Send + Sync + 'static,
    {
        let Self { session, key } = self;
        session.update_now_as(key.name, key.on, f).await
    }

    /// Changes the value in place, or removes it if `f` leaves `None`. See [`Session::modify`].
    ///
    /// The change is never lost to another writer.
    ///
    /// [`Entry`] has an example.
    ///
    /// # Errors
    ///
    /// The same as [`Session::modify`].
    pub fn modify<R, F>(self, f: F) -> Result<R, SessionError>
    where
        F: Fn(&mut Option<T>) -> R + Send + Sync + 'static,
    {
        self.session.modify_as(self.key.name, self.key.on, f)
    }

    /// Like [`modify`](Self::modify), with a closure that may refuse. See [`Session::try_modify`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, SessionManager, TypedKey};
    /// # type BoxError = Box<dyn std::error::Error + Send + Sync>;
    /// const POINTS: TypedKey<u32> = TypedKey::new("points");
    ///
    /// # let session = SessionManager::new(MemoryStore::new()).begin(&[]).await?;
    /// session.at(POINTS).insert(50)?;
    /// let spend = |points: &mut Option<u32>| {
    ///     let left = points.unwrap_or(0).checked_sub(30).ok_or("too few points")?;
    ///     *points = Some(left);
    ///     Ok::<_, BoxError>(left)
    /// };
    /// assert_eq!(session.at(POINTS).try_modify(spend)?, 20);
    /// assert!(session.at(POINTS).try_modify(spend).is_err());
    /// assert_eq!(session.at(POINTS).get()?, Some(20));
    /// # Ok::<_, BoxError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// The same as [`Session::try_modify`].
    pub fn try_modify<R, E, F>(self, f: F) -> Result<R, E>
    where
        E: From<SessionError> + Into<Box<dyn StdError + Send + Sync>>,
        F: Fn(&mut Option<T>) -> Result<R, E> + Send + Sync + 'static,
    {
        self.session.try_modify_as(self.key.name, self.key.on, f)
    }
}

impl<T> Clone for Entry<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Entry<'_, T> {}

impl<T> fmt::Debug for Entry<'_, T> {
    /// Shows the key's name, and no value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(&self.key.name).finish()
    }
}
