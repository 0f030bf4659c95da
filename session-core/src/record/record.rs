//! What a store keeps of a session.

use std::fmt;
use std::sync::Arc;

use bytestring::ByteString;

use crate::record::{
    Device, DeviceKey, Lifetime, LimitExceeded, Limits, SealedForm, SessionId, Tag, TokenHash,
    TokenHistory, Value, Values,
};
use crate::time::Timestamp;

/// What a store keeps of a session: metadata, and the values, each already encoded.
///
/// Metadata and values have separate name spaces: no key that a handler inserts can touch the
/// metadata. A store keeps a record as a whole ([`encode`](Self::encode),
/// [`decode`](Self::decode)), or keeps metadata and values apart
/// ([`encode_metadata`](Self::encode_metadata), [`from_parts`](Self::from_parts)) so that updates
/// can merge field by field.
///
/// Records of real sessions are made by the [`SessionManager`](crate::SessionManager);
/// [`new`](Self::new) and the `with_` methods are for the tests of a store.
///
/// ```
/// use session_core::{Codec, Lifetime, SessionId, Timestamp};
/// use session_core::store::Record;
///
/// let now = Timestamp::from_millis(1_000);
/// let record = Record::new(SessionId::random().unwrap(), "__Host-id", Lifetime::default(), now)
///     .with_value("visits", Codec::Json.encode(&3).unwrap());
/// let again = Record::decode(record.encode()).unwrap();
/// assert_eq!(again, record);
/// assert!(again.is_live(now) && !again.is_live(again.expires_at()));
/// ```
#[derive(Clone)]
pub struct Record {
    pub(crate) id: SessionId,
    pub(crate) scope: ByteString,
    pub(crate) version: u64,
    pub(crate) epoch: u64,
    pub(crate) created: Timestamp,
    pub(crate) last_seen: Timestamp,
    pub(crate) deadline: Timestamp,
    pub(crate) authenticated: Option<Timestamp>,
    pub(crate) principal: Option<ByteString>,
    pub(crate) label: Option<ByteString>,
    pub(crate) lifetime: Lifetime,
    pub(crate) csrf_seed: [u8; 16],
    /// The client has not been sent yet what a write has changed about its token: another
    /// `Max-Age`, or the signature of a newer key.
    pub(crate) owed: bool,
    /// What only few sessions have takes no room in the others.
    pub(crate) device: Option<Arc<Device>>,
    pub(crate) tokens: TokenHistory,
    pub(crate) values: Values,
    /// What tells this content from any other. None where a store did not keep it.
    pub(crate) tag: Option<Tag>,
    /// Bytes that it may keep alive and does not show, at most: those of values that a base of it
    /// had. They may be in one buffer with others that it still has.
    pub(crate) hidden: usize,
    /// What the store has of it, where the manager has opened its values.
    pub(crate) sealed_form: SealedForm<Self>,
}

/// What the metadata adds to the size of a record at most, besides the names in it.
const METADATA_SIZE: usize = 160;
const TOKEN_SIZE: usize = 80;
const DEVICE_SIZE: usize = 80;

