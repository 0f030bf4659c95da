//! Keys: one ring, a key for each use.

use std::env::VarError;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

const SHORTEST: usize = 32;

/// Padding is optional. The caller tries both alphabets.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Secret keys, newest first. The first one signs and seals; all of them verify and open.
///
/// To rotate, put a new key behind the current one on every node. When all have it, put it in
/// front, and keep the old ones until everything that they signed has expired. Clones share the
/// keys. The keys are wiped when the last clone is dropped, and `Debug` shows nothing of them.
///
/// Each use has its own key, which HKDF-SHA-256 (RFC 5869) derives from the purpose and the scope.
/// So one ring can serve tokens, cookies and several scopes.
///
/// ```
/// use session_core::KeyRing;
///
/// let ring = KeyRing::new([1; 32]).unwrap().with_older([2; 32]).unwrap();
/// assert_eq!(ring.len(), 2);
/// assert_eq!(format!("{ring:?}"), "KeyRing { keys: 2, .. }");
/// assert!(KeyRing::new(b"too short").is_err());
///
/// // What SESSION_KEYS holds: base64, newest first, separated by commas.
/// let text = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=,
///     AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
/// assert_eq!(KeyRing::from_base64(text).unwrap().len(), 2);
/// ```
#[derive(Clone)]
pub struct KeyRing {
    keys: Arc<Vec<Zeroizing<Vec<u8>>>>,
}

impl KeyRing {
    /// A ring of one key. The key must have at least 32 bytes, and should come from a random
    /// source.
    ///
    /// # Errors
    ///
    /// [`KeyError::TooShort`].
    pub fn new(key: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Self::from_keys([key])
    }

