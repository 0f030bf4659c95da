//! Keys that know the type of their value.

use std::borrow::Borrow;
use std::error::Error as StdError;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::SessionError;
use crate::session::{OnUndecodable, Session};

/// The name of a key and the type of its value, as a constant that all who use the key share.
///
/// [`Session::at`] reads and writes what is under it. The name is written once and the type is
/// never repeated, so neither a typo nor a wrong type gets past the compiler. All constants in one
/// file say what an application keeps of its visitors.
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
/// A value of another type is an error of the compiler:
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
/// It is the same entry as with the key's name: `session.get::<u64>("visits")` reads it too.
pub struct TypedKey<T> {
    name: &'static str,
    on: OnUndecodable,
    // Whatever `T` is, the key has none: it may be sent and shared.
    value: PhantomData<fn() -> T>,
}

impl<T> TypedKey<T> {
    /// A key of this name. A session has one value under each name, so give each constant another.
    ///
    /// [`TypedKey`] has an example.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            on: OnUndecodable::Fail,
            value: PhantomData,
        }
    }

    /// The same key, under which a value that is not a `T` reads as absent. By default it is
    /// [`SessionError::Decode`].
    ///
    /// A session outlives a deployment, so another version of the program may have written the
    /// value. This is for what can be lost, such as a preference: `get` returns `None`, `update`,
    /// `modify` and `try_modify` are given `None` and write a new value, `take` and `take_now`
    /// remove it and return `None`. Each time an event
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

    /// Its name.
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

/// What a session holds under a [`TypedKey`]: [`Session::at`] makes it.
///
/// Each method is that of [`Session`] with the same name, without key and type. (`exists` is
/// [`contains_key`](Session::contains_key).)
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
    /// What is under `key`, to be read or written.
    ///
    /// [`TypedKey`] has an example.
    pub const fn at<T>(&self, key: TypedKey<T>) -> Entry<'_, T> {
        Entry { session: self, key }
    }
}

impl<T> Entry<'_, T> {
    /// Removes the value, and returns whether there was one. As [`Session::remove`].
    ///
    /// [`Entry`] has an example.
    pub fn remove(self) -> bool {
        self.session.remove(self.key.name)
    }
}

impl<T: Serialize> Entry<'_, T> {
    /// Sets the value, given as such or as a reference to it. As [`Session::insert`].
    ///
    /// [`Entry`] has an example.
    ///
    /// # Errors
    ///
    /// As [`Session::insert`].
    pub fn insert(self, value: impl Borrow<T>) -> Result<(), SessionError> {
        self.session.put(self.key.name, value.borrow())
    }
}

impl<T: DeserializeOwned> Entry<'_, T> {
    /// The value, or `None` if there is none. As [`Session::get`].
    ///
    /// [`TypedKey`] has an example.
    ///
    /// # Errors
    ///
    /// [`SessionError::Decode`] if it is not a `T`, unless the key says
    /// [`or_discard`](TypedKey::or_discard).
    pub fn get(self) -> Result<Option<T>, SessionError> {
        self.session.read(self.key.name, self.key.on)
    }

    /// Whether there is a value. One that [`or_discard`](TypedKey::or_discard) makes read as absent
    /// is none. As [`Session::contains_key`].
    ///
    /// [`Entry`] has an example.
    pub fn exists(self) -> bool {
        match self.key.on {
            OnUndecodable::Fail => self.session.contains_key(self.key.name),
            OnUndecodable::Discard(_) => self.get().is_ok_and(|value| value.is_some()),
        }
    }

    /// Removes the value and returns it. **Two requests at the same time can both get it.** As
    /// [`Session::take`].
    ///
    /// [`Entry`] has an example.
    ///
    /// # Errors
    ///
    /// As [`Session::take`].
    pub fn take(self) -> Result<Option<T>, SessionError> {
        self.session.take_as(self.key.name, self.key.on)
    }

    /// Removes the value from the store at once, and returns it to one request only. As
    /// [`Session::take_now`].
    ///
    /// [`Entry`] has an example.
    ///
    /// # Errors
    ///
    /// As [`Session::take_now`].
    pub async fn take_now(self) -> Result<Option<T>, SessionError> {
        self.session.take_now_as(self.key.name, self.key.on).await
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Entry<'_, T> {
    /// Changes the value by `f`, and never loses to another writer. As [`Session::update`].
    ///
    /// [`TypedKey`] has an example.
    ///
    /// # Errors
    ///
    /// As [`Session::update`].
    pub fn update<F>(self, f: F) -> Result<T, SessionError>
    where
        F: Fn(Option<T>) -> T + Send + Sync + 'static,
    {
        self.session.update_as(self.key.name, self.key.on, f)
    }

    /// Changes the value by `f`, saves it at once and returns the final value. As
    /// [`Session::update_now`].
    ///
    /// [`Entry`] has an example.
    ///
    /// # Errors
    ///
    /// As [`Session::update_now`].
    pub async fn update_now<F>(self, f: F) -> Result<T, SessionError>
    where
        F: Fn(Option<T>) -> T + Send + Sync + 'static,
    {
        let Self { session, key } = self;
        session.update_now_as(key.name, key.on, f).await
    }

    /// Changes the value in place, or removes it by leaving `None`; never loses to another writer.
    /// As [`Session::modify`].
    ///
    /// [`Entry`] has an example.
    ///
    /// # Errors
    ///
    /// As [`Session::modify`].
    pub fn modify<R, F>(self, f: F) -> Result<R, SessionError>
    where
        F: Fn(&mut Option<T>) -> R + Send + Sync + 'static,
    {
        self.session.modify_as(self.key.name, self.key.on, f)
    }

    /// [`modify`](Self::modify) by a closure that may refuse. As [`Session::try_modify`].
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
    /// As [`Session::try_modify`].
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
