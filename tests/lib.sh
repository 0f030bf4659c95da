# shellcheck shell=bash
# Shell functions shared by the repository's scripts.

die() {
    echo "error: $*" >&2
    exit 1
}

# need COMMAND PACKAGE: COMMAND must be there; Debian's PACKAGE brings it.
need() {
    command -v "$1" >/dev/null || bring "$1" "$2"
    command -v "$1" >/dev/null || die "$1 is needed and could not be installed"
}

# need_library LIBRARY PACKAGE FILE: the same for a library that FILE is linked with.
need_library() {
    ! lacks_library "$1" "$3" || bring "$1" "$2"
    ! lacks_library "$1" "$3" || die "$1 is needed by $3 and could not be installed"
}

lacks_library() {
    [[ $(ldd "$2" 2>/dev/null) == *"$1 => not found"* ]]
}

# The crates that are published.
# shellcheck disable=SC2034
published=(session-core session-cookie session-redis session-mongo session-http)

# Where cargo puts what it builds.
target_directory() {
    cargo metadata --no-deps --format-version 1 --locked |
        sed -E 's/.*"target_directory":"([^"]*)".*/\1/'
}

# bring WHAT PACKAGE: installs PACKAGE, where there is a way to.
bring() {
    command -v apt-get >/dev/null || return 0
    echo "installing $2 for $1"
    apt-get update -qq || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" || true
}

# Cargo is never installed from here: which toolchain to use is the reader's choice.
need_cargo() {
    command -v cargo >/dev/null || die "cargo is needed: install Rust first"
    need cc build-essential
}
