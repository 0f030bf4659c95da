"""Drives two servers of the guestbook behind one store, while the token rotates.

Arguments: a file that gets what no log may have, then each server's address and the hash of its
certificate's public key. Prints "ok .." or "not ok .." for each check.
"""

import itertools
import re
import sys
import threading
import time

from device import BOUND, SESSION, Browser, Device, Server, end, same

ROUNDS, PARALLEL = 10, 6
# A session that was just bound needs no proof for a minute.
GRACE = 60

secrets, *rest = sys.argv[1:]
one, other = (Server(*pair) for pair in zip(rest[::2], rest[1::2]))
at_one, at_other = itertools.cycle([one]), itertools.cycle([other])

# Signed in and registered at the one, and refreshed at the other.
ada, device = Browser(at_one, secrets), Device()
answer = ada.send("/sign-in", name="Ada")
register, challenge = re.search(r'path="([^"]+)";challenge="([^"]+)"', answer.offer()).groups()
answer = ada.post(register, device.registers(challenge))
bound_at = time.monotonic()
same("registered at one server", answer.status, 200)
challenge, name = answer.challenge()
ada.servers = at_other
same("she is signed in at the other", ada.who(), "user:Ada")
whose = {"sec_secure_session_id": name}


def together(*tasks):
    """Runs these at once."""
    results = [None] * len(tasks)

    def run(number):
        results[number] = tasks[number]()

    threads = [threading.Thread(target=run, args=[number]) for number in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


# Each round: the proof is over, six requests were under way with it, and the refresh is too.
tokens, first = set(), ada.copy(SESSION)
past_grace = False
while not past_grace:
    # The last rounds begin when each request needs a proof.
    past_grace = time.monotonic() > bound_at + GRACE
    for number in range(ROUNDS):
        before = [ada.holding(ada.cookies) for _ in range(PARALLEL)]
        for browser, at in zip(before, itertools.cycle([at_one, at_other])):
            browser.servers = at
        ada.servers = [at_one, at_other][number % 2]
        del ada.cookies[BOUND]
        refresh = lambda: ada.post("/dbsc/refresh", device.sign(challenge), **whose)
        answer, *seen = together(refresh, *(browser.who for browser in before))
        if (answer.status, seen) != (200, ["user:Ada"] * PARALLEL):
            same(f"round {number}", (answer.status, seen), (200, ["user:Ada"] * PARALLEL))
        challenge, _ = answer.challenge()
        # The jar of a browser has the newest token that one of them was given.
        given = [browser.cookies[SESSION] for browser in before]
        newer = [token for token in given if token != ada.cookies[SESSION]]
        ada.cookies[SESSION] = (newer or given)[-1]
        tokens.add(ada.cookies[SESSION])
        time.sleep(0.4)
same("the token has rotated", len(tokens) > ROUNDS, True)
answer = first.post("/dbsc/refresh", device.sign(challenge), **whose)
same("a refresh with its first token is to be tried again", answer.status, 503)
same("she is signed in there", ada.who(), "user:Ada")
ada.servers = at_one
same("and here", ada.who(), "user:Ada")
same("and a copy of her token is nobody", ada.copy(SESSION).who(), None)
ada.send("/sign-out")
same("and a sign-out takes both cookies", ada.cookies, {})
end()
