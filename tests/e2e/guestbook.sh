#!/usr/bin/env bash
# Drives the guestbook example as people do: with curl and a cookie jar.
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pages() {
    client visitor
    is 'ping answers' "$(ask /ping)" pong
    lacks 'ping sets no cookie' "$(head_of)" -cookie
    has 'a summary without a session' "$(ask /session.json)" '"new":true,"visits":0,"entries":[]'
    lacks 'the summary sets no cookie' "$(head_of)" set-cookie
    is 'and neither creates a session' "$(created)" 0
    is 'the first visit' "$(ask / | visits)" 1
    has 'sets the cookie' "$(head_of)" '; HttpOnly; SameSite=Lax; Secure; Path=/'
    has 'that is not cached' "$(head_of)" 'cache-control: no-store'
    is 'the second visit' "$(ask / | visits)" 2
    lacks 'sets none' "$(head_of)" set-cookie
    is 'the third visit, over HTTP/2' "$(ask / --http2-prior-knowledge | visits)" 3
    is 'which it is' "$(ask /ping --http2-prior-knowledge -o /dev/null -w '%{http_version}')" 2
    is 'one session for all of them' "$(created)" 1
    is 'a page that is not there' "$(code /nowhere)" 404
    is 'a method that is not there' "$(code /entries)" 405
}

guest_entries() {
    client guest
    is 'an entry is taken' "$(post /entries "entry=<script>alert('&')</script>")" "303 $base/"
    local page
    page=$(ask /)
    has 'and shown escaped' "$page" '<li>&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;</li>'
    lacks 'and never raw' "$page" '<script'
    is 'one more entry' "$(post /entries 'entry=two')" "303 $base/"
    is 'both are there' "$(ask / | entries)" 2
    local id other
    id=$(ask /session.json | sed -E 's/.*"id":"([^"]+)".*/\1/')
    is 'clearing' "$(post /clear '')" "303 $base/"
    has 'leaves nothing' "$(ask /session.json)" '"visits":0,"entries":[]'
    other=$(ask /session.json | sed -E 's/.*"id":"([^"]+)".*/\1/')
    is 'in the same session' "$other" "$id"
}

signing_in() {
    client member
    post /entries 'entry=mine' >/dev/null
    local old new
    old=$(token)
    is 'signing in' "$(post /sign-in 'name=A & B')" "303 $base/"
    new=$(token)
    differ 'gives another token' "$old" "$new"
    local page
    page=$(ask /)
    has 'the name is shown' "$page" '<strong>A &amp; B</strong>'
    is 'the entries are still there' "$(entries <<<"$page")" 1
    page=$(bare "$old" /)
    is 'the old token opens a page without entries' "$(visits <<<"$page") $(entries <<<"$page")" '1 0'
    lacks 'and sets no cookie over the new one' "$(head_of)" set-cookie
    is 'signing out' "$(post /sign-out '')" "303 $base/"
    has 'removes the cookie' "$(head_of)" 'set-cookie: __Host-id=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0'
    is 'from the jar too' "$(token)" ''
    page=$(bare "$new" /)
    is 'the session has ended on the server' "$(visits <<<"$page") $(entries <<<"$page")" '1 0'
    has 'and a new one begins' "$(head_of)" 'set-cookie: __Host-id='
}

# A cookie that is none of ours: a clean new start, and a warning.
hostile() {
    client victim
    ask / >/dev/null
    local own forged kind option warnings page version
    # Over HTTP/2 curl itself sends no more than 64 KiB of headers.
    printf '%s' "Cookie: __Host-id=$(head -c 102400 /dev/zero | tr '\0' A)" >"$work/huge--http1.1"
    head -c 61440 "$work/huge--http1.1" >"$work/huge--http2-prior-knowledge"
    own=$(token)
    forged=$(printf 'A%.0s' $(seq ${#own}))
    echo "$forged" >>"$work/tokens"
    for version in --http1.1 --http2-prior-knowledge; do
        for kind in forged truncated huge; do
            case $kind in
            forged) option="Cookie: __Host-id=$forged" ;;
            truncated) option="Cookie: __Host-id=${own:0:42}" ;;
            huge) option=@$work/huge$version ;;
            esac
            warnings=$(grep -c 'refused a token' "$log")
            page=$(curl -sS --max-time 20 "$version" -D "$work/head" -H "$option" "$base/")
            is "a $kind cookie, ${version:2}, is a new visitor" "$(visits <<<"$page")" 1
            has 'with a cookie of its own' "$(head_of)" 'set-cookie: __Host-id='
            is 'and one warning' "$(($(grep -c 'refused a token' "$log") - warnings))" 1
        done
    done
    echo "${own:0:42}" >>"$work/tokens"
    is 'the session itself goes on' "$(ask / | visits)" 2
}

forms() {
    client forms
    local big=$work/form
    { printf 'entry='; head -c 65531 /dev/zero | tr '\0' a; } >"$big" # 64 KiB and a byte
    is 'a form that is too large' "$(code /entries --data-binary "@$big")" 413
    is 'and in chunks' "$(code /entries --data-binary "@$big" -H 'Transfer-Encoding: chunked')" 413
    head -c 65536 "$big" >"$big.fits"
    is 'a field that is too long' "$(code /entries --data-binary "@$big.fits")" 400
    is 'a field that is empty' "$(code /entries -d 'entry=%20')" 400
    is 'a field that is missing' "$(code /entries -d 'other=1')" 400
    is 'a field that is there twice' "$(code /entries -d 'entry=1&entry=2')" 400
    is 'no form at all' "$(code /entries -H 'Content-Type: application/json' -d '{}')" 400
    is 'a name that is empty' "$(code /sign-in -d 'name=')" 400
    is 'none of these begins a session' "$(token)" ''
}