    /// A ring of these keys, newest first.
    ///
    /// ```
    /// use session_core::{KeyError, KeyRing};
    ///
    /// assert_eq!(KeyRing::from_keys([[1; 32], [2; 32]]).unwrap().len(), 2);
    /// let short = KeyRing::from_keys([[1; 16]]);
    /// assert!(matches!(short, Err(KeyError::TooShort { position: 1, bytes: 16, .. })));
    /// assert!(matches!(KeyRing::from_keys::<[[u8; 32]; 0]>([]), Err(KeyError::Empty)));
    /// ```
    ///
    /// # Errors
    ///
    /// [`KeyError::TooShort`], or [`KeyError::Empty`] if there is no key.
    pub fn from_keys<I>(keys: I) -> Result<Self, KeyError>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        let keys = keys
            .into_iter()
            .map(|key| Zeroizing::new(key.as_ref().to_vec()))
            .collect::<Vec<_>>();
        if keys.is_empty() {
            return Err(KeyError::Empty);
        }
        match keys.iter().position(|key| key.len() < SHORTEST) {
            Some(at) => Err(KeyError::TooShort {
                position: at + 1,
                bytes: keys[at].len(),
            }),
            None => Ok(Self {
                keys: Arc::new(keys),
            }),
        }
    }

    /// The same ring with an older key added at the end. That key only verifies and opens.
    ///
    /// ```
    /// use session_core::KeyRing;
    /// use session_core::store::Purpose;
    ///
    /// let before = KeyRing::new([1; 32]).unwrap().derive(Purpose::Token, "__Host-id");
    /// let ring = KeyRing::new([2; 32]).unwrap().with_older([1; 32]).unwrap();
    /// let after = ring.derive(Purpose::Token, "__Host-id");
    /// assert_ne!(after[0].bytes(), before[0].bytes()); // what signs
    /// assert_eq!(after[1].bytes(), before[0].bytes()); // what still verifies
    /// ```
    ///
    /// # Errors
    ///
    /// [`KeyError::TooShort`].
    pub fn with_older(self, key: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let mut keys: Vec<&[u8]> = self.keys.iter().map(|key| key.as_slice()).collect();
        keys.push(key.as_ref());
        Self::from_keys(keys)
    }

    /// A ring of one new key from the operating system's random source.
    ///
    /// What it signs or seals is worthless after the process has ended.
    ///
    /// ```
    /// use session_core::KeyRing;
    /// use session_core::store::Purpose;
    ///
    /// let [one, other] = [(); 2].map(|()| KeyRing::generate().unwrap());
    /// assert_eq!(one.len(), 1);
    /// let [one, other] = [one, other].map(|ring| ring.derive(Purpose::Token, "id"));
    /// assert_ne!(one[0].bytes(), other[0].bytes());
    /// ```
    ///
    /// # Errors
    ///
    /// [`KeyError::Random`].
    pub fn generate() -> Result<Self, KeyError> {
        let mut key = Zeroizing::new([0; SHORTEST]);
        getrandom::fill(key.as_mut()).map_err(|_| KeyError::Random)?;
        Self::new(key.as_ref())
    }

    /// Keys in base64 (standard or URL-safe, padded or not), newest first, separated by commas or
    /// white space.
    ///
    /// ```
    /// use session_core::{KeyError, KeyRing};
    ///
    /// let ring = KeyRing::from_base64("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=").unwrap();
    /// assert_eq!(ring.len(), 1);
    /// let refused = KeyRing::from_base64("a secret");
    /// assert!(matches!(refused, Err(KeyError::NotBase64 { position: 1, .. })));
    /// assert!(matches!(KeyRing::from_base64(""), Err(KeyError::Empty)));
    /// ```
    ///
    /// # Errors
    ///
    /// [`KeyError::NotBase64`], [`KeyError::TooShort`] or [`KeyError::Empty`].
    pub fn from_base64(list: &str) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        let words = list.split(|c: char| c == ',' || c.is_whitespace());
        for (at, word) in words.filter(|word| !word.is_empty()).enumerate() {
            let key = STANDARD
                .decode(word)
                .or_else(|_| URL_SAFE.decode(word))
                .map_err(|_| KeyError::NotBase64 { position: at + 1 })?;
            keys.push(Zeroizing::new(key));
        }
        Self::from_keys(keys.iter().map(|key| key.as_slice()))
    }

    /// The keys in this environment variable, as [`from_base64`](Self::from_base64) reads them.
    ///
    /// ```
    /// use session_core::{KeyError, KeyRing};
    ///
    /// let refused = KeyRing::from_env("SESSION_KEYS_OF_NOBODY").unwrap_err();
    /// assert!(matches!(refused, KeyError::NoVariable(name) if name == "SESSION_KEYS_OF_NOBODY"));
    /// ```
    ///
    /// # Errors
    ///
    /// [`KeyError::NoVariable`] if it is not set, otherwise the same as `from_base64`. A value that
    /// is not Unicode counts as one that is not base64.
    pub fn from_env(variable: &str) -> Result<Self, KeyError> {
        let list = std::env::var(variable).map_err(|error| match error {
            VarError::NotPresent => KeyError::NoVariable(variable.to_owned()),
            VarError::NotUnicode(_) => KeyError::NotBase64 { position: 1 },
        })?;
        Self::from_base64(&Zeroizing::new(list))
    }

    /// The keys in this file, as [`from_base64`](Self::from_base64) reads them.
    ///
    /// ```
    /// use session_core::{KeyError, KeyRing};
    ///
    /// # let path = std::env::temp_dir().join(format!("session-core-keys-{}", std::process::id()));
    /// std::fs::write(&path, "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n").unwrap();
    /// assert_eq!(KeyRing::from_file(&path).unwrap().len(), 1);
    /// # std::fs::remove_file(&path).unwrap();
    /// assert!(matches!(KeyRing::from_file("no such file"), Err(KeyError::File(_))));
    /// ```
    ///
    /// # Errors
    ///
    /// [`KeyError::File`] if it cannot be read, otherwise the same as `from_base64`.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let list =
            std::fs::read_to_string(path).map_err(|error| KeyError::File(Arc::new(error)))?;
        Self::from_base64(&Zeroizing::new(list))
    }

    /// How many keys there are; at least one.
    #[allow(clippy::len_without_is_empty, reason = "a ring is never empty")]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The keys for one purpose in one scope, newest first.
    ///
    /// ```
    /// use session_core::KeyRing;
    /// use session_core::store::Purpose;
    ///
    /// let ring = KeyRing::new([1; 32]).unwrap();
    /// let here = ring.derive(Purpose::Token, "__Host-id");
    /// let there = ring.derive(Purpose::Token, "__Host-admin");
    /// assert_ne!(here[0].bytes(), there[0].bytes());
    /// ```
    pub fn derive(&self, purpose: Purpose, scope: &str) -> Vec<DerivedKey> {
        self.keys
            .iter()
            .map(|key| {
                let hkdf = Hkdf::<Sha256>::new(None, key);
                let mut id = [0; 4];
                expand(&hkdf, &[b"id"], &mut id);
                let mut bytes = Zeroizing::new([0; 32]);
                expand(&hkdf, &[purpose.label(), scope.as_bytes()], bytes.as_mut());
                DerivedKey { id, bytes }
            })
            .collect()
    }
}

