#!/usr/bin/env bash
# Connections that keep the guestbook example waiting: it closes them, and answers others meanwhile.
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# stall CLIENTS: opens CLIENTS connections of each kind and waits until the server has closed them.
stall() {
    # Opened before the server is busy.
    client patient
    post /entries 'entry=kept' >/dev/null
    python3 - "$base" "$1" "$(token)" "$(csrf)" <<'PYTHON' || bad=1
import selectors
import socket
import struct
import sys
import time

base, clients, token, csrf = sys.argv[1:]
host, port = base.removeprefix("http://").rsplit(":", 1)
good = True


def check(name, right, got=""):
    global good
    print(f"ok {name}" if right else f"not ok {name}: {got}")
    good = good and right


def frame(kind, payload=b""):
    return struct.pack("!I", len(payload))[1:] + bytes([kind, 0, 0, 0, 0, 0]) + payload


HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4)
HALF_FORM = (
    f"POST /entries HTTP/1.1\r\nHost: x\r\nCookie: __Host-id={token}\r\n"
    "Content-Type: application/x-www-form-urlencoded\r\n"
    f"Content-Length: 1000\r\n\r\ncsrf={csrf}&entry=half"
).encode()
PAGES = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n" * 4000

# What each sends at first, what it sends every second, whether it reads, and when it is closed at
# the latest.
# Whoever does not read cannot see that; it finds out later that not all of its answers are there.
KINDS = {
    "says nothing": (b"", b"", True, 14),
    "begins like HTTP/2": (b"PRI * HT", b"", True, 14),
    "sends half a head": (b"GET / HTTP/1.1\r\nHost: x\r\n", b"", True, 14),
    "sends a head letter by letter": (b"GET / HTTP/1.1\r\nX: ", b"x", True, 14),
    "speaks HTTP/2 and asks nothing": (HTTP2, b"", True, 14),
    "pings and asks nothing": (HTTP2, frame(6, bytes(8)), True, 14),
    "asked once": (b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n", b"", True, 14),
    "sends half a form": (HALF_FORM, b"", True, 36),
    "sends a form letter by letter": (HALF_FORM, b"x", True, 36),
    "never reads": (PAGES, b"", False, None),
}


class Stalled:
    def __init__(self, kind):
        self.kind = kind
        self.first, self.drip, self.reads, self.limit = KINDS[kind]
        self.socket = socket.socket()
        if not self.reads:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect((host, int(port)))
        self.socket.setblocking(False)
        self.said = b""
        self.closed = None
        self.send(self.first)

    def send(self, data):
        try:
            self.socket.send(data)
        except BlockingIOError:
            pass
        except OSError:
            self.end()

    def look(self):
        """Reads what there is; the end of it is the end of the connection."""
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.said += data
        if not data:
            self.end()

    def end(self):
        if self.closed is None:
            self.closed = time.monotonic() - began


def ping():
    """How long a client waits that asks for something."""
    at = time.monotonic()
    with socket.create_connection((host, int(port)), timeout=20) as client:
        client.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while data := client.recv(4096):
            answer += data
    assert answer.endswith(b"pong"), answer
    return time.monotonic() - at


began = time.monotonic()
stalled = [Stalled(kind) for kind in KINDS for _ in range(int(clients))]
selector = selectors.DefaultSelector()
for one in stalled:
    if one.reads:
        selector.register(one.socket, selectors.EVENT_READ, one)
readers = [one for one in stalled if one.reads]
waits, turn = [], began
while any(one.closed is None for one in readers) and time.monotonic() - began < 40:
    for key, _ in selector.select(timeout=0.2):
        key.data.look()
        if key.data.closed is not None:
            selector.unregister(key.fileobj)
    if time.monotonic() > turn:
        turn += 1
        waits.append(ping())
        for one in readers:
            if one.drip and one.closed is None:
                one.send(one.drip)

for kind in dict.fromkeys(one.kind for one in readers):
    ends = [one.closed for one in readers if one.kind == kind]
    late = [end for end in ends if end is None or end > KINDS[kind][3]]
    check(f"who {kind} is cut off", not late, f"{len(late)} of {len(ends)} not in time: {late[:3]}")
    if "form" in kind:
        said = [one.said[:12] for one in stalled if one.kind == kind]
        check("with a 408", set(said) == {b"HTTP/1.1 408"}, set(said))
time.sleep(max(0, began + 40 - time.monotonic()))
answers = []
for one in set(stalled) - set(readers):
    one.socket.settimeout(3)
    try:
        while data := one.socket.recv(65536):
            one.said += data
    except OSError:
        pass
    answers.append(one.said.count(b"HTTP/1.1 404"))
check("who never reads is cut off", max(answers) < 4000, answers)
check("others are answered all the while", max(waits) < 2, f"{max(waits):.1f} s")
sys.exit(not good)
PYTHON
    has 'and a form that never came whole leaves the session as it was' "$(ask /session.json)" \
        '"entries":["kept"]'
}

# crowd WHAT TEXT: many more connections than there may be, each of which sends TEXT and stalls.
crowd() {
    python3 - "$base" "$1" "$2" <<'PYTHON' || bad=1
import socket
import sys
import time

base, what, text = sys.argv[1:]
host, port = base.removeprefix("http://").rsplit(":", 1)
stalled = [socket.create_connection((host, int(port)), timeout=20) for _ in range(100)]
for one in stalled:
    try:
        one.sendall(text.encode().decode("unicode_escape").encode())
    except OSError:
        pass
at = time.monotonic()
with socket.create_connection((host, int(port)), timeout=60) as client:
    client.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = b""
    while data := client.recv(4096):
        answer += data
wait = time.monotonic() - at
right = answer.endswith(b"pong") and wait < 20
said = f"ok who comes after many {what} is answered"
print(said if right else f"not ok {what}: {wait:.1f} s, {answer}")
sys.exit(not right)
PYTHON
    has 'and the log says that it was full' "$(cat "$log")" 'connections are open'
}

start ''
stall 20
stop
start '' --connections 20
crowd 'silent connections' ''
crowd 'half heads' 'GET / HTTP/1.1\r\n'
stop
start '' --connections 50
crowd 'half forms' 'POST /entries HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx'
stop
exit $((bad > 0))
