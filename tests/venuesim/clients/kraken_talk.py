"""How a script of a Kraken client talks to the test that started it: lines of JSON, both ways."""

import json
import sys
import time

SETTINGS = json.loads(sys.stdin.readline())  # url, ws_url, api_key, secret


def tell(name, value):
    """Say what was found out; the test looks at it in the end."""
    print(json.dumps({"tell": name, "value": value}), flush=True)


def tick(symbol, price):
    """Let others trade at a price, and wait until they have."""
    print(json.dumps({"tick": symbol, "price": price}), flush=True)
    sys.stdin.readline()


def rising():
    """Return a nonce above all that went before, however quickly they are asked for."""
    rising.last = max(rising.last + 1, int(time.time() * 1000))
    return rising.last


rising.last = 0
