"""A browser that binds its session to a device, written without the library."""

import base64
import hashlib
import http.client
import json
import re
import ssl
import sys
from urllib.parse import urlencode, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

SESSION, BOUND = "__Host-id", "__Host-id-bound"
good = True


def same(name, actual, expected):
    """One check."""
    global good
    if actual == expected:
        print(f"ok bound: {name}")
    else:
        print(f"not ok bound: {name}: got {actual!r}, expected {expected!r}")
        good = False


def end():
    sys.exit(not good)


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


class Server:
    """Its address, and the hash of its certificate's public key."""

    def __init__(self, base, key_hash):
        self.base, self.key_hash = base, key_hash

    def connect(self):
        """A connection, and the hash of the key that was found there."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # The certificate is known by its key.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        address = urlsplit(self.base)
        link = http.client.HTTPSConnection(
            address.hostname, address.port, context=context, timeout=20
        )
        link.connect()
        certificate = x509.load_der_x509_certificate(link.sock.getpeercert(True))
        key = certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return link, base64.b64encode(hashlib.sha256(key).digest()).decode()


class Browser:
    """Cookies, and trust in the servers, which it asks in turn. What no log may have goes to the
    file `secrets`."""

    def __init__(self, servers, secrets, cookies=()):
        self.servers, self.secrets, self.cookies = servers, secrets, dict(cookies)

    def ask(self, method, path, body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookies:
            headers["cookie"] = "; ".join(f"{name}={it}" for name, it in self.cookies.items())
        # The server closes those that wait for long.
        server = next(self.servers)
        link, found = server.connect()
        if found != server.key_hash:
            sys.exit("this is another server")
        link.request(method, path, body, headers)
        answer = Answer(link.getresponse())
        link.close()
        for name, value in answer.cookies.items():
            self.cookies[name] = value
            if not value:
                del self.cookies[name]
        with open(self.secrets, "a") as file:
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
        return self.holding({name: self.cookies[name] for name in names})

    def holding(self, cookies=()):
        """Another browser, with these cookies."""
        return Browser(self.servers, self.secrets, cookies)
