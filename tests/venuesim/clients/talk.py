"""How a client's script talks to the test that started it: lines of JSON, both ways."""

import json
import sys

SETTINGS = json.loads(sys.stdin.readline())  # url, ws_url, api_key, secret


def tell(name, value):
    """Say what was found out; the test looks at it in the end."""
    print(json.dumps({"tell": name, "value": value}), flush=True)


def tick(symbol, price):
    """Let others trade at a price, and wait until they have."""
    print(json.dumps({"tick": symbol, "price": price}), flush=True)
    sys.stdin.readline()


def refusal(call, *words, **fields):
    """Return code and text of what the client raises."""
    try:
        call(*words, **fields)
    except Exception as error:
        if not hasattr(error, "status_code"):  # each client has a class of its own for answers
            raise
        return [
            getattr(error, "code", None) or getattr(error, "error_code", None),
            getattr(error, "message", None) or getattr(error, "error_message", None),
            error.status_code,
        ]
    return None
