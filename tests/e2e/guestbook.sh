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
    has 'nor taken for what it is not' "$(head_of)" 'x-content-type-options: nosniff'
    is 'the second visit' "$(ask / | visits)" 2
    lacks 'sets none' "$(head_of)" set-cookie
    is 'the third visit, over HTTP/2' "$(ask / --http2-prior-knowledge | visits)" 3
    is 'which it is' "$(ask /ping --http2-prior-knowledge -o /dev/null -w '%{http_version}')" 2
    is 'one session for all of them' "$(created)" 1
    is 'a page that is not there' "$(code /nowhere)" 404
    has 'leads back' "$(ask /nowhere)" '<a href=/>'
    is 'a method that is not there' "$(code /entries)" 405
    has 'says which is' "$(head_of)" 'allow: POST'
    is 'the other way round' "$(code / -d x=1)" 405
    has 'too' "$(head_of)" 'allow: GET, HEAD'
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
    is 'the old token opens a page without entries' "$(visits <<<"$page") $(entries <<<"$page")" \
        '1 0'
    lacks 'and sets no cookie over the new one' "$(head_of)" set-cookie
    is 'signing out' "$(post /sign-out '')" "303 $base/"
    has 'removes the cookie' "$(head_of)" \
        'set-cookie: __Host-id=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0'
    is 'from the jar too' "$(token)" ''
    page=$(bare "$new" /)
    is 'the session has ended on the server' "$(visits <<<"$page") $(entries <<<"$page")" '1 0'
    lacks 'and what comes late with its token gets no cookie' "$(head_of)" set-cookie
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
    is 'a form that is too large, of nobody' \
        "$(head -c 65537 /dev/zero | code /entries --data-binary @-)" 413
    is 'a form without a token, of nobody' "$(code /entries -d 'entry=1')" 403
    is 'neither begins a session' "$(token)" ''
    local big=$work/form csrf
    csrf=$(csrf)
    { printf 'csrf=%s&entry=' "$csrf"; head -c 65537 /dev/zero | tr '\0' a; } | head -c 65537 \
        >"$big"
    is 'a form that is too large' "$(code /entries --data-binary "@$big")" 413
    is 'and in chunks' "$(code /entries --data-binary "@$big" -H 'Transfer-Encoding: chunked')" 413
    head -c 65536 "$big" >"$big.fits"
    is 'a field that is too long' "$(code /entries --data-binary "@$big.fits")" 400
    is 'a field that is empty' "$(code /entries -d "csrf=$csrf&entry=%20")" 400
    is 'a field that is missing' "$(code /entries -d "csrf=$csrf&other=1")" 400
    is 'a field that is there twice' "$(code /entries -d "csrf=$csrf&entry=1&entry=2")" 400
    is 'no form at all' "$(code /entries -H 'Content-Type: application/json' -d '{}')" 400
    is 'a name that is empty' "$(code /sign-in -d "csrf=$csrf&name=")" 400
    is 'a token twice' "$(code /entries -d "csrf=$csrf&csrf=$csrf&entry=1")" 403
    is 'none of these writes' "$(ask / | entries)" 0
    is 'the token is good all the while' "$(code /entries -d "csrf=$csrf&entry=1")" 303
}

# Forms that came from elsewhere.
forgery() {
    local old foreign path
    client stranger
    foreign=$(csrf)
    client target
    old=$(csrf)
    differ 'each token is another' "$old" "$(csrf)"
    has 'none is kept by a cache' "$(head_of)" 'cache-control: no-store'
    for path in /entries /sign-in /clear /sign-out /sessions/revoke-others \
        /sessions/AAAAAAAAAAAAAAAAAAAAAA/revoke; do
        is "$path without a token" "$(code $path -d 'entry=1&name=Eve')" 403
        is 'with a wrong one' "$(code $path -d "csrf=${old:0:42}&entry=1&name=Eve")" 403
        is 'with that of another session' "$(code $path -d "csrf=$foreign&entry=1&name=Eve")" 403
        is 'by GET' "$(code $path)" 405
    done
    has 'the page says what to do' "$(ask /entries -d entry=1)" 'Reload it'
    has 'nothing has happened' "$(ask /session.json)" '"entries":[],"principal":null'
    is 'signing in' "$(post /sign-in 'name=Ada')" "303 $base/"
    is 'voids the tokens from before' "$(code /entries -d "csrf=$old&entry=1")" 403
    local page
    page=$(ask / | sed -nE 's/.*name=csrf value=([^>]+)>.*/\1/p')
    is 'the page has a good one' "$(code /entries -d "csrf=$page&entry=1")" 303
}

