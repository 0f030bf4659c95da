//! What a cache has done.

/// What a cache has done, and what it holds. Each load counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Loads that cost no command, because a lease was valid.
    pub leased: u64,
    /// Loads whose record was still the one that the cache held.
    pub unchanged: u64,
    /// Loads that found another record than the cache held, or none.
    pub changed: u64,
    /// Loads of what the cache did not hold.
    pub absent: u64,
    /// The records that it holds.
    pub records: usize,
    /// About how many bytes they take.
    pub bytes: usize,
}
