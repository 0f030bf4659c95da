#!/usr/bin/env bash
# Drives the guestbook's page for operators, over the store of the first argument, or in memory.
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

store=${1:-memory}
password='correct: hörse battery'

# operator PATH [CURL OPTION...]: what an operator gets; the head goes into a file.
operator() {
    curl -sS --max-time 20 -D "$work/head" -u "me:$password" "${@:2}" "$base$1"
}

status() { operator "$1" -o /dev/null -w '%{http_code}' "${@:2}"; }

# member NAME BROWSER [CURL OPTION...]: signs in with a browser of its own.
member() {
    client "$2"
    is "$2 signs in" "$(post /sign-in "name=$1" "${@:3}")" "303 $base/"
}

# end_session ID PATH [CURL OPTION...]: presses the button of a row. Prints the status, and where to
# go then.
end_session() {
    operator "$2" -o /dev/null -w '%{http_code} ' -d "session=$1" "${@:3}"
    head_of | sed -nE 's/^location: //Ip'
}

# short PRINCIPAL: the short id in the button of this person's row.
short() {
    operator /admin | sed -E 's/<tr>/\n/g' | grep -F "user:$1</bdi>" |
        sed -nE 's/.*name=session value=([0-9a-f]{8})>.*/\1/p'
}

without_a_password() {
    start ''
    client nobody
    is 'without the variable there is no page' "$(code /admin)" 404
    is 'nor a button' "$(code /admin/end -d session=00000000)" 404
    stop
    export GUESTBOOK_ADMIN_PASSWORD=
    start ''
    is 'nor with an empty one' "$(code /admin)" 404
    is 'which is no password' "$(code /admin -u 'me:')" 404
    stop
}

the_door() {
    local path
    client nobody
    for path in /admin /admin/end; do
        is "$path asks for a password" "$(code $path)" 401
        has 'by a challenge' "$(head_of | tr A-Z a-z)" 'www-authenticate: basic realm='
        is 'a wrong one is refused' "$(code $path -u "me:${password}x")" 401
        is 'an empty one too' "$(code $path -u me:)" 401
        is 'a form without one too' "$(code $path -d session=00000000)" 401
    done
    lacks 'nobody sees the page' "$(ask /admin)" 'Sign-ins'
    is 'the right one opens it' "$(status /admin)" 200
    is 'over HTTP/2' "$(status /admin --http2-prior-knowledge)" 200
    is 'it is no form' "$(status /admin -d x=1)" 405
    is 'and its buttons no page' "$(status /admin/end)" 405
    is 'there is nothing else' "$(status /admin/x)" 404
}

the_page() {
    local page head forged
    member '<script>alert(1)</script>"&' hostile -A '<img src=x>'
    member Edith ada
    forged=$(printf 'A%.0s' $(seq 43))
    bare "$forged" /session.json >/dev/null
    page=$(operator /admin) head=$(head_of | tr A-Z a-z)
    has 'the page is kept by no cache' "$head" 'cache-control: no-store'
    has 'it loads nothing' "$head" "content-security-policy: default-src 'none'; style-src 'sha256-"
    has 'it comes again' "$head" 'refresh: 5'
    lacks 'and sets no cookie' "$head" set-cookie
    lacks 'it has no script' "$page" '<script'
    lacks 'nor anything of other sites' "$(sed -E 's/user:[^<]*//g' <<<"$page")" '://'
    has 'a hostile name is text' "$page" \
        '<bdi>user:&lt;script&gt;alert(1)&lt;/script&gt;&quot;&amp;</bdi>'
    has 'so is a hostile label' "$page" '<bdi>&lt;img</bdi>'
    lacks 'and never raw' "$page" '<img'
    has 'a forged token is counted' "$page" 'aria-label="Refused: 1 in 15 minutes'
    has 'sign-ins are counted' "$page" 'aria-label="Created: 2 in 15 minutes'
    if [ "$store" = memory ]; then
        has 'a store in memory is not timed, and the page says so' "$page" 'are not timed'
        lacks 'it has no plot of latencies' "$page" 'Latency of'
    else
        has 'loads are timed' "$page" 'Latency of load'
        lacks 'and the page does not deny it' "$page" 'are not timed'
    fi
    page=$(operator '/admin?paused')
    lacks 'a paused page stays' "$(head_of | tr A-Z a-z)" 'refresh:'
    has 'so do its forms' "$page" 'action=/admin/end?paused'
}