impl Record {
    /// Makes a record without values, principal or tokens.
    ///
    /// It has version 1, and was created and last seen `now`.
    pub fn new(
        id: SessionId,
        scope: impl Into<ByteString>,
        lifetime: Lifetime,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            scope: scope.into(),
            version: 1,
            epoch: 0,
            created: now,
            last_seen: now,
            deadline: now + lifetime.absolute(),
            authenticated: None,
            principal: None,
            label: None,
            lifetime,
            csrf_seed: [0; 16],
            owed: false,
            device: None,
            tokens: TokenHistory::default(),
            values: Values::default(),
            tag: Some(Tag::draw()),
            hidden: 0,
            sealed_form: SealedForm::unknown(),
        }
    }

    /// Adds a value.
    ///
    /// ```
    /// use session_core::{Codec, Lifetime, SessionId, Timestamp};
    /// use session_core::store::Record;
    ///
    /// # let id = SessionId::from_bytes([0; 16]);
    /// # let record = Record::new(id, "__Host-id", Lifetime::default(), Timestamp::from_millis(0));
    /// let record = record.with_value("visits", Codec::Json.encode(&3).unwrap());
    /// assert_eq!(record.values().get("visits").unwrap().bytes(), b"3");
    /// ```
    #[must_use]
    pub fn with_value(mut self, key: impl Into<ByteString>, value: Value) -> Self {
        let old = std::mem::take(&mut self.values);
        self.values = old
            .iter()
            .map(|(key, value)| (key.into(), value.clone()))
            .chain([(key.into(), value)])
            .collect();
        self
    }

    /// Sets the principal, authenticated when the record was created.
    ///
    /// ```
    /// use session_core::{Lifetime, SessionId, Timestamp};
    /// use session_core::store::Record;
    ///
    /// # let id = SessionId::from_bytes([0; 16]);
    /// # let record = Record::new(id, "__Host-id", Lifetime::default(), Timestamp::from_millis(0));
    /// let record = record.with_principal("user:42");
    /// assert_eq!(record.principal(), Some("user:42"));
    /// assert_eq!(record.authenticated_at(), Some(record.created_at()));
    /// ```
    #[must_use]
    pub fn with_principal(mut self, principal: impl Into<ByteString>) -> Self {
        self.principal = Some(principal.into());
        self.authenticated = Some(self.created);
        self
    }

    /// Binds the session to a device.
    ///
    /// ```
    /// use session_core::{DeviceKey, Lifetime, SessionId, Timestamp};
    /// use session_core::store::Record;
    ///
    /// # let id = SessionId::from_bytes([0; 16]);
    /// # let record = Record::new(id, "__Host-id", Lifetime::default(), Timestamp::from_millis(0));
    /// let bound = record.with_device(DeviceKey::from_bytes([7; 64]), Timestamp::from_millis(5));
    /// assert_eq!(bound.bound_at(), Some(Timestamp::from_millis(5)));
    /// ```
    #[must_use]
    pub fn with_device(mut self, key: DeviceKey, since: Timestamp) -> Self {
        self.device = Some(Arc::new(Device { key, since }));
        self
    }

    /// Whether it is larger than `other` in what [`Limits`] bound.
    pub(crate) fn outgrows(&self, other: &Self) -> bool {
        self.limited_size() > other.limited_size() || self.values.len() > other.values.len()
    }

    /// Sets the version.
    ///
    /// ```
    /// use session_core::{Lifetime, SessionId, Timestamp};
    /// use session_core::store::Record;
    ///
    /// # let id = SessionId::from_bytes([0; 16]);
    /// # let record = Record::new(id, "__Host-id", Lifetime::default(), Timestamp::from_millis(0));
    /// assert_eq!(record.version(), 1);
    /// assert_eq!(record.with_version(7).version(), 7);
    /// ```
    #[must_use]
    pub fn with_version(mut self, version: u64) -> Self {
        self.version = version;
        self
    }

    /// Sets the tag that a store has kept alongside the record.
    ///
    /// [`Tag`] has an example.
    #[must_use]
    pub fn with_tag(mut self, tag: Option<Tag>) -> Self {
        self.tag = tag;
        self
    }

    /// The tag that tells this content from any other that the session ever had. `None` if the
    /// store of this record does not keep tags.
    pub const fn tag(&self) -> Option<Tag> {
        self.tag
    }

    /// Whether it is of the same write: the version is, and the tags do not differ.
    pub(crate) fn is_of_write(&self, version: u64, tag: Option<Tag>) -> bool {
        let differ = self.tag.zip(tag).is_some_and(|(one, other)| one != other);
        self.version == version && !differ
    }

    /// The session's id, and its key in a store on the server.
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// The name under which sessions are kept apart.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// The version: 1 when created, and one more with each update that was applied.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The epoch: 0 when created, and one more with each renewal of the token. A rotation does not
    /// change it.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// When it was created.
    pub const fn created_at(&self) -> Timestamp {
        self.created
    }

    /// When activity was last written. This is behind the last request by at most
    /// [`Lifetime::touch_interval`].
    pub const fn last_seen(&self) -> Timestamp {
        self.last_seen
    }

    /// When it expires: the earlier of its absolute expiry and the end of the idle timeout. It
    /// is expired from this instant on.
    pub fn expires_at(&self) -> Timestamp {
        self.lifetime.expiry(self.last_seen, self.deadline)
    }

    /// When it expires whatever activity there is. Only a fresh authentication moves it.
    pub const fn absolute_expiry(&self) -> Timestamp {
        self.deadline
    }

    /// Whether it has not expired at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires_at()
    }

    /// When the principal last authenticated.
    pub const fn authenticated_at(&self) -> Option<Timestamp> {
        self.authenticated
    }

    /// The principal that is signed in.
    pub fn principal(&self) -> Option<&str> {
        self.principal.as_deref()
    }

    /// The label from the application, such as the name of a device.
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// Its timeouts.
    pub const fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// Since when the session is bound to a device; `None` if it is not.
    pub fn bound_at(&self) -> Option<Timestamp> {
        self.device.as_ref().map(|device| device.since)
    }

    /// The hashes of its tokens, oldest first.
    pub(crate) fn tokens(&self) -> &[TokenHash] {
        self.tokens.as_slice()
    }

    /// The values.
    pub const fn values(&self) -> &Values {
        &self.values
    }

    /// The most bytes that [`encode`](Self::encode) can return:
    /// [`limited_size`](Self::limited_size), plus 80 bytes for each token, and 80 if the session is
    /// bound to a device.
    ///
    /// ```
    /// use session_core::{Lifetime, SessionId, Timestamp};
    /// use session_core::store::Record;
    ///
    /// # let id = SessionId::from_bytes([0; 16]);
    /// # let record = Record::new(id, "__Host-id", Lifetime::default(), Timestamp::from_millis(0));
    /// assert_eq!(record.limited_size(), 160 + "__Host-id".len());
    /// assert!(record.encode().len() <= record.size());
    /// ```
    pub fn size(&self) -> usize {
        let device = self.device.as_ref().map_or(0, |_| DEVICE_SIZE);
        self.limited_size() + self.tokens().len() * TOKEN_SIZE + device
    }

    /// The size that [`Limits::record_bytes`](crate::Limits::record_bytes) bounds: 160 bytes, plus
    /// the bytes of scope, principal and label, plus those of each entry: its key, its value and 9
    /// more. Tokens and a device do not count, so a full session can still renew its token.
    pub fn limited_size(&self) -> usize {
        METADATA_SIZE
            + self.scope.len()
            + self.principal.as_deref().map_or(0, str::len)
            + self.label.as_deref().map_or(0, str::len)
            + self.values.size()
    }

    /// Whether activity at `now` has to be written.
    pub(crate) fn touch_due(&self, now: Timestamp) -> bool {
        now.duration_since(self.last_seen) >= self.lifetime.touch_interval() || self.is_ahead(now)
    }
}

