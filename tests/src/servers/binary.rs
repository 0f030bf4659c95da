//! Where the binary of a server lies.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The file that the environment's `variable` names, else the one in its usual place.
pub(super) fn find(variable: &str, usual: Option<PathBuf>) -> PathBuf {
    let named = env::var_os(variable)
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    let found = named.or(usual).filter(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "{variable} names no file, and none is in its usual place: \
             run tests/run, which gets it and sets this"
        )
    })
}

/// What the shell would run.
pub(super) fn in_path(name: &str) -> Option<PathBuf> {
    let path: OsString = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// Where `tests/servers.sh` links what it has fetched.
pub(super) fn in_tools(name: &str) -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin");
    Some(tools.join(name))
}