ending() {
    local session own
    session=$(short Edith)
    is 'a row has a button' "$(grep -cE '^[0-9a-f]{8}$' <<<"$session")" 1
    is 'a form without an origin is refused' "$(end_session "$session" /admin/end)" '403 '
    is 'that of another site too' \
        "$(end_session "$session" /admin/end -H 'Origin: https://evil.example')" '403 '
    is 'of a sandbox' "$(end_session "$session" /admin/end -H 'Origin: null')" '403 '
    is 'of another site of this domain' \
        "$(end_session "$session" /admin/end -H "Origin: $base" -H 'Sec-Fetch-Site: same-site')" \
        '403 '
    own=(-H "Origin: $base")
    is 'one without a session is refused' "$(status /admin/end "${own[@]}" -d x=1)" 400
    is 'an unknown session is not there' "$(end_session 00000000 /admin/end "${own[@]}")" '404 '
    is 'a form that is too large is not read' \
        "$(head -c 70000 /dev/zero | status /admin/end "${own[@]}" --data-binary @-)" 413
    jar=$work/jar.ada
    has 'she is still in' "$(ask /session.json)" '"principal":"user:Edith"'
    is 'the button' "$(end_session "$session" /admin/end "${own[@]}")" '303 /admin#sign-ins'
    has 'signs her out' "$(ask /session.json)" '"new":true'
    is 'her row has no button any more' "$(short Edith)" ''
    is 'to press it twice does no harm' "$(end_session "$session" '/admin/end?paused' \
        -H 'Sec-Fetch-Site: same-origin')" '303 /admin?paused#sign-ins'
    has 'others stay in' "$(jar=$work/jar.hostile ask /session.json)" 'script'
    has 'the log says who did it' "$(cat "$log")" 'an operator ended a session'
}

guessing() {
    local _ page head
    client nobody
    for _ in $(seq 80); do code /admin -u me:guess; echo; done >"$work/guesses"
    has 'guessing is limited' "$(sort -u "$work/guesses" | tr '\n' ' ')" '401 429'
    is 'nobody gets in for a while' "$(status /admin)" 429
    page=$(operator /admin) head=$(head_of | tr A-Z a-z)
    has 'and is told for how long' "$head" 'retry-after: '
    has 'the page says so' "$page" 's nobody gets in, not even with the right one. This page tries'
    is 'it comes again when that is over, and no sooner' \
        "$(sed -nE 's/^refresh: //p' <<<"$head")" "$(sed -nE 's/^retry-after: //p' <<<"$head")"
    operator /admin/end -o /dev/null -d session=00000000
    lacks 'a form is not sent again' "$(head_of | tr A-Z a-z)" 'refresh:'
    is 'the log says it once' "$(grep -c 'too many wrong passwords' "$log")" 1
    is 'the guestbook goes on' "$(code /)" 200
}

failing() {
    local page own
    own=$(printf 'A%.0s' $(seq 43))
    start '' --store failing
    is 'while the store is down, so is the site' \
        "$(bare "$own" / -o /dev/null -w '%{http_code}')" 503
    page=$(operator /admin)
    has 'but not the page' "$page" 'Look at this: 1 store failed.'
    has 'which says how' "$page" '<small>1 unavailable</small>'
    stop
}

without_a_password
export GUESTBOOK_ADMIN_PASSWORD=$password
start '' --store "$store"
the_door
the_page
ending
guessing
lacks 'no password is in the log' "$(cat "$log")" "$password"
lacks 'in no spelling' "$(cat "$log")" "$(printf 'me:%s' "$password" | base64)"
stop
failing
exit $((bad > 0))
