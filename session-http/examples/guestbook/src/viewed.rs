//! Whether anybody sees the answer to a request.
//!
//! A page that counts visits and shows a notice once must do neither for a program that asks only
//! for the head, for a browser that fetches the page ahead, or for an `<img>`.

use hyper::{HeaderMap, Method};

/// Who will see a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Viewed {
    /// A person, now: the view counts, and what is shown once is shown.
    Now,
    /// A person, perhaps later and without another request: the forms must work, and nothing else
    /// changes.
    Perhaps,
    /// Nobody: nothing changes, and no session begins.
    Never,
}

/// The headers in which browsers say that nobody has asked for the page yet. `Sec-Purpose` is the
/// standard's, and older browsers send the others.
const PURPOSES: [&str; 4] = ["sec-purpose", "purpose", "x-purpose", "x-moz"];
const AHEAD: [&[u8]; 3] = [b"prefetch", b"prerender", b"preview"];

/// What the browser will do with the answer: `document` for a page, `image` for an `<img>`.
const DESTINATION: &str = "sec-fetch-dest";

impl Viewed {
    pub(crate) fn by(method: &Method, headers: &HeaderMap) -> Self {
        let values = PURPOSES.iter().flat_map(|name| headers.get_all(*name));
        let mut words =
            values.flat_map(|value| value.as_bytes().split(|byte| b";, ".contains(byte)));
        let ahead = words.any(|word| AHEAD.iter().any(|ahead| word.eq_ignore_ascii_case(ahead)));
        // Programs that are not browsers do not send this header.
        let page = headers
            .get(DESTINATION)
            .is_none_or(|value| value == "document");
        match (method == Method::GET, ahead, page) {
            (true, true, _) => Self::Perhaps,
            (true, false, true) => Self::Now,
            _ => Self::Never,
        }
    }
}
