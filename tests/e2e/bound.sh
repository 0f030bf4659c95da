#!/usr/bin/env bash
# Drives the guestbook example with a client of its own that binds its session to a device.
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

start '' --bind
hash=$(sed -nE "s/.*the SHA-256 of the certificate's public key is (.*)/\1/p" "$log")
python3 "$(dirname "${BASH_SOURCE[0]}")/bound.py" "$base" "$hash" "$work/tokens" || bad=1
stop
output=$(timeout -s KILL 5 "$GUESTBOOK" --listen 127.0.0.1:0 --bind --store cookie 2>&1)
has 'sealed sessions cannot be bound' "$output" 'use a store on the server'
exit $((bad > 0))
