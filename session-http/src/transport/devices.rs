//! The cookie that proves a device, beside the one that carries the token (W3C draft, Device Bound
//! Session Credentials).
//!
//! The response that signs somebody in offers it in a header. The browser then fetches the cookie
//! from one path, and each later one from another.

use http::{HeaderMap, HeaderName, HeaderValue};
use session_core::{ConfigError, DeviceBinding, Directive};
use smallvec::SmallVec;

use crate::transport::cookie_config::CookieConfig;
use crate::transport::grammar::{pieces, set_cookie};
use crate::transport::place::{fault_of_domain, fault_of_path, first_of};
use crate::transport::transport::{as_text, sensitive};

const REGISTRATION: HeaderName = HeaderName::from_static("secure-session-registration");

/// Where browsers register a device, where they prove it again, and from where that may be caused.
#[derive(Clone, Debug)]
pub(crate) struct DeviceRouting {
    pub(crate) register: String,
    pub(crate) refresh: String,
    /// Hosts of other origins whose requests to this one let the browser prove its device.
    pub(crate) initiators: Vec<String>,
}

impl Default for DeviceRouting {
    fn default() -> Self {
        Self {
            register: "/dbsc/register".to_owned(),
            refresh: "/dbsc/refresh".to_owned(),
            initiators: Vec::new(),
        }
    }
}

/// What a layer that binds sessions to devices sends and reads besides tokens.
#[derive(Clone, Debug)]
pub(crate) struct Devices {
    binding: DeviceBinding,
    routing: DeviceRouting,
    /// The cookie that carries a proof.
    cookie: CookieConfig,
    attributes: String,
}

impl Devices {
    /// `session` is the cookie that carries the token.
    pub(crate) fn new(
        binding: DeviceBinding,
        routing: DeviceRouting,
        session: &CookieConfig,
    ) -> Result<Self, ConfigError> {
        if let Some(fault) = session.fault_beside_proofs() {
            let name = session.name();
            return Err(ConfigError::new(format!(
                "sessions are bound to devices, and the cookie {name:?} {fault}"
            )));
        }
        if let Some(fault) = routing.fault() {
            return Err(ConfigError::new(format!(
                "sessions are bound to devices, and {fault}"
            )));
        }
        let cookie = session.for_proofs();
        Ok(Self {
            attributes: cookie.attributes(),
            binding,
            routing,
            cookie,
        })
    }

    pub(crate) const fn routing(&self) -> &DeviceRouting {
        &self.routing
    }

    /// The name of the cookie that carries a proof.
    pub(crate) fn cookie_name(&self) -> &str {
        self.cookie.name()
    }

    /// Its attributes, without `Max-Age`: `Path=/; ..`.
    pub(crate) fn attributes(&self) -> &str {
        self.attributes.trim_start_matches("; ")
    }

    /// The Set-Cookie that gives a proof.
    pub(crate) fn set_cookie(&self, proof: &str) -> Option<HeaderValue> {
        let age = Some(self.binding.proof_age());
        set_cookie(self.cookie.name(), proof, &self.attributes, age)
    }

    /// The proofs in these Cookie headers.
    pub(crate) fn proofs<'a>(&self, headers: &'a [HeaderValue]) -> SmallVec<[&'a str; 1]> {
        let all = pieces(headers.iter(), self.cookie.name());
        let whole = all.filter(|(number, _)| *number == 0);
        whole.map(|(_, value)| as_text(value)).collect()
    }

    /// Adds what a commit sends to the device: an offer to register, or the removal of the proof
    /// cookie. `presented` are the Cookie headers of the request.
    pub(crate) fn announce(
        &self,
        directive: &Directive,
        presented: &[HeaderValue],
        response: &mut HeaderMap,
    ) {
        match directive {
            Directive::Hold(token) => {
                let Some(challenge) = token.device_challenge() else {
                    return;
                };
                let path = &self.routing.register;
                let offer = format!("(ES256);path=\"{path}\";challenge=\"{challenge}\"");
                if let Some(offer) = sensitive(offer) {
                    response.insert(REGISTRATION, offer);
                }
            }
            Directive::Forget if !self.proofs(presented).is_empty() => {
                if let Some(removal) = self.cookie.removal(self.cookie.name()) {
                    response.append(http::header::SET_COOKIE, removal);
                }
            }
            _ => {}
        }
    }
}

impl DeviceRouting {
    fn fault(&self) -> Option<&'static str> {
        let are_paths = is_path(&self.register) && is_path(&self.refresh);
        first_of([
            (
                !are_paths,
                "a path of `device_paths` is none that a browser requests; write `/a/path`",
            ),
            (
                self.register == self.refresh,
                "both paths of `device_paths` are the same; give each its own",
            ),
            (
                !self.initiators.iter().all(|host| is_host(host)),
                "a host of `refresh_initiators` can be none; write `example.com` or \
                 `*.example.com`, in lower case",
            ),
        ])
    }
}

/// Whether browsers request this path of the same host. Two slashes at the front begin a host, and
/// Chromium decodes what is percent-encoded before it requests it.
fn is_path(path: &str) -> bool {
    fault_of_path(path).is_none() && !path.starts_with("//") && !path.contains('%')
}

/// Whether a site can have this host, or hosts below it. Chromium compares it as it is written, and
/// there is nothing below an address.
fn is_host(pattern: &str) -> bool {
    let (host, below) = match pattern.strip_prefix("*.") {
        Some(host) => (host, true),
        None => (pattern, false),
    };
    let is_lower = !host.bytes().any(|byte| byte.is_ascii_uppercase());
    let is_address = host
        .bytes()
        .last()
        .is_some_and(|byte| byte.is_ascii_digit());
    is_lower && !host.starts_with('.') && fault_of_domain(host).is_none() && !(below && is_address)
}
