#!/usr/bin/env bash
# Each small example as a program of its own: it listens, and does what its first lines say. The
# arguments are the directory of the programs, the URL of a Redis, and the URL of a Postgres.
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

programs=$1 redis=$2 postgres=$3

# run NAME ARGUMENT...: starts an example. One of the arguments is the address.
run() {
    log=$work/log.${#pids[@]}
    "$programs/$1" "${@:2}" >"$log" 2>&1 &
    pid=$!
    pids+=("$pid")
    await 'listening on http://' || exit 1
    base=$(sed -nE 's/^listening on (http:.*)/\1/p' "$log")
    client "$1"
}

any=127.0.0.1:0

run hello $any
is 'hello: the first visit' "$(ask /)" 'visit 1'
is 'hello: the second' "$(ask /)" 'visit 2'
stop

run axum-login $any
is 'axum-login: a guest is sent away' "$(ask /private)" ''
csrf=$(ask / | sed -nE 's/.*name=csrf value=([^>]+)>.*/\1/p')
ask /sign-in -d 'name=ann&password=secret' --data-urlencode "csrf=$csrf" >/dev/null
has 'axum-login: a message' "$(ask /)" 'Welcome.'
is 'axum-login: the private page' "$(ask /private)" 'Only ann sees this.'
ask /sign-out -X POST >/dev/null
is 'axum-login: not after the sign-out' "$(ask /private)" ''
stop

run devices $any
client laptop
ask /sign-in/ann -X POST -A laptop >/dev/null
client phone
ask /sign-in/ann -X POST -A phone >/dev/null
has 'devices: the other one is listed' "$(ask /devices)" '"name":"laptop"'
is 'devices: and ended' "$(ask /devices -X DELETE)" 'signed out 1 others'
client laptop
stop

run api-token $any
ask /sign-in/ann -X POST >/dev/null
token=$(sed -nE 's/^x-session-token: ([^\r]*).*/\1/p' "$work/head")
is 'api-token: a note' "$(ask /notes -H "Authorization: Bearer $token" -d 'buy tea')" ''
is 'api-token: is read' "$(ask /notes -H "Authorization: Bearer $token")" 'ann: buy tea'
stop

run websocket $any
has 'websocket: the page' "$(ask /)" 'new WebSocket'
is 'websocket: a guest has no socket' "$(
    ask /socket -o /dev/null -w '%{http_code}' -H 'Connection: Upgrade' -H 'Upgrade: websocket' \
        -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
)" 401
stop

# Another database of the same server.
case $redis in
unix*) other=$redis?db=1 ;;
*) other=${redis%/}/1 ;;
esac
visits=0
for stage in old standing-by moving new; do
    run migrate $stage "$redis" "$other" $any
    jar=$work/jar.migrating
    visits=$((visits + 1))
    is "migrate: $stage" "$(ask /)" "visit $visits"
    stop
done

for url in "sqlite:$work/sessions.db?mode=rwc" "$postgres"; do
    kind=${url%%:*}
    run sql-store "$url" $any
    is "sql-store: $kind" "$(ask /)" 'visit 1'
    stop
    cp "$jar" "$work/kept"
    run sql-store "$url" $any
    cp "$work/kept" "$jar"
    is "sql-store: $kind, started again" "$(ask /)" 'visit 2'
    stop
done
exit $((bad > 0))
