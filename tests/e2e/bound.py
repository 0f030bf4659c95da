"""A browser that binds its session to a device, written without the library.

Arguments: the guestbook's address, the hash of its certificate's public key, and a file that gets
what no log may have. Prints "ok .." or "not ok .." for each check.
"""

import base64
import hashlib
import http.client
import json
import re
import ssl
import sys
import time
from urllib.parse import urlencode, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

SESSION, BOUND = "__Host-id", "__Host-id-bound"
# A session that was just bound needs no proof for a minute.
GRACE = 60

base, key_hash, secrets = sys.argv[1:]
good = True


def same(name, actual, expected):
    global good
    if actual == expected:
        print(f"ok bound: {name}")
    else:
        print(f"not ok bound: {name}: got {actual!r}, expected {expected!r}")
        good = False


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Device:
    """A key, and what it signs."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())

    def jwk(self):
        point = self.key.public_key().public_numbers()
        x, y = (base64url(number.to_bytes(32, "big")) for number in (point.x, point.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y}

    def sign(self, challenge, **header):
        header = {"typ": "dbsc+jwt", "alg": "ES256", **header}
        parts = (json.dumps(part).encode() for part in (header, {"jti": challenge}))
        text = ".".join(map(base64url, parts))
        r, s = decode_dss_signature(self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return text + "." + base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    def registers(self, challenge):
        return self.sign(challenge, jwk=self.jwk())


class Answer:
    def __init__(self, response):
        self.status, self.headers = response.status, response.headers
        self.body = response.read()
        # What is set, by name; an empty value for a cookie that is removed.
        self.cookies = {}
        for line in self.headers.get_all("set-cookie", []):
            name, value = line.split(";")[0].split("=", 1)
            self.cookies[name] = "" if "Max-Age=0" in line else value

    def offer(self):
        return self.headers["secure-session-registration"] or ""

    def challenge(self):
        """What `Secure-Session-Challenge` says: the challenge, and whose it is."""
        header = self.headers["secure-session-challenge"] or ""
        found = re.fullmatch(r'"([^"]+)";id="([^"]+)"', header)
        return found.groups() if found else (None, None)


class Browser:
    """Cookies, and trust in one certificate."""

    def __init__(self, cookies=()):
        self.cookies = dict(cookies)

    @staticmethod
    def connect():
        """A connection, and the hash of the server's key."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # The certificate is known by its key.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        address = urlsplit(base)
        link = http.client.HTTPSConnection(
            address.hostname, address.port, context=context, timeout=20
        )
        link.connect()
        certificate = x509.load_der_x509_certificate(link.sock.getpeercert(True))
        key = certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return link, base64.b64encode(hashlib.sha256(key).digest()).decode()

    def ask(self, method, path, body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookies:
            headers["cookie"] = "; ".join(f"{name}={it}" for name, it in self.cookies.items())
        # The server closes those that wait for long.
        link, hash = self.connect()
        if hash != key_hash:
            sys.exit("this is another server")
        link.request(method, path, body, headers)
        answer = Answer(link.getresponse())
        link.close()
        for name, value in answer.cookies.items():
            self.cookies[name] = value
            if not value:
                del self.cookies[name]
        with open(secrets, "a") as file:
            sent = headers.get("secure-session-response")
            offered = re.search(r'challenge="([^"]+)"', answer.offer())
            offered = offered and offered[1]
            for secret in [*self.cookies.values(), answer.challenge()[0], offered, sent]:
                if secret:
                    print(secret, file=file)
        return answer

    def who(self):
        return json.loads(self.ask("GET", "/session.json").body)["principal"]

    def send(self, path, **fields):
        """A form, as from a page that was just opened."""
        fields["csrf"] = self.ask("GET", "/csrf").body.decode()
        form = {"content_type": "application/x-www-form-urlencoded"}
        return self.ask("POST", path, urlencode(fields), **form)

    def post(self, path, proof=None, **headers):
        """What a browser posts for a device: no body."""
        if proof is not None:
            headers["secure_session_response"] = proof
        return self.ask("POST", path, sec_fetch_site="same-origin", **headers)

    def copy(self, *names):
        """A thief who has these cookies."""
        return Browser({name: self.cookies[name] for name in names})


ada, device = Browser(), Device()
same("the log names the certificate's key", Browser.connect()[1], key_hash)

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
other = Browser()
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
    ("no session", Browser(), device.registers(challenge), 403),
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
    ("no session", Browser(), device.sign(challenge), whose, 401),
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
mixed = Browser({SESSION: ada.cookies[SESSION], BOUND: "A" * 32})
same("a forged one is worth nothing", mixed.who(), None)
same("the former one is good", Browser({**ada.cookies, BOUND: before}).who(), "user:Ada")
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
same("which open nothing", Browser(held).who(), None)
answer = Browser(held).post(refresh, device.sign(challenge), **whose)
same("and are not refreshed", (answer.status, answer.cookies), (401, {}))
sys.exit(not good)
