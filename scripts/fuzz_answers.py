"""Let atheris look for bytes that break the reading of venues' answers, guided by what they reach.

    .venv-mutation/bin/python scripts/fuzz_answers.py -max_total_time=60

Linux only, after `make mutation-score` or `make .venv-mutation/.ready`. What it finds is written
into a file crash-…, which is given back as an argument to see it again. The same promises are
tried by hypothesis in tests/properties, on every system.
"""

import json
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

import atheris  # noqa: E402

with atheris.instrument_imports(include=["tradefleet.venues"]):
    from tradefleet.venues._ccxt.amounts import UNREADABLE
    from tradefleet.venues._ccxt.calls import Done, Garbled, Said
    from tradefleet.venues._ccxt.outcomes import (
        created_binance,
        created_bybit,
        created_kraken,
        read_binance,
        read_bybit,
        read_kraken,
    )
    from tradefleet.venues._ccxt.wire import Answer

READERS = (
    (read_binance, created_binance),
    (read_bybit, created_bybit),
    (read_kraken, created_kraken),
)
STATUSES = (200, 400, 401, 403, 418, 429, 500, 503)
NAME = "0f" * 16
TAKEN = (
    {"symbol": "BTCUSDT", "orderId": 28, "clientOrderId": NAME},
    {"retCode": 0, "retMsg": "OK", "result": {"orderId": "13", "orderLinkId": NAME}},
    {"error": [], "result": {"txid": ["OUF4EM-FRGI2-MQMWZD"]}},
    {"code": -2010, "msg": "Duplicate order sent."},
    {"retCode": 170131, "retMsg": "Insufficient balance."},
    {"error": ["EOrder:Insufficient funds"]},
)


def one(data: bytes) -> None:
    """Read bytes as each venue's answer: nothing but the declared may come out."""
    if not data:
        return
    status = STATUSES[data[0] % len(STATUSES)]
    for read, created in READERS:
        outcome = read(Answer(status, {"date": "Sat, 21 Nov 2026 12:00:00 GMT"}, data[1:]))
        match outcome:
            case Done(payload):
                if status != 200:
                    raise AssertionError(f"{read.__name__}: done with status {status}")
                try:
                    number = created(payload, NAME, "BTCUSDT")
                except UNREADABLE:
                    continue
                if not isinstance(number, str) or not number:
                    raise AssertionError(f"{created.__name__}: an order without an id")
            case Said(refused=refused):
                if refused and status >= 500:
                    raise AssertionError(f"{read.__name__}: a broken server refuses")
            case Garbled():
                pass
            case other:
                raise AssertionError(f"{read.__name__}: {other!r}")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tradefleet-fuzz-") as corpus:
        for number, said in enumerate(TAKEN):
            for place in range(2):
                body = bytes([place]) + json.dumps(said).encode()
                (Path(corpus) / f"{number}-{place}").write_bytes(body)
        atheris.Setup([*sys.argv, corpus], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
