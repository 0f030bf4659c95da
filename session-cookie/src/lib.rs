//! Sessions without a store on the server: the whole record sealed into the client's cookie.
//!
//! [`CookieStore`] is a [`SessionStore`](session_core::SessionStore) that keeps nothing. Its key is
//! the record itself, sealed, so each write hands back a new key for the client to hold.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use session_cookie::CookieStore;
//! use session_core::{Codec, Key, KeyRing, Lifetime, Record, SessionId, SessionStore, Timestamp};
//! use std::sync::Arc;
//!
//! // A service reads its keys: KeyRing::from_env("SESSION_KEYS")
//! let store = CookieStore::signed(KeyRing::new([1; 32]).unwrap());
//!
//! let now = Timestamp::from_millis(1_000);
//! let record = Record::new(SessionId::random().unwrap(), "__Host-id", Lifetime::default(), now)
//!     .with_value("visits", Codec::Json.encode(&3).unwrap());
//! let key = store.create(&Arc::new(record.clone()), now).await.unwrap();
//! assert_eq!(*store.load(&key, now).await.unwrap().unwrap(), record);
//!
//! // Whoever lacks the keys can make nothing that opens.
//! let forged = Key::Sealed { scope: "__Host-id".into(), token: "AQEBAQEB".into() };
//! assert!(store.load(&forged, now).await.unwrap().is_none());
//! # });
//! ```
//!
//! # When to choose it
//!
//! When sessions are small, there is to be no database behind them, and all of the table below is
//! acceptable. Any number of nodes with the same [`KeyRing`](session_core::KeyRing) serve the same
//! sessions, and nothing else has to be up. Otherwise choose a store on the server.
//!
//! | a store on the server | here |
//! |---|---|
//! | What was destroyed is gone at once. | The client is told to forget its cookie. A copy of it opens until it expires: choose short lifetimes. |
//! | A write that was under way does not bring back a destroyed session. | It does, if its response reaches the client last. |
//! | Parallel requests that write different keys all survive. | Each answers with the whole session; the response that arrives last wins. |
//! | What was overwritten is overwritten. | Who keeps an old cookie can go back to it: nothing here may count down, such as a voucher or a number of attempts. |
//! | Renewal at sign-in retires every former token. | The client gets a new one, the former ones open until they expire. |
//! | Of two cookies that open different sessions, a sign-in ends both. | Both still open, and such a request is anonymous until one cookie is gone. A neighbour can plant one from another host or path; not under a name with the prefix `__Host-`, which is the default. |
//! | Tokens rotate, and a stolen one shows when it is used again. | `build` refuses a rotation; theft does not show. |
//! | Sessions of a principal can be listed, limited, and ended one by one or everywhere. | To list or end them is [`StoreError::Unsupported`](session_core::StoreError::Unsupported), and `build` refuses a limit. A [`CutOff`] that the application keeps ends them all: "nothing issued before". |
//! | The client sees a random token. | A signed session can be read by its client, though not changed; an encrypted one shows its size and its times. |
//! | A session may hold a megabyte. | It has to fit in 4,096 characters, or as many times that as there are [chunks](CookieStore::with_chunks); every request carries it. |
//!
//! In an emergency, taking a key out of the ring ends every session that it sealed.
//!
//! # Signed or encrypted
//!
//! [`CookieStore::signed`] is the default choice: it authenticates, is fast, and a cookie can be
//! read when something has to be found out. [`CookieStore::encrypted`] is for values that the
//! client must not read. To move a site from one to the other, keep opening the former with
//! [`also_open`](CookieStore::also_open) until the last of its sessions has expired. Without it,
//! only the chosen algorithm is opened, and what fails to open is tried in no other way.
//!
//! # Changing keys
//!
//! Give every node the new key behind the current one, so that all of them open what it seals; then
//! put it in front of the ring ([`KeyRing`](session_core::KeyRing)). What an older key sealed still
//! opens, and is sealed by the first key with the next write, which for a session in use is at most
//! one touch interval away. Once the longest absolute lifetime has passed, nothing is left of the
//! old key and it can go.
//!
//! # The format
//!
//! A sealed record is the following, as base64url without padding, its spare bits zero: one sealed
//! record has one spelling. Numbers are big-endian.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | version of the format, 1 |
//! | 1 | algorithm: 1 is HMAC-SHA-256, 2 is XChaCha20-Poly1305 |
//! | 4 | id of the key in the ring: a hint, since two keys may share one |
//! | 8 | issue time, in milliseconds since the Unix epoch |
//! | 8 | expiry, likewise; it lets nobody in from then on |
//! | 24 | nonce, with algorithm 2 only: random, new for each |
//! | .. | the record, as [`Record::encode`](session_core::Record::encode) writes it; with algorithm 2 encrypted |
//! | 32 or 16 | the MAC of algorithm 1, or the tag of algorithm 2 |
//!
//! What a MAC is taken over is the context and everything before the MAC; the associated data of
//! algorithm 2 is the context and everything before the record. The context is:
//!
//! | bytes | content |
//! |---|---|
//! | 18 | `session-cookie v1` and a zero byte |
//! | 11 or 12 | the purpose, `sealed-mac` or `sealed-aead`, and a zero byte |
//! | 8 | length of the scope |
//! | .. | the scope |
//!
//! The keys are those that [`KeyRing::derive`](session_core::KeyRing::derive) makes for the purpose
//! and the scope. So nothing opens in another scope, with another algorithm, in another version or
//! with any bit changed. MACs and tags are compared in constant time. The golden files in
//! `tests/golden` hold the format still.

mod cut_off;
mod scope;
mod seal;
mod store;

pub use cut_off::CutOff;
pub use seal::Sealing;
pub use store::CookieStore;

#[cfg(test)]
mod golden;
