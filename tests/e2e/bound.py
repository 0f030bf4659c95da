"""Drives the guestbook as a browser that binds its session to a device.

Arguments: the guestbook's address, the hash of its certificate's public key, and a file that gets
what no log may have. Prints "ok .." or "not ok .." for each check.
"""

import itertools
import json
import re
import sys
import time

from device import BOUND, SESSION, Browser, Device, Server, end, same

# A session that was just bound needs no proof for a minute.
GRACE = 60

base, key_hash, secrets = sys.argv[1:]
server = Server(base, key_hash)
ada, device = Browser(itertools.cycle([server]), secrets), Device()
same("the log names the certificate's key", server.connect()[1], key_hash)

# Signing in, and the offer.
answer = ada.send("/sign-in", name="Ada")
same("a sign-in", answer.status, 303)
offer = answer.offer()
found = re.fullmatch(r'\(ES256\);path="([^"]+)";challenge="([^"]+)"', offer)
same("offers a registration", bool(found), True)
if not found:
    sys.exit(1)
register, challenge = found.groups()
same("and sets one cookie", list(answer.cookies), [SESSION])
same("she is signed in", ada.who(), "user:Ada")
other = ada.holding()
other.send("/sign-in", name="Bob")

# What is no registration.
forged = device.sign(challenge, jwk=Device().jwk())
for what, browser, proof, status in [
    ("nothing signed", ada, None, 400),
    ("a text that is no JWS", ada, "a.b", 400),
    ("a signature by another key", ada, forged, 400),
    ("no key", ada, device.sign(challenge), 400),
    ("no signature", ada, device.registers(challenge).rsplit(".", 1)[0] + ".", 400),
    ("another algorithm", ada, device.sign(challenge, jwk=device.jwk(), alg="none"), 400),
    ("another challenge", ada, device.registers("A" * 54), 403),
    ("the challenge of another session", other, device.registers(challenge), 403),
    ("no session", ada.holding(), device.registers(challenge), 403),
]:
    answer = browser.post(register, proof)
    same(f"{what} is refused", (answer.status, answer.cookies), (status, {}))

# The registration.
answer = ada.post(register, device.registers(challenge))
bound_at = time.monotonic()
same("a registration", answer.status, 200)
same("sets the bound cookie", list(answer.cookies), [BOUND])
cookie = (answer.headers["set-cookie"] or "").split("; ")[1:]
age = [part for part in cookie if part.startswith("Max-Age=")]
same("for ten minutes", age, ["Max-Age=600"])
same("is answered in JSON", answer.headers["content-type"], "application/json")
same("that nobody keeps", answer.headers["cache-control"], "no-store")
told = json.loads(answer.body)
name, refresh = told["session_identifier"], told["refresh_url"]
same(
    "of the whole site",
    told["scope"],
    {"include_site": False, "scope_specification": []},
)
[credential] = told["credentials"]
same("the cookie is named", (credential["type"], credential["name"]), ("cookie", BOUND))
same(
    "with its attributes",
    sorted(credential["attributes"].split("; ")),
    sorted(part for part in cookie if part not in age),
)
same("she is still signed in", ada.who(), "user:Ada")
answer = ada.copy(SESSION).post(register, Device().registers(challenge))
same("a second device is refused", (answer.status, answer.cookies), (403, {}))
[entry] = json.loads(ada.ask("GET", "/sessions", accept="application/json").body)
same("the list of sessions says that it is bound", "bound" in entry, True)

# The refresh.
whose = {"sec_secure_session_id": name}
before = ada.cookies.pop(BOUND)
answer = ada.post(refresh, **whose)
challenge, asked = answer.challenge()
same("a refresh with nothing signed", answer.status, 403)
same("brings a challenge of this binding", (bool(challenge), asked), (True, name))
time.sleep(0.01)  # two proofs of the same millisecond are equal
answer = ada.post(refresh, device.sign(challenge), **whose)
same("a refresh", answer.status, 200)
same("sets the bound cookie again", list(answer.cookies), [BOUND])
same("to another value", ada.cookies[BOUND] != before, True)
same("tells the same", json.loads(answer.body), told)
challenge, asked = answer.challenge()
same("and brings the next challenge", (bool(challenge), asked), (True, name))
answer = ada.post(refresh, device.sign(challenge), sec_secure_session_id=f'"{name}"')
same("which is good, and so is a quoted name", answer.status, 200)
challenge, _ = answer.challenge()
thief = ada.copy(SESSION)
for what, browser, proof, headers, status in [
    ("nothing that the device has signed", thief, Device().sign(challenge), whose, 400),
    ("another challenge", thief, device.sign("A" * 54), whose, 403),
    ("another name", thief, device.sign(challenge), {"sec_secure_session_id": "x"}, 401),
    ("no name", thief, device.sign(challenge), {}, 401),
    ("no session", ada.holding(), device.sign(challenge), whose, 401),
    ("a session that is not bound", other, device.sign(challenge), whose, 401),
]:
    answer = browser.post(refresh, proof, **headers)
    same(f"a refresh with {what}", (answer.status, answer.cookies), (status, {}))

# The session cookie alone.
thief = ada.copy(SESSION)
while thief.who() is not None and time.monotonic() < bound_at + GRACE + 10:
    time.sleep(0.2)
same("the session cookie alone is anonymous", thief.who(), None)
same("after the grace", time.monotonic() - bound_at >= GRACE - 1, True)
answer = thief.ask("GET", "/session.json")
same("and keeps its cookie", answer.cookies, {})
same("as is the bound cookie alone", ada.copy(BOUND).who(), None)
other.cookies[BOUND] = ada.cookies[BOUND]
same("which says nothing in another session", other.who(), "user:Bob")
mixed = ada.holding({SESSION: ada.cookies[SESSION], BOUND: "A" * 32})
same("a forged one is worth nothing", mixed.who(), None)
same("the former one is good", ada.holding({**ada.cookies, BOUND: before}).who(), "user:Ada")
same("and she is signed in", ada.who(), "user:Ada")
same("a browser without a device too", other.who(), "user:Bob")
del ada.cookies[BOUND]
same("without her proof she is not", ada.who(), None)
answer = ada.post(refresh, device.sign(challenge), **whose)
same("with the next one", answer.status, 200)
same("she is", ada.who(), "user:Ada")

# Signing out.
proof = ada.cookies[BOUND]
held = dict(ada.cookies)
answer = ada.send("/sign-out")
same("a sign-out removes both cookies", answer.cookies, {SESSION: "", BOUND: ""})
same("which open nothing", ada.holding(held).who(), None)
answer = ada.holding(held).post(refresh, device.sign(challenge), **whose)
same("and are not refreshed", (answer.status, answer.cookies), (401, {}))
end()
