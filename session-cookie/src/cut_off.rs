//! What ends sessions that nobody can delete.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use session_core::Timestamp;
use session_core::store::{Record, StoreError};

/// Says from which instant on the sessions of a principal are valid: "nothing issued before".
///
/// The application keeps that instant in a place of its own, such as a column next to the password.
/// To sign a principal out everywhere, set that instant to the present.
///
/// The store asks when it opens a sealed session with a principal. It asks again before it seals
/// that session again, so that a request under way cannot carry a session past the cut. When it
/// seals a new session for the first time, it does not ask. What counts is the time of the sign-in,
/// which activity does not move. A token that was cut off is reported as an unknown one
/// ([`Refused`](session_core::EventKind::Refused)).
///
/// The session of the request that sets the instant is cut off too: call
/// [`sign_in`](session_core::Session::sign_in) again in that request to keep it. Take the instant
/// from the application's clock and keep its milliseconds. If it is rounded down to seconds,
/// sessions that signed in within that second survive.
///
/// Any function from a principal to an instant is a cut-off. Implement the trait if the answer
/// takes a query.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use session_cookie::CookieStore;
/// use session_core::{Clock, Directive, KeyRing, Outcome, SessionManager, SystemClock, Timestamp};
/// use std::sync::{Arc, Mutex};
///
/// let since = Arc::new(Mutex::new(None));
/// let lookup = Arc::clone(&since);
/// let store = CookieStore::signed(KeyRing::generate().unwrap())
///     .with_cut_off(move |_: &str| -> Option<Timestamp> { *lookup.lock().unwrap() });
/// let manager = SessionManager::new(store);
///
/// let session = manager.begin(&[]).await?;
/// session.sign_in("user:42")?;
/// let Directive::Hold(token) = session.finish(Outcome::Success).await? else { unreachable!() };
/// assert!(!manager.begin(&[token.as_str()]).await?.is_new());
///
/// let later = SystemClock.now() + std::time::Duration::from_millis(1);
/// *since.lock().unwrap() = Some(later); // signed out everywhere
/// assert!(manager.begin(&[token.as_str()]).await?.is_new());
/// # Ok::<_, session_core::SessionError>(()) }).unwrap();
/// ```
#[async_trait]
pub trait CutOff: Send + Sync + 'static {
    /// The instant from which on the sessions of this principal are valid; `None` if all of them
    /// are.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if the instant is not available now. The request then fails and
    /// lets nobody in.
    async fn not_before(&self, principal: &str) -> Result<Option<Timestamp>, StoreError>;
}

#[async_trait]
impl<F: Fn(&str) -> Option<Timestamp> + Send + Sync + 'static> CutOff for F {
    async fn not_before(&self, principal: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self(principal))
    }
}

/// The cut-off of a store, if it has one.
#[derive(Clone, Default)]
pub(crate) struct Cut(pub(crate) Option<Arc<dyn CutOff>>);

impl Cut {
    /// Whether the session of this record still counts.
    pub(crate) async fn passes(&self, record: &Record) -> Result<bool, StoreError> {
        let (Some(cut_off), Some(principal)) = (&self.0, record.principal()) else {
            return Ok(true);
        };
        let since = cut_off.not_before(principal).await?;
        let issued = record.authenticated_at().unwrap_or(record.created_at());
        Ok(since.is_none_or(|since| issued >= since))
    }
}

impl fmt::Debug for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "set" } else { "none" })
    }
}
