//! Cookies that browsers would drop are refused when the layer is built (S24 to S28, S32).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::needless_pass_by_value,
    reason = "configurations are made where they are checked"
)]

mod common;

use std::time::Duration;

use session_core::{Lifetime, MemoryStore};
use session_http::{CookieConfig, HeaderConfig, SameSite, SessionLayer};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn refusal(cookie: CookieConfig) -> Option<String> {
    let layer = SessionLayer::builder(MemoryStore::new())
        .cookie(cookie)
        .build();
    layer.err().map(|error| error.to_string())
}

fn named(name: &str) -> CookieConfig {
    CookieConfig::new(name)
}

#[track_caller]
fn refused(cookie: CookieConfig, because: &str) {
    let text = refusal(cookie.clone());
    assert!(
        text.as_ref().is_some_and(|text| text.contains(because)),
        "{cookie:?}: {text:?}"
    );
}

#[track_caller]
fn accepted(cookie: CookieConfig) {
    assert_eq!(refusal(cookie.clone()), None, "{cookie:?}");
}

#[test]
fn the_default() {
    let default = CookieConfig::default();
    accepted(default.clone());
    assert_eq!(default, named("__Host-id"));
    assert_eq!(default.name(), "__Host-id");
}

#[test]
fn names() {
    for name in [
        "", " ", "a b", "a=b", "a;b", "a,b", "a\"b", "\"a\"", "a(b", "a/b", "é", "a\0", "a\r\nb",
        "a\t",
    ] {
        refused(named(name), "name");
    }
    refused(named(&"a".repeat(257)), "256");
    for name in ["a", "session", "SID", "a.b_c-d!#$%&'*+^`|~", "0"] {
        accepted(named(name));
    }
    accepted(named(&"a".repeat(256)));
}

#[test]
fn prefixes_demand_secure() {
    for name in [
        "__Host-id",
        "__Secure-id",
        "__Http-id",
        "__Host-Http-id",
        "__host-id",
        "__SECURE-id",
        "__hTTP-id",
        "__Host-",
        "__Secure-",
    ] {
        refused(
            named(name).secure(false).same_site(SameSite::Lax),
            "`Secure`",
        );
        accepted(named(name));
    }
    for name in [
        "id",
        "_Host-id",
        "__Hostid",
        "x__Host-id",
        "__Secureid",
        "Host-id",
    ] {
        accepted(named(name).secure(false));
    }
}

#[test]
fn the_prefix_host_demands_the_path_and_no_domain() {
    for name in ["__Host-id", "__host-ID", "__Host-Http-id", "__HOST-http-id"] {
        refused(named(name).path("/shop"), "Path=/");
        refused(named(name).domain("example.com"), "Domain");
    }
    for name in ["__Secure-id", "__Http-id", "id"] {
        accepted(named(name).path("/shop").domain("example.com"));
    }
}

#[test]
fn the_prefix_http_demands_http_only() {
    for name in ["__Http-id", "__Host-Http-id", "__http-id", "__HOST-HTTP-id"] {
        refused(named(name).http_only(false), "HttpOnly");
        accepted(named(name));
    }
    for name in ["__Host-id", "__Secure-id", "__Host-Https-id", "id"] {
        accepted(named(name).http_only(false));
    }
}

#[test]
fn same_site_none_and_partitioned_demand_secure() {
    refused(
        named("id").secure(false).same_site(SameSite::None),
        "SameSite=None",
    );
    refused(named("id").secure(false).partitioned(true), "Partitioned");
    accepted(named("id").same_site(SameSite::None));
    accepted(named("id").partitioned(true));
    accepted(
        named("__Host-id")
            .same_site(SameSite::None)
            .partitioned(true),
    );
    for same_site in [SameSite::Lax, SameSite::Strict] {
        accepted(named("id").secure(false).same_site(same_site));
    }
}

