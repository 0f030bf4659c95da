#!/usr/bin/env bash
# Drives the guestbook example with Python's requests and its cookie jar.
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

for options in memory cookie 'memory --rotate 1'; do
    read -ra options <<<"$options"
    start '' --store "${options[@]}"
    python3 - "$base" "${options[*]}" <<'PYTHON' || bad=1
import sys
import time
from http.cookiejar import DefaultCookiePolicy

import requests

base, store = sys.argv[1:]
good, secure = True, []


class AsBrowsers(DefaultCookiePolicy):
    """Browsers send Secure cookies to their own machine over HTTP. Jars of requests do not."""

    def set_ok(self, cookie, request):
        secure.append(cookie.secure)
        cookie.secure = False
        return super().set_ok(cookie, request)


client = requests.Session()
client.cookies.set_policy(AsBrowsers())


def same(name, actual, expected):
    global good
    if actual == expected:
        print(f"ok requests, {store}: {name}")
    else:
        print(f"not ok requests, {store}: {name}: got {actual!r}, expected {expected!r}")
        good = False


def summary():
    return client.get(base + "/session.json").json()


def send(path, **form):
    """A form, as from a page that was just opened."""
    form["csrf"] = client.get(base + "/csrf").text
    return client.post(base + path, data=form, allow_redirects=path != "/sign-out").status_code


same("nothing at first", (summary()["new"], len(client.cookies)), (True, 0))
answer = client.post(base + "/entries", data={"entry": "x"})
same("a form without a token is refused", answer.status_code, 403)
same("an entry is taken", send("/entries", entry="by requests"), 200)
cookies = list(client.cookies)
same("one cookie", [cookie.name for cookie in cookies], ["__Host-id"])
same("secure, each time", set(secure), {True})
same("with the path / and until the end", [(c.path, c.expires) for c in cookies], [("/", None)])
same("and HttpOnly", [c.has_nonstandard_attr("HttpOnly") for c in cookies], [True])
anonymous = cookies[0].value
same("signing in", send("/sign-in", name="Ada"), 200)
same("another token", client.cookies["__Host-id"] != anonymous, True)
seen = summary()
same("who it is", (seen["principal"], seen["entries"]), ("user:Ada", ["by requests"]))
if store.endswith("--rotate 1"):
    form = {"csrf": client.get(base + "/csrf").text, "entry": "from before"}
    for turn in 1, 2, 3:
        before = client.cookies["__Host-id"]
        time.sleep(1.1)
        same(f"signed in after {turn} s", summary()["principal"], "user:Ada")
        same("with another token", client.cookies["__Host-id"] != before, True)
        same("in a jar of one", len(client.cookies), 1)
    same("a form from before is good", client.post(base + "/entries", data=form).status_code, 200)
same("signing out", send("/sign-out"), 303)
same("takes the cookie out of the jar", len(client.cookies), 0)
same("and ends it", (summary()["new"], summary()["principal"]), (True, None))
sys.exit(not good)
PYTHON
    stop
done
exit $((bad > 0))
