//! Where a cookie is sent: domains that can match a host, and paths that can match a request.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Octets of one attribute that a browser takes (RFC 6265bis, 5.6).
const LARGEST_ATTRIBUTE: usize = 1024;
/// Octets of a name in the DNS, and of one label of it (RFC 1035, 2.3.4).
const LARGEST_DOMAIN: usize = 253;
const LARGEST_LABEL: usize = 63;

/// The text of the first fault that was found.
pub(super) fn first_of<const N: usize>(faults: [(bool, &'static str); N]) -> Option<&'static str> {
    let found = faults.into_iter().find(|(is_found, _)| *is_found);
    found.map(|(_, text)| text)
}

/// A domain without the dot in front, which browsers ignore (RFC 6265, 5.2.3).
pub(super) fn host(domain: &str) -> &str {
    domain.strip_prefix('.').unwrap_or(domain)
}

/// What is wrong with a domain that no host matches.
///
/// A browser compares it with the host of its address, and with the domains above that (RFC 6265,
/// 5.1.3). An IPv4 address and a single label match that
/// very host. Which domains are public suffixes, that no browser takes, is not known here.
pub(super) fn fault_of_domain(domain: &str) -> Option<&'static str> {
    let host = host(domain);
    let octets = host.as_bytes();
    let unbracketed = host.trim_start_matches('[').trim_end_matches(']');
    let is_of_hosts = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let any_label = |is: fn(&str) -> bool| host.split('.').any(is);
    first_of([
        (
            domain.is_empty(),
            "has a domain that is empty; leave it out, and the cookie goes to its own host only",
        ),
        (
            !host.is_ascii(),
            "has a domain that is not ASCII; write it in punycode, such as \
             `xn--bcher-kva.example`",
        ),
        (
            octets.contains(&b'*'),
            "has a domain with a wildcard; a domain covers all hosts below it, so drop the `*.`",
        ),
        (
            host.contains("://"),
            "has a domain with a scheme; write the host alone, such as `example.com`",
        ),
        (
            octets.contains(&b'/'),
            "has a domain with a path; write the host alone, such as `example.com`",
        ),
        (
            unbracketed.parse::<Ipv6Addr>().is_ok(),
            "has an IPv6 address as its domain; leave it out, and the cookie goes to its own \
             host only",
        ),
        (
            octets.contains(&b':'),
            "has a domain with a port; cookies are sent to all ports of a host, so write the \
             host alone",
        ),
        (
            any_label(str::is_empty),
            "has a domain that ends with a dot, or has two side by side; write it as \
             `example.com`",
        ),
        (
            !octets.iter().all(is_of_hosts),
            "has a domain with a character that no host has; use letters, digits, `-` and `.`",
        ),
        (
            host.len() > LARGEST_DOMAIN,
            "has a domain of more than 253 octets, which no host has",
        ),
        (
            any_label(|label| label.len() > LARGEST_LABEL),
            "has a domain with a label of more than 63 octets, which no host has",
        ),
        (
            any_label(|label| label.starts_with('-') || label.ends_with('-')),
            "has a domain with a label that begins or ends with a hyphen, which no host has",
        ),
        (
            host.rsplit('.').next().is_some_and(is_number) && host.parse::<Ipv4Addr>().is_err(),
            "has a domain that ends with a number and is no IPv4 address; write all four numbers \
             of one",
        ),
    ])
}

/// A host whose last label is a number is an IPv4 address, or none at all (WHATWG URL, 3.5).
fn is_number(label: &str) -> bool {
    let hexadecimal = label
        .strip_prefix("0x")
        .or_else(|| label.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// What is wrong with a path that no request matches.
///
/// A browser compares it with the path of its address, without the query (RFC 6265, 5.1.4), where
/// it has resolved `.` and `..` and encoded what has to be.
pub(super) fn fault_of_path(path: &str) -> Option<&'static str> {
    let is_sent = |byte: u8| byte.is_ascii_graphic() && !b";\"<>\\`{}".contains(&byte);
    first_of([
        (
            !path.starts_with('/'),
            "has a path that does not begin with `/`",
        ),
        (
            path.len() > LARGEST_ATTRIBUTE,
            "has a path of more than 1,024 octets, which browsers ignore",
        ),
        (
            path.contains(['?', '#']),
            "has a path with a query or a fragment, which a request's path never has; drop it",
        ),
        (
            !path.bytes().all(is_sent),
            "has a path with a character that browsers encode, or with `;`; write it \
             percent-encoded",
        ),
        (
            path.split('/').any(is_dots),
            "has a path with `.` or `..` as a part, which browsers resolve; write the path that \
             is left",
        ),
    ])
}

/// `.` or `..`, their dots encoded or not.
fn is_dots(part: &str) -> bool {
    let part = part.replace("%2e", ".").replace("%2E", ".");
    part == "." || part == ".."
}
