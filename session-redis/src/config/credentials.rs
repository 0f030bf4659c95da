//! As whom the store logs in, and to which database.

use std::fmt;

use redis::ConnectionInfo;
use session_core::ConfigError;

/// What the application sets apart from a URL.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: Option<i64>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The address with these credentials instead of its own.
    pub(crate) fn put_into(&self, info: ConnectionInfo) -> Result<ConnectionInfo, ConfigError> {
        let mut settings = info.redis_settings().clone();
        if let Some(username) = &self.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        if let Some(database) = self.database {
            settings = settings.set_db(database);
        }
        let info = info.set_redis_settings(settings);
        Self::check(&info)?;
        Ok(info)
    }

    /// The driver sends a username only with a password. Without one the store would be somebody
    /// else.
    pub(crate) fn check(info: &ConnectionInfo) -> Result<(), ConfigError> {
        let settings = info.redis_settings();
        match (settings.username(), settings.password()) {
            // Every connection begins as the user `default`.
            (None | Some("default"), _) | (_, Some(_)) => Ok(()),
            (Some(_), None) => Err(ConfigError::new(
                "a username for Redis lacks its password; set one, or password(\"\") for a user \
                 that has none",
            )),
        }
    }
}
