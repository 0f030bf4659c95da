//! Random numbers of the operating system.

use crate::error::Error;

/// What an id, a secret and a seed are made of, in one call of the system.
pub(crate) fn random_bytes_of_three() -> Result<[[u8; 16]; 3], Error> {
    let bytes: [u8; 48] = random_bytes()?;
    Ok(std::array::from_fn(|part| {
        std::array::from_fn(|at| bytes[part * 16 + at])
    }))
}

/// Bytes from the operating system's random source.
pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(bytes)
}
