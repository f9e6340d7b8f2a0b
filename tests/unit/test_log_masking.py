"""What looks like a secret, or is one we know, never comes through; what is ours stays readable."""

import base64
from hashlib import sha256
from urllib.parse import quote

import pytest

from tradefleet.domain.ids import AccountId, BotId, UserId, client_order_id
from tradefleet.operations.logs.masking import HIDDEN, Masks


def drawn(length: int, seed: str = "", more: str = "") -> str:
    """Return letters as if drawn at random, the same each time."""
    raw = b"".join(sha256(f"{seed}{n}".encode()).digest() for n in range(9))
    return base64.b64encode(raw).decode().replace("+", "a").replace("/", "7")[:length] + more


def base64_like(length: int) -> str:
    raw = b"".join(sha256(bytes([n])).digest() for n in range(9))
    return base64.b64encode(raw).decode()[:length]


# What settings hold, which is known, whatever it looks like.
KNOWN = {
    "words": "correct horse battery staple",
    "material": "0123456789abcdefghijklmnopqrstuv",
    "signs": "p@ss/word?with=signs&more",
    "token": "123456:" + drawn(35),
}
# What venues give their users, which is known by its looks alone.
UNKNOWN = {
    "binance": drawn(64, "binance"),
    "bybit secret": drawn(36, "bybit"),
    "kraken secret": base64_like(86) + "==",
    "kraken key": base64_like(56),
}


def forms(secret: str) -> dict[str, str]:
    raw = secret.encode()
    return {
        "raw": secret,
        "base64": base64.b64encode(raw).decode(),
        "base64 inside": base64.b64encode(b"k=" + raw + b"&t=1").decode(),
        "urlsafe": base64.urlsafe_b64encode(raw).decode(),
        "hex": raw.hex(),
        "HEX": raw.hex().upper(),
        "url": quote(secret, safe=""),
    }


def pieces(text: str, length: int = 12) -> list[str]:
    return [text[at : at + length] for at in range(max(1, len(text) - length + 1))]


AROUND = ("{}", "it is {}.", '{{"x": "{}"}}', "k={}&n=2", "('{}',)", "\\n{}\\n")


@pytest.mark.parametrize("around", AROUND)
def test_a_known_secret_comes_through_in_no_form(around):
    masks = Masks(KNOWN.values())
    for secret in KNOWN.values():
        half = len(secret) // 2
        for part in (secret, secret[:half], secret[half:]):
            for kind, form in forms(part).items():
                said = masks.hide(around.format(form))
                shown = [each for each in pieces(form) if each in said]
                assert shown == [], (kind, said)


@pytest.mark.parametrize("around", AROUND)
def test_what_venues_give_is_known_by_its_looks(around):
    masks = Masks()
    for secret in UNKNOWN.values():
        half = len(secret) // 2
        for part in (secret, secret[:half], secret[half:]):
            for kind, form in forms(part).items():
                said = masks.hide(around.format(form))
                shown = [each for each in pieces(form, 16) if each in said]
                assert shown == [], (kind, said)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET /bot123456789:" + drawn(35) + "/getMe", f"GET /bot{HIDDEN}/getMe"),
        ("ey" + "JhbGciOiJIUzI1NiJ9.ey" + "JzdWIiOiIxIn0.abc-_9 was refused", "*** was refused"),
        ("Authorization: Bearer abc.def.ghi", "Authorization: ***"),
        ("{'Authorization': 'Basic dXNlcjpwYXNz'}", "{'Authorization': '***'}"),
        ("sent bearer abcdefgh12", "sent bearer ***"),
        ("postgresql://u:hunter2@db/x", "postgresql://u:***@db/x"),
        ("redis://:pw@127.0.0.1:6379/0", "redis://:***@127.0.0.1:6379/0"),
        (
            "/api/v3/order?symbol=BTC&signature=abcd&x=1",
            "/api/v3/order?symbol=BTC&signature=***&x=1",
        ),
        ("https://h/cb?code=12ab#top", "https://h/cb?code=***#top"),
        ("api_key=short password: hunter2", "api_key=*** password: ***"),
        ('{"apiKey": "k-1234", "ok": 1}', '{"apiKey": "***", "ok": 1}'),
        ("X-MBX-APIKEY: abc123", "X-MBX-APIKEY: ***"),
        ("https://hooks.slack.com/services/" + "T0/B0/x", "https://hooks.slack.com/services/***"),
        ("https://discord.com/api/webhooks/12/ab", "https://discord.com/api/webhooks/***"),
        ("-----BEGIN " + "PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----.", "***."),
    ],
)
def test_a_look_is_seen(text, expected):
    assert Masks().hide(text) == expected


ORDER = client_order_id(b"k" * 32, UserId("alice"), AccountId("a"), BotId("b"), 7)


@pytest.mark.parametrize(
    "text",
    [
        f"order {ORDER} is at the venue though it is open here",
        "bot 5f1d7a84-aa1e-5bb1-9d4e-1f2f8f8a3c00 is set aside: VenueRejected('no')",
        "took user alice: 3 bots, epoch 12",
        "  /srv/app/.venv/lib/python3.11/site-packages/tradefleet/runtime/host.py:291 in deliver",
        "the daily backup is tradefleet-20261122T020000Z-daily.backup, 1234567 bytes",
        "BTC/USDT 1h: no price of BTC/USDT since 2026-11-22 00:46:01.123456+00:00",
        "the key of alice-binance cannot be checked: CannotOpen",
        "TelegramWebhookRefusedError in HttpsConnectionPool",
        "kraken: OABC12-3DEFG-H45IJK is closed to us for 60 s: EAPI:Rate limit exceeded",
        "http://127.0.0.1:8080/health",
        "METRICS_TOKEN: without one every private address may read /metrics",
        "12345678901234567890 of 0.00012345678901234567890 BTC",
    ],
)
def test_what_is_ours_stays_readable(text):
    assert Masks(KNOWN.values()).hide(text) == text


def test_hiding_takes_less_than_a_millisecond_of_a_long_line():
    from timeit import timeit

    masks = Masks(UNKNOWN.values())
    text = "account alice-binance: its venue says 12 things about BTC/USDT. " * 8
    assert min(timeit(lambda: masks.hide(text), number=20) for _ in range(5)) / 20 < 0.003
