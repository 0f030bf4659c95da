//! What a person calls the program that sent a request.

use hyper::HeaderMap;
use hyper::header::USER_AGENT;

/// The first match wins, since the words further down also occur in the headers of other browsers.
const BROWSERS: [(&str, &str); 6] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];
const SYSTEMS: [(&str, &str); 7] = [
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
];
const LONGEST: usize = 40;

/// A name for a session, such as "Firefox on Linux" or "curl", from a header that may say anything.
pub(crate) fn name(headers: &HeaderMap) -> String {
    let agent = headers
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    let agent = agent.unwrap_or_default();
    let find = |known: &[(&str, &'static str)]| {
        let found = known.iter().find(|(part, _)| agent.contains(part));
        found.map(|(_, name)| *name)
    };
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, _) => {
            let product = agent.split(['/', ' ']).next().unwrap_or_default();
            let product: String = product.chars().take(LONGEST).collect();
            match product.is_empty() {
                true => "Unknown program".to_owned(),
                false => product,
            }
        }
    }
}