at_once() {
    client crowd
    ask / >/dev/null
    local own
    own=$(token)
    seq 50 | xargs -P 16 -I{} curl -sS -o /dev/null -H "Cookie: __Host-id=$own" -d 'entry=number {}' "$base/entries"
    is '50 entries at once are all there' "$(ask / | grep -oE '<li>number [0-9]+</li>' | sort -u | wc -l)" 50
}

memory() {
    start '' "$@"
    pages
    guest_entries
    signing_in
    hostile
    forms
    at_once
    stop
}

signed_tokens() {
    local first second own forged page
    first=$(key) second=$(key)
    start "$second,$first"
    client signed
    ask / >/dev/null
    own=$(token)
    is 'a signed token has 65 characters' "${#own}" 65
    is 'and opens its session' "$(ask / | visits)" 2
    forged=${own:0:50}$(tr 'A-Za-z' 'B-ZAb-za' <<<"${own:50:1}" | tr '0-9_-' '1-90A')${own:51}
    echo "$forged" >>"$work/tokens"
    page=$(bare "$forged" /)
    is 'one with another MAC does not' "$(visits <<<"$page")" 1
    has 'and is refused as malformed' "$(grep 'refused a token' "$log")" Malformed
    stop
}

cookie_store() {
    local first second
    first=$(key) second=$(key)
    start "$first" --store cookie
    client sealed
    ask / >/dev/null
    post /entries 'entry=sealed' >/dev/null
    is 'a sealed session counts' "$(ask / | visits)" 2
    is 'and knows its member' "$(post /sign-in 'name=Ada')" "303 $base/"
    stop
    start "$first" --store cookie
    has 'it survives a restart' "$(ask /session.json)" '"visits":2,"entries":["sealed"],"principal":"user:Ada"'
    stop
    start "$second,$first" --store cookie
    is 'and a new key in front' "$(ask / | visits)" 3
    stop
    start "$second" --store cookie
    is 'which sealed it anew' "$(ask / | visits)" 4
    is 'signing out' "$(post /sign-out '')" "303 $base/"
    is 'removes the sealed cookie' "$(token)" ''
    stop
    start '' --store cookie
    has 'without keys a warning says what follows' "$(cat "$log")" 'the sessions end with this process'
    client brief
    is 'they begin' "$(ask / | visits) $(ask / | visits)" '1 2'
    stop
    start '' --store cookie
    is 'and end with the process' "$(ask / | visits)" 1
    stop
}

failing() {
    start '' --store failing
    client unlucky
    local own version
    own=$(printf 'A%.0s' $(seq 43))
    for version in --http1.1 --http2-prior-knowledge; do
        has "a store that is down, $version" "$(ask / "$version")" 'Back in a moment'
        has 'is a 503' "$(head -1 "$work/head")" ' 503'
        has 'that says when to come back' "$(head_of)" 'retry-after: 5'
        lacks 'and sets no cookie' "$(head_of)" set-cookie
        is 'a client with a cookie' "$(bare "$own" / "$version" -o /dev/null -w '%{http_code}')" 503
        is 'the summary' "$(bare "$own" /session.json "$version" -o /dev/null -w '%{http_code}')" 503
        is 'what needs no session' "$(bare "$own" /ping "$version")" pong
    done
    stop
}

# ended NAME: the server stops by itself, in time and with success.
ended() {
    local code=0 _
    for _ in $(seq 100); do
        if ! kill -0 "$pid" 2>/dev/null; then break; fi
        sleep 0.05
    done
    kill -KILL "$pid" 2>/dev/null
    wait "$pid" || code=$?
    pid=''
    is "$1" "$code" 0
}

shutdown() {
    local port line
    start ''
    port=${base##*:}
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    printf 'GET /ping HTTP/1.1\r\nHost: x\r\n\r\n' >&3
    read -r line <&3
    has 'a connection is open' "$line" '200 OK'
    kill -INT "$pid"
    ended 'SIGINT ends the server all the same'
    exec 3<&-

    start ''
    port=${base##*:}
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    printf 'POST /entries HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 10\r\n\r\nentry' >&3
    ask /ping >/dev/null # answered after the half request was taken up
    kill -TERM "$pid"
    await 'stopping'
    printf '=late' >&3
    read -r line <&3
    has 'a request under way is finished' "$line" '303 See Other'
    ended 'then SIGTERM ends the server'
    exec 3<&-
}

bad_keys() {
    local text output code
    for text in 'c2VjcmV0LXRleHQ=' 'not!base64!secret-text' ',' '' $'\xffsecret'; do
        code=0
        output=$(SESSION_KEYS=$text timeout -s KILL 5 "$GUESTBOOK" --listen 127.0.0.1:0 2>&1) || code=$?
        is "SESSION_KEYS=$(printf %q "$text") ends the program" "$code" 1
        has 'with an error that names it' "$output" SESSION_KEYS
        lacks 'and holds no key' "$output" secret
        if [ ${#text} -gt 1 ]; then lacks 'in any spelling' "$output" "$text"; fi
    done
}

memory
signed_tokens
cookie_store
failing
shutdown
bad_keys
exit $((bad > 0))
