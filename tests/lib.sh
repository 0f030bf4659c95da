# shellcheck shell=bash
# Shell functions shared by the repository's scripts.

die() {
    echo "error: $*" >&2
    exit 1
}

# need COMMAND PACKAGE: COMMAND must be there; Debian's PACKAGE brings it.
need() {
    if ! command -v "$1" >/dev/null && command -v apt-get >/dev/null; then
        echo "installing $2 for $1"
        apt-get update -qq || true
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" || true
    fi
    command -v "$1" >/dev/null || die "$1 is needed and could not be installed"
}

# Cargo is never installed from here: which toolchain to use is the reader's choice.
need_cargo() {
    command -v cargo >/dev/null || die "cargo is needed: install Rust first"
    need cc build-essential
}
