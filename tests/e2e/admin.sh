#!/usr/bin/env bash
# The operator's tool, on stores that servers of the guestbook example use. The arguments are the
# tool and the URI of a MongoDB. It starts a Redis and a Redis Cluster of its own: it counts what is
# there, and other scripts would be in the way.
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tool=$1 mongo=$2

# admin NAME CODE ARGUMENT...: what the tool says of the store in $store. Nobody is there to answer.
admin() {
    said=$("$tool" "$store" "${options[@]}" --json "${@:3}" 2>"$work/errors" </dev/null)
    local code=$?
    [ "$code" = "$2" ] || cat "$work/errors"
    is "$label: $1" "$code" "$2"
}

# number NAME FIELD EXPECTED: a number in the last line that the tool said.
number() {
    is "$label: $1" "$(tail -1 <<<"$said" | sed -nE "s/.*\"$2\":([0-9]+).*/\1/p")" "$3"
}

named() { sed -nE "s/.*\"$1\":\"([^\"]{22})\".*/\1/p" <<<"$said"; }

# people: three browsers of Ada and Bob, and one of nobody.
people() {
    local name
    for name in ada.1 ada.2 bob nobody; do
        client "$people.$name"
        ask / >/dev/null
        case $name in
        ada.*) post /sign-in 'name=Ada' >/dev/null ;;
        bob) post /sign-in 'name=Bob' >/dev/null ;;
        esac
    done
}

# answers NAME NUMBER [BROWSER...]: how many of these browsers are signed in.
answers() {
    local name count=0 browsers=("${@:3}")
    [ "$#" -gt 2 ] || browsers=(ada.1 ada.2 bob)
    for name in "${browsers[@]}"; do
        jar=$work/jar.$people.$name
        if ask / | grep -q '<strong>'; then count=$((count + 1)); fi
    done
    is "$label: $1" "$count" "$2"
}

# reading: what every store has to say of these people.
reading() {
    admin 'count' 0 count
    number 'all are live' live 4
    number 'nothing is damaged' unreadable 0
    admin 'list' 0 list user:Ada
    is "$label: two sessions are listed" "$(wc -l <<<"$said")" 2
    ada=$(named id | head -1)
    admin 'list of Bob' 0 list user:Bob
    bob=$(named id)
    admin 'show' 0 show "$ada"
    has "$label: it shows whose session it is" "$said" '"principal":"user:Ada"'
    lacks "$label: it shows no values" "$said" '"values"'
    admin 'show values' 0 show "$ada" --values
    has "$label: it shows values" "$said" '"values":{'
    admin 'a session that is not there' 1 show AAAAAAAAAAAAAAAAAAAAAA
    admin 'an id that is none' 2 show AAAA
    admin 'check' 0 check
    is "$label: check finds nothing" "$(wc -l <<<"$said")" 1
}

# ending: what every store does to them.
ending() {
    admin 'it does not end without consent' 2 end "$ada"
    has "$label: and says what to do" "$(cat "$work/errors")" '--yes'
    answers 'nobody was signed out' "$1"
    admin 'end' 0 end "$ada" --yes
    admin 'end again' 1 end "$ada" --yes
    answers 'one was signed out' "$(($1 - 1))"
    admin 'end all without consent' 2 end-all user:Ada
    admin 'end all' 0 end-all user:Ada --yes
    number 'the other one has ended' ended 1
    answers 'both were signed out' "$(($1 - 2))"
    admin 'sweep' 0 sweep
    admin 'count' 0 count
    admin 'check' 0 check
}

# repairing: damages one session of each kind by redis-cli, and has it mended.
repairing() {
    local stray=Q0000000000000000000AA
    redis ZREM session:principal:user:Ada "$ada" >/dev/null
    redis ZADD session:principal:user:Ada 4000000000000 "$stray" >/dev/null
    if [ "${options[*]}" = '--layout packed' ]; then
        redis SET "session:$bob" 'no session' >/dev/null
    else
        redis HSET "session:$bob" m damaged >/dev/null
    fi
    admin 'check finds damage' 3 check
    is "$label: the session without an entry" "$(named without_entry)" "$ada"
    is "$label: the entry without a session" "$(named without_session)" "$stray"
    is "$label: the session that cannot be read" "$(named unreadable)" "$bob"
    admin 'count' 0 count
    number 'one cannot be read' unreadable 1
    admin 'list' 0 list user:Ada
    is "$label: one session is not listed" "$(wc -l <<<"$said")" 1
    admin 'repair leaves what cannot be read' 3 check --repair
    number 'the index is mended' without_entry_left 0
    number 'the entry waits' waiting 1
    # The server of the guestbook may have a copy of Bob's session, from before the damage.
    answers 'who can be read is signed in' 2 ada.1 ada.2
    admin 'list' 0 list user:Ada
    is "$label: both sessions are listed again" "$(wc -l <<<"$said")" 2
    admin 'unreadable sessions end with consent alone' 2 check --repair --end-unreadable
    number 'it says what is left all the same' unreadable_left 1
    admin 'repair of all' 0 check --repair --end-unreadable --yes
    admin 'nothing is damaged any more' 0 check
    number 'no session is unreadable' unreadable_left 0
    answers 'all others are signed in' 2
}

