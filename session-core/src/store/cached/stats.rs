//! What a cache has done.

/// What a cache has done, and what it holds. Each load counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Loads that cost no command, because a lease was valid.
    pub leased: u64,
    /// Loads that found the session as this process had last seen it. Unless others had changed it
    /// shortly before, its record was not fetched.
    pub unchanged: u64,
    /// Loads that found the session changed or gone.
    pub changed: u64,
    /// Loads of sessions that the cache did not know.
    pub absent: u64,
    /// The records that the cache holds.
    pub records: usize,
    /// About how many bytes they take.
    pub bytes: usize,
}
