#!/usr/bin/env bash
# Drives the guestbook example with a client of its own that binds its session to a device. With an
# argument: two servers of it behind the store of this URL.
set -uo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
. "$here/lib.sh"

# certificate: the hash of the server's key.
certificate() {
    sed -nE "s/.*the SHA-256 of the certificate's public key is (.*)/\1/p" "$log"
}

if [ -n "${1:-}" ]; then
    keys=$(key)
    start "$keys" --bind --rotate 1 --store "$1"
    first=("$pid" "$log" "$base" "$(certificate)")
    start "$keys" --bind --rotate 1 --store "$1"
    servers=("${first[@]:2}" "$base" "$(certificate)")
    python3 "$here/bound_shared.py" "$work/tokens" "${servers[@]}" || bad=1
    stop
    pid=${first[0]} log=${first[1]}
    stop
    exit $((bad > 0))
fi

start '' --bind
python3 "$here/bound.py" "$base" "$(certificate)" "$work/tokens" || bad=1
stop
output=$(timeout -s KILL 5 "$GUESTBOOK" --listen 127.0.0.1:0 --bind --store cookie 2>&1)
has 'sealed sessions cannot be bound' "$output" 'use a store on the server'
exit $((bad > 0))
