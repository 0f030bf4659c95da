//! Random bytes from the operating system.

/// The operating system's random source failed.
///
/// It is no [`SessionError`](crate::SessionError): keys and ids know nothing of sessions. That
/// converts from it.
#[derive(Debug)]
pub(crate) struct RandomFailed;

/// The bytes of an id, a secret and a seed, by one system call.
pub(crate) fn random_bytes_of_three() -> Result<[[u8; 16]; 3], RandomFailed> {
    let bytes: [u8; 48] = random_bytes()?;
    Ok(std::array::from_fn(|part| {
        std::array::from_fn(|at| bytes[part * 16 + at])
    }))
}

/// Bytes from the operating system's random source.
pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], RandomFailed> {
    let mut bytes = [0; N];
    fill_random(&mut bytes)?;
    Ok(bytes)
}

/// The same for as many bytes as there are, by one system call.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), RandomFailed> {
    getrandom::fill(bytes).map_err(|_| RandomFailed)
}
