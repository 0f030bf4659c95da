//! A browser's cookies, and what a handler does to a sealed session.

use std::collections::BTreeMap;
use std::fmt;

use http::{Request, Response};
use session_core::{Session, SessionError};
use session_http::{SessionExt, SessionLayer};

use super::{BoxError, run, set_cookies, with_header};

const LARGEST: usize = 4_096;

/// A browser: the cookies it holds.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Jar(pub(crate) BTreeMap<String, String>);

impl Jar {
    /// One request; what the handler returns.
    pub(crate) async fn visit<T>(
        &mut self,
        layer: &SessionLayer,
        handler: impl Fn(&Session) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        let pairs: Vec<_> = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let outcome = std::sync::Mutex::new(None);
        let (inner, handler) = (&outcome, &handler);
        let request = with_header("cookie", pairs.join("; "));
        let response = run(layer, request, move |request: Request<()>| async move {
            let result = handler(&request.session().await?);
            *inner.lock().unwrap() = Some(result);
            Ok::<_, BoxError>(Response::new(()))
        });
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        for cookie in set_cookies(&response) {
            let (pair, attributes) = cookie.split_once("; ").unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            assert!(
                name.len() + value.len() <= LARGEST,
                "{}",
                name.len() + value.len()
            );
            assert!(attributes.contains("Secure") && attributes.contains("Path=/"));
            if attributes.contains("Max-Age=0") {
                assert!(
                    self.0.remove(name).is_some(),
                    "{name} was not there to be removed"
                );
            } else {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
        outcome.into_inner().unwrap().unwrap()
    }

    pub(crate) async fn write(
        &mut self,
        layer: &SessionLayer,
        bytes: usize,
    ) -> Result<(), SessionError> {
        self.visit(layer, |session| session.insert("text", text(bytes)))
            .await
    }

    /// How long the text is that the handler finds.
    pub(crate) async fn read(&mut self, layer: &SessionLayer) -> Option<usize> {
        let found = self
            .visit(layer, |session| session.get::<String>("text"))
            .await
            .unwrap();
        found
            .inspect(|found| assert_eq!(*found, text(found.len())))
            .map(|found| found.len())
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// Octets of name and value of each cookie.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        self.0
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .collect()
    }
}

/// A text in which every position counts, and that differs with its length.
pub(crate) fn text(bytes: usize) -> String {
    let letter = |at: usize| char::from(b'a' + ((at * 7 + at / 1_000 + bytes) % 26) as u8);
    (0..bytes).map(letter).collect()
}

/// Shows names only: values are long.
impl fmt::Debug for Jar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Jar").field(&self.names()).finish()
    }
}