firefox='Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
edge='Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) '
edge+='Chrome/139.0.0.0 Safari/537.36 Edg/139.0.0.0'

# enter NAME BROWSER [CURL OPTION...]: signs in with a browser of its own.
enter() {
    client "$2"
    is "$1 signs in with $2" "$(post /sign-in "name=$1" "${@:3}")" "303 $base/"
}

# What nobody looks at: not counted, and what is shown once is not used up.
unseen() {
    local path option page
    local asking=(-I 'Sec-Purpose: prefetch' 'Sec-Purpose: prefetch;prerender'
        'sec-purpose: PREFETCH;anonymous-client-ip' 'Purpose: prefetch' 'X-Purpose: preview'
        'X-Moz: prefetch' 'Sec-Fetch-Dest: image' 'Sec-Fetch-Dest: empty')
    start '' "$@"
    client newcomer
    for path in / /sessions /csrf /session.json /ping /favicon.ico /nowhere; do
        ask $path -I >/dev/null
        lacks "HEAD $path sets no cookie" "$(head_of)" set-cookie
    done
    ask / -H 'Sec-Fetch-Dest: image' >/dev/null
    ask / -X OPTIONS >/dev/null
    ask /favicon.ico >/dev/null
    is 'nor does an image, OPTIONS or the favicon begin a session' "$(token) $(created)" ' 0'
    page=$(ask / -H 'Sec-Purpose: prefetch' | sed -nE 's/.*name=csrf value=([^>]+)>.*/\1/p')
    is 'the forms of a page that was fetched ahead work' \
        "$(code /entries -d "csrf=$page&entry=1")" 303

    client looker
    is 'a visit' "$(ask / -H 'Sec-Fetch-Dest: document' | visits)" 1
    post /sign-in 'name=Ada' >/dev/null
    post /sessions/revoke-others '' >/dev/null
    for option in "${asking[@]}"; do
        if [ "$option" != -I ]; then
            is "the page with '$option'" "$(ask / -H "$option" | visits)" 1
            lacks 'and its list of sessions' "$(ask /sessions -H "$option")" 'no other session'
        else
            is 'HEAD is answered as GET is' "$(code / -I) $(code /sessions -I)" '200 200'
        fi
        has 'is no visit' "$(ask /session.json)" '"visits":1,'
    done
    has 'and the notice is still there' "$(ask /sessions)" 'There was no other session.'
    lacks 'once' "$(ask /sessions)" 'no other session'
    is 'the next visit counts' "$(ask / | visits)" 2
    stop
}

# However much somebody writes, a page stays small, and so does what others wait for.
large() {
    local n text own csrf
    start '' "$@"
    client writer
    own=$(ask / >/dev/null; token) csrf=$(csrf)
    printf -v text '%2000s' ''
    printf 'csrf=%s&entry=' "$csrf" >"$work/large"
    sed 's/ /%3C/g' <<<"$text" | tr -d '\n' >>"$work/large"
    for n in $(seq 60); do
        curl -sS -o /dev/null -H "Cookie: __Host-id=$own" --data-binary "@$work/large" \
            "$base/entries"
    done
    is 'of long entries the newest are kept' "$(ask / | entries)" 16
    is 'on a page of less than 200 KB' "$(($(wc -c <"$work/body") < 200000))" 1
    seq 150 | xargs -I{} curl -sS -o /dev/null -H "Cookie: __Host-id=$own" \
        -d "csrf=$csrf&entry=number {}" "$base/entries"
    is 'of short ones too' "$(ask / | entries)" 100
    has 'up to the last' "$(ask /)" '<li>number 150</li>'
    lacks 'and not the one before them' "$(ask /)" '<li>number 50</li>'
    is 'one that is too long is refused' \
        "$(code /entries -d "csrf=$csrf&entry=$(printf 'a%.0s' $(seq 2001))")" 400
    is 'a long name too' "$(code /sign-in -d "csrf=$csrf&name=$(printf 'a%.0s' $(seq 241))")" 400
    printf 'csrf=%s&entry=' "$csrf" >"$work/large"
    sed 's/ /%01/g' <<<"$text" | tr -d '\n' >>"$work/large"
    for n in $(seq 20); do code /entries --data-binary "@$work/large" >>"$work/codes"; done
    lacks 'the newest fit however they are written' "$(cat "$work/codes")" 413

    for n in $(seq 102); do
        client "again$n"
        post /sign-in 'name=Many' >/dev/null
        if [ "$n" -eq 1 ]; then cp "$jar" "$work/first"; fi
    done
    is 'so does a list of sessions' "$(listed | wc -l)" 100
    jar=$work/first
    has 'the oldest of which end' "$(ask /session.json)" '"principal":null'
    stop
}

