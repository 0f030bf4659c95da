//! What every session of a manager goes by.

use bytestring::ByteString;

use crate::cap::Cap;
use crate::token::Secret;
use crate::{
    Capability, Codec, Error, Lifetime, LimitExceeded, Limits, Record, Rotation, SessionId,
    Timestamp,
};

/// What every session of a manager goes by.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) scope: ByteString,
    pub(crate) lifetime: Lifetime,
    pub(crate) codec: Codec,
    pub(crate) limits: Limits,
    pub(crate) rotation: Rotation,
    pub(crate) cap: Option<Cap>,
    pub(crate) capability: Capability,
    /// Characters that a sealed token may have.
    pub(crate) max_token: usize,
    /// What the metadata of a new session takes at most.
    pub(crate) fresh_metadata: usize,
}

impl Rules {
    pub(crate) const fn is_sealed(&self) -> bool {
        matches!(self.capability, Capability::Client { .. })
    }

    pub(crate) fn new_secret(&self) -> Result<Option<Secret>, Error> {
        match self.is_sealed() {
            true => Ok(None),
            false => Secret::random().map(Some),
        }
    }

    /// What the metadata of a new session takes at most.
    pub(crate) fn fresh_metadata(scope: &ByteString) -> usize {
        let id = SessionId::from_bytes([0; 16]);
        Record::new(id, scope.clone(), Lifetime::default(), Timestamp::default()).limited_size()
    }

    pub(crate) fn check_record(&self, record: &Record) -> Result<(), LimitExceeded> {
        self.check(record.limited_size(), record.values.len())
    }

    pub(crate) fn check(&self, bytes: usize, keys: usize) -> Result<(), LimitExceeded> {
        self.limits.check(bytes, keys)?;
        if let Capability::Client { overhead, .. } = self.capability {
            let size = ((bytes + overhead) * 4).div_ceil(3);
            if size > self.max_token {
                let limit = self.max_token;
                return Err(LimitExceeded::TokenBytes { size, limit });
            }
        }
        Ok(())
    }
}
