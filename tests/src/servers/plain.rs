//! A server without any particulars.

use std::env;

use super::{Engine, RedisServer};

/// A server that need be nothing but there.
#[derive(Debug)]
pub enum Plain {
    /// The user's, by its URL. What lies in it stays: tests use keys of their own.
    User(String),
    /// One of ours, which ends with this value.
    Own(Box<RedisServer>),
}

impl Plain {
    /// Where it is.
    pub fn url(&self) -> String {
        match self {
            Self::User(url) => url.clone(),
            Self::Own(server) => server.url(),
        }
    }
}

/// The server that `REDIS_URL` names, or else one of ours.
pub fn plain_redis() -> Plain {
    match env::var("REDIS_URL") {
        Ok(url) if !url.is_empty() => Plain::User(url),
        _ => Plain::Own(Box::new(RedisServer::start(Engine::Redis7))),
    }
}