# All sessions of one person.
own_sessions() {
    local page before list laptop own foreign id
    client nobody
    is 'who is not signed in sees no sessions' "$(code /sessions)" 403
    has 'and is told why' "$(ask /sessions)" 'You are not signed in'
    is 'without a session' "$(token)" ''
    is 'nor can end one' "$(post /sessions/revoke-others '')" '403 '
    before=$(date -u +%FT%H:%M)
    enter 'Grace & co' laptop -A "$firefox"
    enter 'Grace & co' desktop -A "$edge" --http2-prior-knowledge
    enter 'Grace & co' script
    page=$(ask /sessions)
    has 'the page knows her' "$page" '<strong>Grace &amp; co</strong>'
    has 'the first browser' "$page" '<td>Firefox on Linux<td>'
    has 'the second' "$page" '<td>Edge on Windows<td>'
    has 'and this one' "$page" '<td>curl<br><em>this one</em><td>'
    is 'each with a button, and one for all others' "$(grep -o '<button' <<<"$page" | wc -l)" 4
    has 'whose buttons can be told apart' "$page" \
        'aria-label="Sign out Firefox on Linux, last seen '
    has 'that of this one too' "$page" 'aria-label="Sign out curl, this one"'
    list=$(listed)
    has 'programs get JSON' "$(head_of)" 'content-type: application/json'
    has 'which depends on what they accept' "$(head_of | grep -i ^vary)" Accept
    is 'of three sessions' "$(wc -l <<<"$list")" 3
    has 'this one among them' "$(tail -1 <<<"$list")" '"label":"curl"'
    is 'and the other two' "$(grep -c '"current":false' <<<"$list")" 2
    is 'created just now' "$(grep -cE "\"created\":\"($before|$(date -u +%FT%H:%M))" <<<"$list")" 3
    laptop=$(grep Firefox <<<"$list" | id_of)
    own=$(tail -1 <<<"$list" | id_of)

    is 'she ends one' "$(post "/sessions/$laptop/revoke" '')" "303 $base/sessions"
    page=$(ask /sessions)
    has 'and is told so' "$page" 'Signed out 1 other session.'
    lacks 'it is gone from the page' "$page" Firefox
    lacks 'she is told once' "$(ask /sessions)" 'Signed out'
    is 'it cannot be ended twice' "$(post "/sessions/$laptop/revoke" '')" '404 '
    jar=$work/jar.laptop
    has 'its very next request is a stranger' "$(ask /session.json)" '"new":true'
    lacks 'that is told nothing' "$(head_of)" set-cookie
    jar=$work/jar.desktop
    has 'the other browser goes on' "$(ask /session.json)" '"principal":"user:Grace & co"'

    enter 'Grace & co' laptop -A "$firefox"
    jar=$work/jar.script
    is 'she ends all others' "$(post /sessions/revoke-others '')" "303 $base/sessions"
    has 'two of them' "$(ask /sessions)" 'Signed out 2 other sessions.'
    for browser in laptop desktop; do
        jar=$work/jar.$browser
        is "$browser is out" "$(code /sessions)" 403
    done
    jar=$work/jar.script
    is 'she is in' "$(listed | wc -l)" 1
    post /sessions/revoke-others '' >/dev/null
    page=$(ask /sessions)
    has 'there is nothing more to end' "$page" 'There was no other session.'
    is 'but this one' "$(grep -o '<button' <<<"$page" | wc -l)" 1

    enter Mallory intruder
    foreign=$(listed | id_of)
    is "somebody else's session is not there" "$(post "/sessions/$own/revoke" '')" '404 '
    for id in x '' AAAAAAAAAAAAAAAAAAAAAA AAAAAAAAAAAAAAAAAAAAAB %00 "$foreign=" "$foreign/x" \
        "$(printf 'A%.0s' $(seq 5000))"; do
        is "nor is '${id:0:30}'" "$(post "/sessions/$id/revoke" '')" '404 '
    done
    is 'his own is' "$(post "/sessions/$foreign/revoke" '')" "303 $base/"
    is 'which signs him out' "$(token)" ''
    jar=$work/jar.script
    is 'she is still in' "$(code /sessions)" 200

    enter Grace odd -A '<b>bold</b>'
    has 'a label is shown escaped' "$(ask /sessions)" '<td>&lt;b&gt;bold&lt;<br>'
    enter Grace mute -H 'User-Agent:'
    has 'a program without a name' "$(ask /sessions)" '<td>Unknown program<br>'

    jar=$work/jar.desktop
    is 'who was signed out from elsewhere can sign in again at once' \
        "$(post /sign-in 'name=Grace & co')" "303 $base/"
    has 'and is in' "$(ask /session.json)" '"principal":"user:Grace & co"'
}