# leftovers NUMBER: a minute later so many entries are removed.
leftovers() {
    admin 'entries are removed' 0 check --repair
    number 'those without a session' mended "$1"
    admin 'and is gone' 0 check
    is "$label: check finds nothing" "$(wc -l <<<"$said")" 1
}

# visit BROWSER: writes to its session.
visit() {
    jar=$work/jar.$people.$1
    ask / >/dev/null
}

# copying: what is in the target already is compared.
copying() {
    local target="unix://$work/redis.sock?db=2" back="unix://$work/redis.sock?db=3"
    admin 'copy' 0 copy "$target"
    number 'all are copied' sessions 4
    visit bob
    admin 'a target that has sessions is refused' 5 copy "$target"
    has "$label: it says how to go on" "$(cat "$work/errors")" '--continue'
    admin 'a session that is another one by now is no success' 4 copy "$target" --continue
    number 'one is different' different 1
    number 'all others are there' already_there 3
    has "$label: it says which one" "$said" "\"different\":\"$bob\""
    # Activity is written once a minute, so nobody knows yet which of the two is newer.
    admin 'of two that were active at the same time none is replaced' 4 \
        copy "$target" --continue --update
    sleep 61
    visit bob
    admin 'it is replaced on request' 0 copy "$target" --continue --update
    number 'one is replaced' updated 1
    admin 'copy again' 0 copy "$target" --continue
    number 'all are there' already_there 4
    "$REDIS_CLI" -s "$work/redis.sock" -n 2 DEL "session:$bob" >/dev/null
    SESSION_TARGET_URL=$target admin 'the target may be in the environment' 0 copy --continue
    number 'what was missing is copied' sessions 1

    # To MongoDB and back nothing is lost.
    admin 'copy to MongoDB' 0 copy "$mongo" --target-collection copied
    number 'all are copied to MongoDB' sessions 4
    local here=$store
    store=$mongo options=(--collection copied)
    admin 'copy from MongoDB' 0 copy "$back"
    number 'all are copied back' sessions 4
    store=$here options=()
    admin 'compare' 0 copy "$back" --continue
    number 'all are as they were' already_there 4
}

# interrupting: Ctrl-C ends a copy of many sessions behind the one that it is at.
interrupting() {
    local source="unix://$work/redis.sock?db=6" target="unix://$work/redis.sock?db=7" many=3000
    local base pid log copy _
    start '' --store "$source"
    curl -sS --max-time 120 -o /dev/null "$base/?[1-$many]"
    stop
    "$tool" "$source" --json copy "$target" >"$work/said" 2>"$work/errors" </dev/null &
    copy=$!
    for _ in $(seq 1200); do
        [ "$("$REDIS_CLI" -s "$work/redis.sock" -n 7 DBSIZE)" = 0 ] || break
        sleep 0.01
    done
    kill -INT "$copy"
    wait "$copy"
    is "$label: Ctrl-C ends a copy" "$?" 130
    has "$label: it says how to go on" "$(cat "$work/errors")" 'stopped; run it again'
    local copied
    copied=$(sed -nE 's/.*"sessions":([0-9]+).*/\1/p' "$work/said")
    is "$label: before all were copied" "$((copied > 0 && copied < many))" 1
    is "$label: what it counts is there" \
        "$("$REDIS_CLI" -s "$work/redis.sock" -n 7 DBSIZE)" "$copied"
    local store=$source
    admin 'it goes on' 0 copy "$target" --continue
    number 'with what is missing' sessions "$((many - copied))"
    number 'and nothing else' already_there "$copied"
}

# sealing: seals copies, which no guestbook reads.
sealing() {
    local here=$store first second
    first=$(key) second=$(key)
    store="unix://$work/redis.sock?db=2"
    admin 'no keys' 2 reseal --keys-env NO_SUCH_KEYS
    export FIRST=$first BOTH=$second,$first SECOND=$second OTHER
    OTHER=$(key)
    admin 'plain sessions are left alone' 0 reseal --keys-env FIRST
    number 'all are plain' plain 4
    admin 'plain sessions are sealed on request' 0 reseal --keys-env FIRST --seal-plain
    number 'all are sealed' resealed 4
    admin 'another scope' 0 reseal --keys-env BOTH --scope other
    number 'none is of it' other_scope 4
    local before after
    before=$("$tool" "$store" --json show "$bob")
    admin 'seal again' 0 reseal --keys-env BOTH
    number 'all are sealed again' resealed 4
    after=$("$tool" "$store" --json show "$bob")
    is "$label: nothing but the version differs" \
        "$(sed -E 's/"version":[0-9]+//' <<<"$after")" \
        "$(sed -E 's/"version":[0-9]+//' <<<"$before")"
    admin 'seal again twice' 0 reseal --keys-env BOTH
    number 'nothing is left to do' current 4
    admin 'the old key is not needed' 0 reseal --keys-env SECOND
    number 'all are of the newest key' current 4
    admin 'other keys open nothing' 3 reseal --keys-env OTHER
    number 'nothing opens' unopened 4
    is "$label: each is named" "$(grep -c '"unopened":"' <<<"$said")" 4
    admin 'nothing was deleted' 0 count
    number 'all are there' live 4
    forging
    store=$here
}