impl PartialEq for Record {
    /// The tag does not count: a record that a store has read back equals the one that was written.
    fn eq(&self, other: &Self) -> bool {
        let Self {
            id,
            scope,
            version,
            epoch,
            created,
            last_seen,
            deadline,
            authenticated,
            principal,
            label,
            lifetime,
            csrf_seed,
            owed,
            device,
            tokens,
            values,
            tag: _,
            hidden: _,
            sealed_form: _,
        } = self;
        *id == other.id
            && *scope == other.scope
            && *version == other.version
            && *epoch == other.epoch
            && *created == other.created
            && *last_seen == other.last_seen
            && *deadline == other.deadline
            && *authenticated == other.authenticated
            && *principal == other.principal
            && *label == other.label
            && *lifetime == other.lifetime
            && *csrf_seed == other.csrf_seed
            && *owed == other.owed
            && *device == other.device
            && *tokens == other.tokens
            && *values == other.values
    }
}

impl Eq for Record {}

impl Limits {
    /// The same limits, raised where a record exceeds them.
    ///
    /// This is for whoever writes a record that was within limits once: they may have been lower
    /// since, and nobody can make room in it.
    ///
    /// ```
    /// use session_core::store::Record;
    /// use session_core::{Codec, Lifetime, Limits, SessionId, Timestamp};
    ///
    /// let id = SessionId::random()?;
    /// let record = Record::new(id, "id", Lifetime::default(), Timestamp::from_millis(0))
    ///     .with_value("a", Codec::Json.encode(&1)?)
    ///     .with_value("b", Codec::Json.encode(&2)?);
    /// let limits = Limits::default().with_keys(1).with_room_for(&record);
    /// assert_eq!(limits, Limits::default().with_keys(2));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_room_for(self, record: &Record) -> Self {
        self.with_record_bytes(self.record_bytes.max(record.limited_size()))
            .with_keys(self.keys.max(record.values.len()))
    }

    pub(crate) fn check_record(&self, record: &Record) -> Result<(), LimitExceeded> {
        self.check(record.limited_size(), record.values.len())
    }
}

impl fmt::Debug for Record {
    /// Shows no value, key, principal, label, token or seed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("id", &self.id)
            .field("version", &self.version)
            .field("epoch", &self.epoch)
            .field("created", &self.created)
            .field("last_seen", &self.last_seen)
            .field("deadline", &self.deadline)
            .field("values", &self.values.len())
            .finish_non_exhaustive()
    }
}