at_once() {
    client crowd
    ask / >/dev/null
    local own csrf
    own=$(token) csrf=$(csrf)
    seq 50 | xargs -P 16 -I{} curl -sS -o /dev/null -H "Cookie: __Host-id=$own" \
        -d "csrf=$csrf&entry=number {}" "$base/entries"
    is '50 entries at once are all there' \
        "$(ask / | grep -oE '<li>number [0-9]+</li>' | sort -u | wc -l)" 50
}

# slow SECONDS: a form of this browser that takes this long to arrive, while the same browser asks
# for other things. Prints the answer's status.
slow() {
    local port=${base##*:} csrf line end
    csrf=$(csrf)
    exec 4<>"/dev/tcp/127.0.0.1/$port"
    printf '%s\r\n' 'POST /entries HTTP/1.1' 'Host: x' "Cookie: __Host-id=$(token)" \
        'Content-Type: application/x-www-form-urlencoded' \
        "Content-Length: $((${#csrf} + 16))" '' >&4
    printf 'csrf=%s&entry' "$csrf" >&4
    end=$((SECONDS + $1))
    while [ $SECONDS -lt $end ]; do
        ask /session.json >/dev/null
        sleep 0.5
    done
    printf '=slow' >&4
    read -r line <&4
    exec 4<&-
    cut -d' ' -f2 <<<"$line"
}

# Forms that take longer than a token lives, and longer than one that was rotated away is accepted.
slow_forms() {
    local seconds senders=()
    start "$(key)" --rotate 1
    for seconds in 5 12 20; do
        (
            enter "Slow $seconds" "slow$seconds"
            is "a form of $seconds s is taken" "$(slow $seconds)" 303
            has 'its sender is still in, with it' "$(ask /session.json)" \
                "\"entries\":[\"slow\"],\"principal\":\"user:Slow $seconds\""
        ) >"$work/slow.$seconds" &
        senders+=("$!")
    done
    wait "${senders[@]}"
    cat "$work"/slow.*
    bad=$((bad + $(cat "$work"/slow.* | grep -c '^not ok')))
    lacks 'nobody is taken for a thief' "$(cat "$log")" 'came back'
    stop
}

# Tokens that rotate each second.
rotation() {
    local first second form round own
    start "$(key)" --rotate 1
    enter Ada turning
    first=$(token) form=$(csrf)
    sleep 1.1
    has 'after a second she is still in' "$(ask /session.json)" '"principal":"user:Ada"'
    has 'with a cookie that is not cached' "$(head_of)" 'cache-control: no-store'
    second=$(token)
    differ 'of another token' "$first" "$second"
    has 'the old one still works right then' "$(bare "$first" /session.json)" \
        '"principal":"user:Ada"'
    lacks 'and brings no third one' "$(head_of)" set-cookie
    is 'a form from before is good' "$(code /entries -d "csrf=$form&entry=1")" 303
    own=$(token)
    for round in 1 2 3; do
        sleep 1.1
        rm -f "$work"/many.*
        curl -sS --max-time 20 -Z --parallel-immediate --parallel-max 20 -i -o "$work/many.#1" \
            -H "Cookie: __Host-id=$own" "$base/session.json?[1-20]" 2>"$work/progress"
        is "20 requests at once, round $round, are all signed in" \
            "$(grep -l '"principal":"user:Ada"' "$work"/many.* | wc -l)" 20
        is 'one brings a cookie' "$(grep -hi '^set-cookie: ' "$work"/many.* | wc -l)" 1
        second=$(sed -nE 's/^set-cookie: __Host-id=([^;]+);.*/\1/p' "$work"/many.*)
        echo "$second" >>"$work/tokens"
        has 'that is good' "$(bare "$second" /session.json)" '"principal":"user:Ada"'
        has 'as is the one from before' "$(bare "$own" /session.json)" '"principal":"user:Ada"'
        own=$second
    done
    is 'one session is left' \
        "$(bare "$own" /sessions -H 'Accept: application/json' | grep -o '"id"' | wc -l)" 1
    is 'of one that was made' "$(created)" 1
    sleep 8 # beyond the overlap of the first token
    has 'a token that comes back much later opens nothing' "$(bare "$first" /session.json)" \
        '"new":true'
    has 'and ends the session, since there are keys' "$(bare "$own" /session.json)" '"new":true'
    enter Bob turner
    first=$(token)
    sleep 1.1
    has 'his next request is his' "$(ask /session.json)" '"principal":"user:Bob"'
    second=$(token)
    differ 'his jar has followed' "$first" "$second"
    is 'he signs out' "$(post /sign-out '')" "303 $base/"
    is 'and has no token' "$(token)" ''
    for own in "$first" "$second"; do
        has 'none of his opens anything' "$(bare "$own" /session.json)" '"principal":null'
    done
    stop
}

memory() {
    start '' "$@"
    pages
    guest_entries
    signing_in
    hostile
    forms
    forgery
    own_sessions
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
    is 'nobody can list it' "$(code /sessions)" 501
    has 'and the page says why' "$(ask /sessions)" 'live in their browsers'
    stop
    start "$first" --store cookie
    has 'it survives a restart' "$(ask /session.json)" \
        '"visits":2,"entries":["sealed"],"principal":"user:Ada"'
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
    has 'without keys a warning says what follows' "$(cat "$log")" \
        'the sessions end with this process'
    client brief
    is 'they begin' "$(ask / | visits) $(ask / | visits)" '1 2'
    stop
    start '' --store cookie
    is 'and end with the process' "$(ask / | visits)" 1
    stop
}

# A cookie without room for one more letter.
full_cookie() {
    local page size text
    start '' --store cookie
    client full
    ask / >/dev/null
    for size in 1500 300 60 12 1; do
        text=$(printf 'a%.0s' $(seq $size))
        while [ "$(post /entries "entry=$text")" = "303 $base/" ]; do :; done
    done
    is 'a full cookie takes no more' "$(post /entries 'entry=a')" '413 '
    page=$(ask /)
    has 'its page comes with a token' "$page" '<input type=hidden name=csrf value='
    is 'that clears it' "$(post /clear '')" "303 $base/"
    is 'and there is room again' "$(post /entries 'entry=a')" "303 $base/"
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
        is 'the summary' "$(bare "$own" /session.json "$version" -o /dev/null -w '%{http_code}')" \
            503
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
    local port line csrf
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
    client half
    csrf=$(csrf)
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    printf '%s\r\n' 'POST /entries HTTP/1.1' 'Host: x' "Cookie: __Host-id=$(token)" \
        'Content-Type: application/x-www-form-urlencoded' \
        "Content-Length: $((${#csrf} + 16))" '' >&3
    printf 'csrf=%s&entry' "$csrf" >&3
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
        output=$(SESSION_KEYS=$text timeout -s KILL 5 "$GUESTBOOK" --listen 127.0.0.1:0 2>&1) ||
            code=$?
        is "SESSION_KEYS=$(printf %q "$text") ends the program" "$code" 1
        has 'with an error that names it' "$output" SESSION_KEYS
        lacks 'and holds no key' "$output" secret
        if [ ${#text} -gt 1 ]; then lacks 'in any spelling' "$output" "$text"; fi
    done
}

# refused PART OPTION...: the program ends with an error that says so.
refused() {
    local output code=0
    output=$(env -u SESSION_KEYS timeout -s KILL 5 \
        "$GUESTBOOK" --listen 127.0.0.1:0 "${@:2}" 2>&1) || code=$?
    is "${*:2} ends the program" "$code" 1
    has 'and says why' "$output" "$1"
}

bad_options() {
    local n
    refused 'a sealed store cannot rotate tokens' --store cookie --rotate 5
    refused '--rotate 0 is too often' --rotate 0
    refused '--rotate takes a number of seconds' --rotate often
    refused '--rotate needs a value' --rotate
    refused '--turn is not an option' --turn 5
    for n in 0 -1 many 100001; do
        refused '--connections takes a number from 1 to 100000' --connections "$n"
    done
}

usage() {
    local output code=0
    output=$(timeout -s KILL 5 "$GUESTBOOK" --help) || code=$?
    is '--help is no failure' "$code" 0
    has 'it names the options' "$output" '--rotate SECONDS'
    has 'and says what keys are for' "$output" 'SESSION_KEYS'
}

memory
unseen
large
signed_tokens
rotation
slow_forms
cookie_store
full_cookie
failing
shutdown
bad_keys
bad_options
usage
exit $((bad > 0))