# forging: somebody who can write to the database adds a plain value to a sealed session.
forging() {
    "$REDIS_CLI" -s "$work/redis.sock" -n 2 HSET "session:$bob" .forged '"plain"' >/dev/null
    admin 'a plain value among sealed ones is not sealed' 3 reseal --keys-env SECOND
    number 'one session is reported' unopened 1
    is "$label: it is named" "$(named unopened)" "$bob"
    number 'all others are sealed' current 3
    number 'nothing was sealed' resealed 0
    admin 'unless that is asked for' 0 reseal --keys-env SECOND --seal-plain
    number 'it is sealed' resealed 1
}

# scripting: how the tool behaves in a script.
scripting() {
    local code
    said=$(SESSION_STORE_URL=$store "$tool" --json count </dev/null)
    is "$label: the store may be in the environment" "$?" 0
    number 'all are counted' live 4
    "$tool" count </dev/null >/dev/null 2>"$work/errors"
    is "$label: no store" "$?" 2
    has "$label: it says how to name one" "$(cat "$work/errors")" SESSION_STORE_URL
    "$tool" "$store" list user:Ada </dev/null | true
    is "$label: a reader that has gone is no failure" "${PIPESTATUS[0]}" 0
    "$tool" "$store" count </dev/null >/dev/full 2>/dev/null
    code=$?
    is "$label: a result that is lost is one" "$code" 1
}

# serve NAME: a guestbook on the store.
serve() {
    people=$1
    start '' --store "$store"
}

# One server, and both layouts: the packed sessions are copies.
"$REDIS_SERVER" --port 0 --unixsocket "$work/redis.sock" --save '' --dir "$work" \
    >"$work/redis.log" &
pids+=("$!")
for _ in $(seq 100); do [ -S "$work/redis.sock" ] || sleep 0.05; done
store=unix://$work/redis.sock options=() label='Redis'
packed="unix://$work/redis.sock?db=1"
redis() { "$REDIS_CLI" -s "$work/redis.sock" "$@"; }
serve one
people
reading
admin 'copy to packed sessions' 0 copy "$packed" --target-layout packed
number 'all are copied' sessions 4
admin 'copy again' 0 copy "$packed" --target-layout packed --continue
number 'nothing is copied twice' already_there 4
number 'nothing more is copied' sessions 0
admin 'no copy to itself' 2 copy "$store"
scripting
copying
interrupting
sealing
repairing

store=$packed options=(--layout packed) label='packed'
redis() { "$REDIS_CLI" -s "$work/redis.sock" -n 1 "$@"; }
start '' --store "$store"
reading
answers 'all copies are signed in' 3
repairing
sleep 62
# Nothing says whose a packed session was that is damaged, so its entry was left too.
leftovers 2
ending 2

store=unix://$work/redis.sock options=() label='Redis'
redis() { "$REDIS_CLI" -s "$work/redis.sock" "$@"; }
start '' --store "$store"
leftovers 1
admin 'list' 0 list user:Ada
ada=$(named id | head -1)
ending 2

# A Cluster.
# Below the ports that connections get, and above those that the tests of stores take.
base=$((30000 + RANDOM % 400 * 6))
ports=() nodes=()
for n in 1 2 3; do
    port=$((base + n))
    ports+=("$port") nodes+=("127.0.0.1:$port")
    mkdir "$work/node.$n"
    "$REDIS_SERVER" --port "$port" --bind 127.0.0.1 --cluster-enabled yes --save '' \
        --cluster-port "$((port + 3))" --dir "$work/node.$n" >"$work/node.$n/log" &
    pids+=("$!")
done
for port in "${ports[@]}"; do
    for _ in $(seq 100); do "$REDIS_CLI" -p "$port" PING >/dev/null 2>&1 || sleep 0.05; done
done
"$REDIS_CLI" --cluster create "${nodes[@]}" --cluster-yes >"$work/create" 2>&1
# Each node learns by itself that there are all, and a client may ask any of them.
for port in "${ports[@]}"; do
    for _ in $(seq 200); do
        "$REDIS_CLI" -p "$port" CLUSTER INFO | grep -q cluster_state:ok && break
        sleep 0.1
    done
done
store=redis://${nodes[0]} options=() label='one node'
admin 'one node is not the Cluster' 1 count
has "$label: it says what to name" "$(cat "$work/errors")" redis-cluster://
store=redis-cluster://$(IFS=,; echo "${nodes[*]}") options=() label='Cluster'
redis() { "$REDIS_CLI" -c -p "${ports[0]}" "$@"; }
serve cluster
people
reading
repairing
ending 2

# MongoDB keeps its index itself.
store=$mongo options=() label='MongoDB'
serve mongo
people
reading
ending 3

exit "$((bad > 0))"
