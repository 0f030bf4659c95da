//! The guide: how to use sessions in an application. This module contains no code, only pages:
//!
//! - [`sessions`]: what a session can do, its settings, and what it does with bad input.
//! - [`recipes`]: short answers to common questions, each about one screen long.
//! - [`moving`]: how to move from tower-sessions, axum_session, actix-session or express-session,
//!   and from one store to another.
//! - [`backends`]: which store to choose; what each guarantees, costs and cannot do.
//! - [`handlers`]: long requests, values that are used once, large sessions, timeouts.
//! - [`types`]: types that change between two deployments.
//! - [`testing`]: tests of handlers, without a server.
//! - [`stores`]: writing a store.
//! - [`transports`]: sessions over something other than HTTP.
//! - [`threats`]: threat by threat, what an attacker gains and which setting helps.
//! - [`security`]: what standards require of sessions, and where each requirement is met.
//! - [`operating`]: what to watch, how much space sessions take, how to change keys.
//! - [`capacity`]: how many Redis or MongoDB nodes a number of sessions takes.

#[doc = include_str!("../docs/backends.md")]
pub mod backends {}

#[doc = include_str!("../docs/capacity.md")]
pub mod capacity {}

#[doc = include_str!("../docs/handlers.md")]
pub mod handlers {}

#[doc = include_str!("../docs/moving.md")]
pub mod moving {}

#[doc = include_str!("../docs/operating.md")]
pub mod operating {}

/// Short answers to common questions.
pub mod recipes {
    #[doc = include_str!("../docs/recipes/cdn.md")]
    pub mod cdn {}

    #[doc = include_str!("../docs/recipes/deployments.md")]
    pub mod deployments {}

    #[doc = include_str!("../docs/recipes/domains.md")]
    pub mod domains {}

    #[doc = include_str!("../docs/recipes/guest_cart.md")]
    pub mod guest_cart {}

    #[doc = include_str!("../docs/recipes/login_form.md")]
    pub mod login_form {}

    #[doc = include_str!("../docs/recipes/mobile_apps.md")]
    pub mod mobile_apps {}

    #[doc = include_str!("../docs/recipes/openid_connect.md")]
    pub mod openid_connect {}

    #[doc = include_str!("../docs/recipes/remember_me.md")]
    pub mod remember_me {}

    #[doc = include_str!("../docs/recipes/step_up.md")]
    pub mod step_up {}

    #[doc = include_str!("../docs/recipes/tabs.md")]
    pub mod tabs {}
}

#[doc = include_str!("../docs/security.md")]
pub mod security {}

#[doc = include_str!("../docs/sessions.md")]
pub mod sessions {}

#[doc = include_str!("../docs/stores.md")]
pub mod stores {}

#[doc = include_str!("../docs/testing.md")]
pub mod testing {}

#[doc = include_str!("../docs/threats.md")]
pub mod threats {}

#[doc = include_str!("../docs/transports.md")]
pub mod transports {}

#[doc = include_str!("../docs/types.md")]
pub mod types {}
