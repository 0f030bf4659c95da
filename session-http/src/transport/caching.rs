//! No cache keeps a response that carries a token.
//!
//! Headers for shared caches are removed from such a response, and not set to `no-store`. A cache
//! that finds no header of its own obeys `Cache-Control` (RFC 9213, 2.2), and some of these headers
//! know no such value.

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

/// How the names of headers end that speak to one kind of cache (RFC 9213, 2), which prefers them
/// to `Cache-Control`: `CDN-Cache-Control`, `Cloudflare-CDN-Cache-Control` and their like.
const TARGETED: &str = "-cache-control";

/// Further headers that some caches prefer to `Cache-Control`: Varnish, Squid, Fastly; Akamai;
/// nginx; and caches of HTTP/1.0, which know no other.
const OTHERS: [&str; 4] = [
    "surrogate-control",
    "edge-control",
    "x-accel-expires",
    "expires",
];

/// Says that no cache may keep this response, and leaves no header that says otherwise. `Pragma`
/// may stay: all that it can say is `no-cache`.
pub(super) fn forbid_storing(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let overrides =
        |name: &&HeaderName| name.as_str().ends_with(TARGETED) || OTHERS.contains(&name.as_str());
    let overriding: SmallVec<[HeaderName; 2]> = headers.keys().filter(overrides).cloned().collect();
    for name in overriding {
        headers.remove(name);
    }
}