#[test]
fn paths_and_domains() {
    for path in ["", "shop", " /", "/a b", "/a;b", "/a\nb", "/é", "/a\0"] {
        refused(named("id").path(path), "path");
    }
    for domain in [
        "",
        " ",
        "a b",
        "a;b",
        "a\r\nSet-Cookie: x=y",
        "é.example",
        "\u{7f}",
    ] {
        refused(named("id").domain(domain), "domain");
    }
    // 1,024 octets is what an attribute may have (S28).
    accepted(named("id").path(format!("/{}", "a".repeat(1_023))));
    refused(named("id").path(format!("/{}", "a".repeat(1_024))), "path");
    for path in ["/", "/shop", "/shop/", "/a%20b", "/a,b"] {
        accepted(named("id").path(path));
    }
}

/// A browser compares the domain with the host alone (RFC 6265, 5.1.3): what is no host matches
/// none.
#[test]
fn domains_that_match_no_host() {
    let label = "a".repeat(64);
    let long = ["a"; 128].join(".");
    for (domain, because) in [
        ("example.com:8080", "port"),
        ("example.com:", "port"),
        ("localhost:3000", "port"),
        ("127.0.0.1:80", "port"),
        ("https://example.com", "scheme"),
        ("//example.com", "path"),
        ("example.com/", "path"),
        ("example.com/shop", "path"),
        ("*.example.com", "wildcard"),
        ("*", "wildcard"),
        (".*.example.com", "wildcard"),
        ("example.com.", "dot"),
        (".", "dot"),
        ("..", "dot"),
        ("..example.com", "dot"),
        ("example..com", "dot"),
        (".example.com.", "dot"),
        ("b\u{fc}cher.example", "punycode"),
        ("\u{ff45}xample.com", "punycode"),
        ("example\u{3002}com", "punycode"),
        ("[::1]", "IPv6"),
        ("::1", "IPv6"),
        ("2001:db8::1", "IPv6"),
        ("256.0.0.1", "IPv4"),
        ("1.2.3", "IPv4"),
        ("1.2.3.4.5", "IPv4"),
        ("127.0.0.01", "IPv4"),
        ("0x7f.0.0.1", "IPv4"),
        ("example.0x1", "IPv4"),
        ("1", "IPv4"),
        ("example.com,example.org", "character"),
        ("user@example.com", "character"),
        ("exam%70le.com", "character"),
        ("example.com?a", "character"),
        ("example com", "character"),
        ("example.com ", "character"),
        ("exa\tmple.com", "character"),
        ("\"example.com\"", "character"),
        ("-example.com", "hyphen"),
        ("example-.com", "hyphen"),
        ("shop.-.example.com", "hyphen"),
        (&label, "63"),
        (&format!("{label}.example.com"), "63"),
        (&long, "253"),
    ] {
        refused(named("id").domain(domain), because);
        refused(named("id").domain(domain), "domain");
    }
}

#[test]
fn domains_that_match_a_host() {
    let longest = format!("{}.a", ["a"; 126].join("."));
    assert_eq!(longest.len(), 253);
    for domain in [
        "example.com",
        "EXAMPLE.com",
        "shop.example.com",
        "xn--bcher-kva.example",
        "a-b.example.com",
        "a--b.example",
        "my_shop.example.com",
        "_shop.example.com",
        "3com.example",
        "123.example.com",
        "example.1st",
        // That very host, and no other: hosts of one label, and addresses.
        "localhost",
        "intranet",
        "127.0.0.1",
        // RFC 6265, 5.2.3: browsers ignore the dot in front.
        ".example.com",
        &"a".repeat(63),
        &longest,
    ] {
        accepted(named("id").domain(domain));
    }
}