/// HKDF-Expand over the parts, separated by zero bytes. It cannot fail, because the outputs are far
/// below HKDF's limit of 8,160 bytes.
fn expand(hkdf: &Hkdf<Sha256>, parts: &[&[u8]], output: &mut [u8]) {
    let mut info = b"session-core v1".to_vec();
    for part in parts {
        info.push(0);
        info.extend_from_slice(part);
    }
    let expanded = hkdf.expand(&info, output);
    debug_assert!(expanded.is_ok());
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

/// What a derived key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// The MAC of a token.
    Token,
    /// The MAC of a sealed session.
    SealedMac,
    /// The encryption of a sealed session.
    SealedAead,
    /// CSRF tokens.
    Csrf,
    /// Proofs of a device.
    DeviceProof,
    /// What a device signs.
    DeviceChallenge,
    /// The encryption of single values in a store on the server.
    ValueAead,
}

impl Purpose {
    /// The purpose's name in the derivation, which never changes.
    pub const fn label(self) -> &'static [u8] {
        match self {
            Self::Token => b"token",
            Self::SealedMac => b"sealed-mac",
            Self::SealedAead => b"sealed-aead",
            Self::Csrf => b"csrf",
            Self::DeviceProof => b"device-proof",
            Self::DeviceChallenge => b"device-challenge",
            Self::ValueAead => b"value-aead",
        }
    }
}

/// A key for one purpose in one scope; made by [`KeyRing::derive`].
pub struct DerivedKey {
    id: [u8; 4],
    bytes: Zeroizing<[u8; 32]>,
}

impl DerivedKey {
    /// The id of the key that this one is derived from. It is the same for every purpose and scope,
    /// and not secret.
    pub const fn id(&self) -> [u8; 4] {
        self.id
    }

    /// The derived key.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

impl fmt::Debug for DerivedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DerivedKey").finish_non_exhaustive()
    }
}

/// Why a key ring could not be made. Positions count from 1; nothing of a key is shown.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A key is shorter than 32 bytes.
    #[error(
        "key {position} has {bytes} bytes, at least 32 are needed; make one with `openssl rand \
         -base64 32`"
    )]
    #[non_exhaustive]
    TooShort {
        /// The position of the key, from 1.
        position: usize,
        /// The length of the key in bytes.
        bytes: usize,
    },
    /// A key is not base64.
    #[error("key {position} is not base64; make one with `openssl rand -base64 32`")]
    #[non_exhaustive]
    NotBase64 {
        /// The position of the key, from 1.
        position: usize,
    },
    /// There is no key.
    #[error("there is no key; make one with `openssl rand -base64 32`")]
    Empty,
    /// The environment variable is not set.
    #[error(
        "the environment variable {0} is not set; set it to base64 keys, newest first, separated \
         by commas"
    )]
    NoVariable(String),
    /// The key file could not be read.
    #[error("the key file cannot be read; check its path and who may read it")]
    File(#[source] Arc<std::io::Error>),
    /// The operating system's random source failed.
    #[error(
        "the operating system's random source failed; try again, and look at the machine if it \
         stays so"
    )]
    Random,
}
