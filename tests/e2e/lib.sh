# shellcheck shell=bash
# What the scripts here share: servers of the guestbook example, a browser made of curl and a cookie
# jar, checks. GUESTBOOK names the example's binary. Prints "ok ..." or "not ok ..." for each check.
# Needs curl 7.79 or newer, which takes 127.0.0.1 for secure as browsers do.

# The servers log all they can, and no token may be in it.
export RUST_LOG=trace

work=$(mktemp -d)
pid='' base='' log='' jar='' bad=0 pids=()
trap 'kill "${pids[@]}" 2>/dev/null; rm -rf "$work"' EXIT

# is NAME ACTUAL EXPECTED
is() {
    if [ "$2" = "$3" ]; then
        echo "ok $1"
    else
        echo "not ok $1: got '${2:0:200}', expected '${3:0:200}'"
        bad=$((bad + 1))
    fi
}

# differ NAME ONE OTHER
differ() { is "$1" "$([ "$2" != "$3" ] && echo differ)" differ; }

# has NAME TEXT PART, and lacks NAME TEXT PART
has() { is "$1" "$(grep -qF -e "$3" <<<"$2" && echo there || head -c 200 <<<"$2")" there; }
lacks() { is "$1" "$(grep -cF -e "$3" <<<"$2")" 0; }

# start [KEYS] [OPTION...]: a server on a free port, with SESSION_KEYS if KEYS is not empty.
start() {
    local keys=${1:-}
    log=$work/log.${#pids[@]}
    if [ -n "$keys" ]; then
        SESSION_KEYS=$keys "$GUESTBOOK" --listen 127.0.0.1:0 "${@:2}" >"$log" 2>&1 &
    else
        env -u SESSION_KEYS "$GUESTBOOK" --listen 127.0.0.1:0 "${@:2}" >"$log" 2>&1 &
    fi
    pid=$!
    pids+=("$pid")
    await 'listening on http' || exit 1
    base=$(sed -nE 's/.*listening on (https?:[^ ]*).*/\1/p' "$log")
}

# await TEXT: until the log has it.
await() {
    local _
    for _ in $(seq 1200); do
        if grep -qsF -e "$1" "$log"; then return 0; fi
        sleep 0.05
    done
    echo "not ok the log never said '$1': $(cat "$log")"
    return 1
}

# stop: ends the server. No token that was seen, of a session or of a form, may be in its log.
stop() {
    kill "$pid" && wait "$pid"
    pid=''
    if [ -s "$work/tokens" ]; then
        is 'no token is in the log' "$(grep -cFf "$work/tokens" "$log")" 0
    fi
}

client() { jar=$work/jar.$1; rm -f "$jar"; }
key() { head -c 32 /dev/urandom | base64 | tr -d '\n'; }

# ask PATH [CURL OPTION...]: the body that this browser gets; its head goes into a file.
ask() {
    curl -sS --max-time 20 -b "$jar" -c "$jar" -D "$work/head" "${@:2}" "$base$1" | tee "$work/body"
    token >>"$work/tokens"
    sed -nE 's/.*name=csrf value=([^>]+)>.*/\1/p' "$work/body" >>"$work/tokens"
}

# csrf: a token for this browser's forms.
csrf() {
    local text
    text=$(ask /csrf)
    if [ -n "$text" ]; then echo "$text" | tee -a "$work/tokens"; fi
}

# bare COOKIE PATH [CURL OPTION...]: the same with this cookie and no jar.
bare() { curl -sS --max-time 20 -H "Cookie: __Host-id=$1" -D "$work/head" "${@:3}" "$base$2"; }

# post PATH FIELD [CURL OPTION...]: sends a form, as from a page that was just opened.
post() {
    ask "$1" --data-urlencode "csrf=$(csrf)" ${2:+--data-urlencode "$2"} -o /dev/null \
        -w '%{http_code} %{redirect_url}' "${@:3}"
}

code() { ask "$1" -o /dev/null -w '%{http_code}' "${@:2}"; }
head_of() { tr -d '\r' <"$work/head"; }
token() { [ ! -e "$jar" ] || awk '$6 == "__Host-id" { print $7 }' "$jar"; }
visits() { sed -nE 's/.*<span id=visits>([0-9]+)<.*/\1/p'; }
entries() { grep -o '<li>' | wc -l; }
# listed: this person's sessions, one a line, this one last.
listed() {
    local item='\{"id":"[^"]+","label":("[^"]*"|null),"created":"[^"]+",'
    item+='"last_seen":"[^"]+","current":(true|false)\}'
    ask /sessions -H 'Accept: application/json' | grep -oE "$item" | sort -t, -k5
}
id_of() { sed -E 's/.*"id":"([^"]+)".*/\1/'; }
created() { grep -c ' created' "$log"; }
