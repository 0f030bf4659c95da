//! The cookie that proves a device, beside the one that carries the token (W3C draft, Device Bound
//! Session Credentials).
//!
//! The browser is told of it by a header of the response that signs somebody in. It then asks for
//! the cookie at one path, and for the next one at another, whenever the last one is over.

use http::{HeaderMap, HeaderName, HeaderValue};
use session_core::{ConfigError, DeviceBinding, Directive};
use smallvec::SmallVec;

use crate::transport::cookie_config::CookieConfig;
use crate::transport::grammar::{pieces, set_cookie};
use crate::transport::place::{fault_of_path, first_of};
use crate::transport::transport::{as_text, sensitive};

const REGISTRATION: HeaderName = HeaderName::from_static("secure-session-registration");

/// Where browsers register a device, and where they prove it again.
#[derive(Clone, Debug)]
pub(crate) struct DevicePaths {
    pub(crate) register: String,
    pub(crate) refresh: String,
}

impl Default for DevicePaths {
    fn default() -> Self {
        Self {
            register: "/dbsc/register".to_owned(),
            refresh: "/dbsc/refresh".to_owned(),
        }
    }
}

/// What a layer that binds sessions to devices sends and reads besides tokens.
#[derive(Clone, Debug)]
pub(crate) struct Devices {
    binding: DeviceBinding,
    paths: DevicePaths,
    /// The cookie that carries a proof.
    cookie: CookieConfig,
    attributes: String,
}

impl Devices {
    /// `session` is the cookie that carries the token.
    pub(crate) fn new(
        binding: DeviceBinding,
        paths: DevicePaths,
        session: &CookieConfig,
    ) -> Result<Self, ConfigError> {
        if let Some(fault) = session.fault_beside_proofs() {
            let name = session.name();
            return Err(ConfigError::new(format!(
                "sessions are bound to devices, and the cookie {name:?} {fault}"
            )));
        }
        if let Some(fault) = paths.fault() {
            return Err(ConfigError::new(format!(
                "sessions are bound to devices, and {fault}"
            )));
        }
        let cookie = session.for_proofs();
        Ok(Self {
            attributes: cookie.attributes(),
            binding,
            paths,
            cookie,
        })
    }

    pub(crate) const fn paths(&self) -> &DevicePaths {
        &self.paths
    }

    /// The name of the cookie that carries a proof.
    pub(crate) fn cookie_name(&self) -> &str {
        self.cookie.name()
    }

    /// A name or a path that the other layer uses too.
    pub(crate) fn shared<'a>(&'a self, other: &Self) -> Option<&'a str> {
        let theirs = [
            &*other.paths.register,
            &other.paths.refresh,
            other.cookie_name(),
        ];
        let mut own = [
            &*self.paths.register,
            &self.paths.refresh,
            self.cookie_name(),
        ]
        .into_iter();
        own.find(|own| theirs.contains(own))
    }

    /// Whether a request for this path is for it.
    pub(crate) fn serves(&self, path: &str) -> bool {
        path == self.paths.register || path == self.paths.refresh
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
        whole.map(|(_, value)| as_text(value)).take(MOST).collect()
    }

    /// Puts into a response what a commit has for the device. `presented` are the Cookie headers of
    /// the request.
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
                let path = &self.paths.register;
                let offer = format!("(ES256);path=\"{path}\";challenge=\"{challenge}\"");
                if let Some(offer) = sensitive(offer) {
                    // A layer further in may have offered its own.
                    response.append(REGISTRATION, offer);
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

/// At most this many proofs of one request are handed on.
const MOST: usize = 4;

impl DevicePaths {
    fn fault(&self) -> Option<&'static str> {
        let [register, refresh] = [&self.register, &self.refresh].map(|path| fault_of_path(path));
        first_of([
            (
                register.or(refresh).is_some(),
                "a path of `device_paths` is none that a browser requests; write `/a/path`",
            ),
            (
                self.register == self.refresh,
                "both paths of `device_paths` are the same; give each its own",
            ),
        ])
    }
}
