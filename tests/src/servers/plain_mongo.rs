//! A MongoDB server without any particulars.

use std::env;

use super::MongoServer;

/// A server that need be nothing but there.
#[derive(Debug)]
pub enum PlainMongo {
    /// The user's, by its URI. What lies in it stays: tests use databases of their own.
    User(String),
    /// One of ours, which ends with this value.
    Own(Box<MongoServer>),
}

impl PlainMongo {
    /// Where it is.
    pub fn uri(&self) -> String {
        match self {
            Self::User(uri) => uri.clone(),
            Self::Own(server) => server.uri(),
        }
    }
}

/// The server that `MONGODB_URI` names, or else one of ours.
pub fn plain_mongo() -> PlainMongo {
    match env::var("MONGODB_URI") {
        Ok(uri) if !uri.is_empty() => PlainMongo::User(uri),
        _ => PlainMongo::Own(Box::new(MongoServer::start())),
    }
}
