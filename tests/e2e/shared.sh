#!/usr/bin/env bash
# Two servers of the guestbook example behind one store, whose URL is the argument.
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

store=$1
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
    has "that of the second browser goes on, on server $server" "$(bare "$second" /)" '<strong>Ada</strong>'
done

# 50 requests at once over both, each with an entry of its own.
client crowd
on 0
ask / >/dev/null
own=$(token)
seq 50 | while read -r n; do echo "$n" "${bases[n % 2]}"; done |
    xargs -P 16 -L 1 bash -c 'curl -sS -o /dev/null -H "Cookie: __Host-id=$1" -d "entry=number $2" "$3/entries"' _ "$own"
is '50 entries at once on both are all there' "$(ask / | grep -oE '<li>number [0-9]+</li>' | sort -u | wc -l)" 50

# What one server keeps, the next one finds.
on 1
stop
on 0
stop
start '' --store "$store"
is 'after a restart of both the session is there' "$(ask / | grep -oE '<li>number [0-9]+</li>' | sort -u | wc -l)" 50
stop
exit $((bad > 0))