/// A browser compares the path with that of its request, which it has normalised.
#[test]
fn paths_that_match_no_request() {
    for path in [
        "/shop?a=b",
        "/shop?",
        "/shop#top",
        "/a/../b",
        "/..",
        "/a/./b",
        "/.",
        "/%2e%2E/a",
        "/a/.%2e",
        "/%2E/",
        "/a\\b",
        "/<id>",
        "/{id}",
        "/a\"b",
        "/a`b",
    ] {
        refused(named("id").path(path), "path");
    }
    for path in [
        "/.well-known",
        "/a..b/",
        "/...",
        "/a.b",
        "/a%2fb",
        "/a//b",
        "/~ann",
        "/a:b@c",
        "/a%2e",
    ] {
        accepted(named("id").path(path));
    }
}

#[tokio::test]
async fn a_domain_is_sent_without_its_dot() {
    use common::{layer_with, plain, set_cookies, visit};
    let cookie = named("id").domain(".example.com");
    let (layer, _, _) = layer_with(|builder| builder.cookie(cookie));
    let response = visit(&layer, plain(), |session| {
        session.insert("colour", "blue").unwrap();
    })
    .await;
    assert!(set_cookies(&response)[0].contains("; Domain=example.com"));
}

#[test]
fn browsers_keep_nothing_longer_than_400_days() {
    let build = |lifetime: Lifetime, header: bool| {
        let builder = SessionLayer::builder(MemoryStore::new()).lifetime(lifetime);
        let builder = if header {
            builder.header(HeaderConfig::default())
        } else {
            builder
        };
        builder.build().err().map(|error| error.to_string())
    };
    let of = |days: u32| Lifetime::new(DAY, DAY * days).unwrap();
    assert_eq!(build(of(400).persistent(), false), None);
    assert!(
        build(of(401).persistent(), false)
            .unwrap()
            .contains("400 days")
    );
    // Where the browser is not asked to keep it, there is nothing to refuse.
    assert_eq!(build(of(401), false), None);
    assert_eq!(build(of(401).persistent(), true), None);
}

#[tokio::test]
async fn a_longer_lifetime_of_one_session_is_cut_to_400_days() {
    let layer = SessionLayer::new(MemoryStore::new());
    let service = layer.layer(tower::service_fn(async |request: http::Request<()>| {
        let session = session_http::SessionExt::session(&request).await?;
        let years = Lifetime::new(DAY * 3_650, DAY * 3_650).map_err(|error| {
            session_core::SessionError::from(session_core::store::StoreError::unavailable(error))
        })?;
        session.set_lifetime(years.persistent());
        session.insert("kept", true)?;
        Ok::<_, session_http::Error>(http::Response::new(()))
    }));
    let response = tower::ServiceExt::oneshot(service, http::Request::new(()))
        .await
        .unwrap();
    let cookie = response.headers()["set-cookie"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        cookie.ends_with("; Max-Age=34560000"),
        "{:?}",
        cookie.split("; ").skip(1).collect::<Vec<_>>()
    );
}

/// A persistent session in its last second.
#[tokio::test]
async fn the_cookie_of_a_live_session_is_never_removed_by_its_age() {
    use common::{holding, layer_with, plain, set_cookies, token, visit};
    let ten = Duration::from_secs(10);
    for (left, expected) in [(1, 1), (999, 1), (1_000, 1), (1_001, 2), (9_999, 10)] {
        let lifetime = Lifetime::new(ten, ten).unwrap().persistent();
        let (layer, _, clock) = layer_with(|builder| builder.lifetime(lifetime));
        let response = visit(&layer, plain(), |session| {
            session.insert("colour", "blue").unwrap();
        })
        .await;
        assert!(set_cookies(&response)[0].ends_with("; Max-Age=10"));
        clock.advance(ten - Duration::from_millis(left));
        let response = visit(&layer, holding(&token(&response)), |session| {
            session.renew().unwrap();
        })
        .await;
        let age = format!("; Max-Age={expected}");
        assert!(set_cookies(&response)[0].ends_with(&age), "{left} ms left");
    }
}
