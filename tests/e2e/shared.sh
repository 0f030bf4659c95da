#!/usr/bin/env bash
# Two servers of the guestbook example behind one store, whose URL is the argument.
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

store=$1
redis() { "$REDIS_CLI" -s "${store#unix://}" "$@"; }
bases=() logs=()

# on N: what follows is asked of that server.
on() {
    pid=${pids[$1]} base=${bases[$1]} log=${logs[$1]}
}

for _ in 0 1; do
    start '' --store "$store"
    bases+=("$base") logs+=("$log")
done

# One browser goes back and forth.
on 0
client shared
is 'the first visit' "$(ask / | visits)" 1
on 1
is 'the second, on the other server' "$(ask / | visits)" 2
is 'an entry there' "$(post /entries 'entry=from the other')" "303 $base/"
on 0
has 'is seen here' "$(ask /)" '<li>from the other</li>'

anonymous=$(token)
is 'signing in here' "$(post /sign-in 'name=Ada')" "303 $base/"
member=$(token)
differ 'gives another token' "$anonymous" "$member"
on 1
has 'signs in there' "$(ask /)" '<strong>Ada</strong>'
lacks 'the token from before opens nothing there' "$(bare "$anonymous" /)" 'from the other'

# A second browser of hers has a session of its own.
client second
is 'a second browser signs in there' "$(post /sign-in 'name=Ada')" "303 $base/"
second=$(token)
jar=$work/jar.shared

is 'signing out there' "$(post /sign-out '')" "303 $base/"
for server in 0 1; do
    on $server
    lacks "the session has ended on server $server" "$(bare "$member" /)" '<strong>Ada</strong>'
    has "that of the second browser goes on, on server $server" "$(bare "$second" /)" \
        '<strong>Ada</strong>'
done

# She signs in here again, and ends the other session there.
jar=$work/jar.shared
on 0
is 'signing in here again' "$(post /sign-in 'name=Ada')" "303 $base/"
is 'both sessions are listed' "$(listed | wc -l)" 2
other=$(listed | head -1 | id_of)
on 1
is 'revoking the other one there' "$(post "/sessions/$other/revoke" '')" "303 $base/sessions"
on 0
has 'is told here' "$(ask /sessions)" 'Signed out 1 other session.'
for server in 0 1; do
    on $server
    lacks "the second browser is out on server $server" "$(bare "$second" /)" '<strong>Ada</strong>'
    is "one session is left on server $server" "$(listed | wc -l)" 1
done
for n in 3 4; do
    on $((n % 2))
    client "browser$n"
    is "browser $n signs in" "$(post /sign-in 'name=Ada')" "303 $base/"
done
on 1
is 'revoking all others there' "$(jar=$work/jar.shared post /sessions/revoke-others '')" \
    "303 $base/sessions"
has 'ends both' "$(jar=$work/jar.shared ask /sessions)" 'Signed out 2 other sessions.'
for server in 0 1; do
    on $server
    for n in 3 4; do
        jar=$work/jar.browser$n
        has "browser $n is out on server $server" "$(ask /session.json)" '"principal":null'
    done
done

# 50 requests at once over both, each with an entry of its own.
client crowd
on 0
ask / >/dev/null
own=$(token) csrf=$(csrf)
seq 50 | while read -r n; do echo "$n" "${bases[n % 2]}"; done |
    xargs -P 16 -L 1 bash -c 'curl -sS -o /dev/null -H "Cookie: __Host-id=$1" \
        -d "csrf=$2&entry=number $3" "$4/entries"' _ "$own" "$csrf"
is '50 entries at once on both are all there' \
    "$(ask / | grep -oE '<li>number [0-9]+</li>' | sort -u | wc -l)" 50

# What another version of the program has stored: every page opens, and its place is taken when
# something new is written.
if [[ $store == unix://* ]]; then
    # written FIELD VALUE...: what a write leaves, with a tag of its own.
    written() {
        local version tag _ rest
        read -r version _ rest < <(redis HGET "$key" s)
        tag=$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
        redis HSET "$key" s "$version $tag $rest" "$@" >/dev/null
    }
    client elsewhen
    on 0
    post /entries 'entry=before' >/dev/null
    key=session:$(ask /session.json | id_of)
    written .visits '{"count":7}' .entries '{"v2":["after"]}'
    page=$(ask /)
    is 'a value of another version is none: the page opens' \
        "$(visits <<<"$page") $(entries <<<"$page")" '1 0'
    has 'and the log says so' "$(cat "$log")" 'a value is not of the type that was asked for'
    lacks 'without the value' "$(cat "$log")" after
    is 'what is only read stays' "$(redis HGET "$key" .entries)" '{"v2":["after"]}'
    is 'the next visit counts' "$(ask / | visits)" 2
    written .visits 18446744073709551615
    is 'so does one beyond all numbers' "$(ask / | visits)" 18446744073709551615
    has 'the summary opens' "$(ask /session.json)" '"entries":[]'
    is 'an entry takes the place' "$(post /entries 'entry=new')" "303 $base/"
    has 'of the value' "$(ask /)" '<li>new</li>'
    is 'signing in' "$(post /sign-in 'name=Eve')" "303 $base/"
    written ._flash.notice '[1]'
    is 'a notice of another version' "$(code /sessions)" 200
    is 'is used up' "$(redis HEXISTS "$key" ._flash.notice)" 0
fi

# What one server keeps, the next one finds.
jar=$work/jar.crowd
on 1
stop
on 0
stop
start '' --store "$store"
is 'after a restart of both the session is there' \
    "$(ask / | grep -oE '<li>number [0-9]+</li>' | sort -u | wc -l)" 50
stop

# Redis may forget a rotation at a fail-over, and then an owner looks like a thief: reuse is logged
# and ends nothing.
if [[ $store == unix://* ]]; then
    start "$(key)" --store "$store" --rotate 1
    client owner
    post /sign-in 'name=Ida' >/dev/null
    first=$(token)
    for _ in 1 2; do
        sleep 1.1
        ask /session.json >/dev/null
    done
    sleep 10.5 # beyond the overlap of the first token
    has 'a token that comes back much later opens nothing' "$(bare "$first" /session.json)" \
        '"principal":null'
    has 'and is logged' "$(cat "$log")" 'that was rotated away came back'
    has 'its session goes on' "$(ask /session.json)" '"principal":"user:Ida"'
    stop
fi
exit $((bad > 0))
