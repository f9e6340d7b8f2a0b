"""No file in the tree holds what looks like a secret; what tests need for show is listed here."""

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from hashlib import sha256

import pytest

from tests.architecture.test_house_rules import ROOT, committed_files

LETTERS = r"[A-Za-z0-9]"
# What each kind of secret looks like; the group, where there is one, is the secret.
SHAPES = {
    "private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s*((?:[A-Za-z0-9+/=\\n\"' ]+\s*)?)",
    "Telegram token": rf"(?<!{LETTERS})\d{{8,10}}:[A-Za-z0-9_-]{{35}}(?![A-Za-z0-9_-])",
    "Fernet key": r"(?<![\w+/-])([A-Za-z0-9_-]{43}=)(?!=)",
    "Binance key or secret": rf"(?<![\w+/-]){LETTERS}{{64}}(?![\w+/=-])",
    "Kraken secret": r"(?<![\w+/])[A-Za-z0-9+/]{86}==",
    "Kraken key": r"(?<![\w+/])[A-Za-z0-9+/]{56}(?![\w+/=])",
    "GitHub token": r"gh[pousr]_[A-Za-z0-9]{36}",
    "AWS key": r"(?<![A-Z0-9])AKIA[A-Z0-9]{16}(?![A-Za-z0-9])",
    "Slack token or webhook": (
        r"xox[abprs]-[A-Za-z0-9-]{20,}|hooks\.slack\.com/services/T\w+/B\w+/\w+"
    ),
    "signed token": r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}",
    "said outright": (
        r"(?i:api_?key|secret|private_?key|password|passwd|token|encryption_key)\w*"
        r"[\"']?\s*[:=]\s*[\"']?([A-Za-z0-9+/_=-]{16,})"
    ),
    "in an address": r"(?:postgres(?:ql)?|rediss?)(?:\+\w+)?://[^\s:/@]*:([^\s@/{}<>$\"'`]+)@",
}
PATTERNS = {kind: re.compile(shape) for kind, shape in SHAPES.items()}
BITS_MIN = 3.5  # per letter: what was drawn at random has more, words and hex digits less
MIXED = {"Binance key or secret", "Kraken key", "said outright"}
PLACEHOLDERS = {"password", "p", "pw", "u", "***", "hidden", "secret", "canary", "canary-of-redis"}
LOCKS = "requirements/"  # nothing but names and hashes, and a test of its own

# Too loose for tests, which make up secrets of many looks; the other shapes are looked for there.
LOOSE = {"said outright", "in an address"}

# Secrets of nobody, which tests need for show: where, what kind, and how its hash begins.
KNOWN = {
    # The alphabet, encoded.
    ("tests/unit/test_settings.py", "Fernet key", "8ad6828fe68c"),
    # What Binance's documentation signs its examples with.
    ("tests/venuesim/test_binance_access.py", "Binance key or secret", "23e9efa3ced6"),
    ("tests/venuesim/test_binance_access.py", "Binance key or secret", "5ba1ed8425ba"),
    # What Kraken's documentation signs its example with, and the signature.
    ("tests/venues/test_kraken_signing.py", "Kraken secret", "5d44734f2444"),
    ("tests/venues/test_kraken_signing.py", "Kraken secret", "98c0adc16caa"),
    ("tests/venuesim/test_kraken_access.py", "Kraken secret", "5d44734f2444"),
    ("tests/venuesim/test_kraken_access.py", "Kraken secret", "98c0adc16caa"),
}


def is_drawn(text: str) -> bool:
    """Say whether a text looks drawn at random: letters of both sizes, digits, few repetitions."""
    kinds = (r"[a-z]", r"[A-Z]", r"\d")
    counts = Counter(text).values()
    bits = -sum(n / len(text) * math.log2(n / len(text)) for n in counts)
    return all(re.search(kind, text) for kind in kinds) and bits >= BITS_MIN


def is_key(text: str) -> bool:
    """Say whether it decodes to the 32 bytes of a Fernet key."""
    try:
        return len(base64.urlsafe_b64decode(text)) == 32
    except binascii.Error:
        return False


def secrets_in(text: str) -> Iterator[tuple[str, str]]:
    """Yield the kind and the text of all that looks like a secret."""
    for kind, pattern in PATTERNS.items():
        for found in pattern.finditer(text):
            secret = next((group for group in found.groups() if group is not None), found[0])
            match kind:
                case "private key" if len(secret.strip("\\n\"' ")) < 40:
                    continue  # the words alone
                case "Fernet key" if not is_key(secret):
                    continue
                case "in an address" if secret in PLACEHOLDERS:
                    continue
                case _ if kind in MIXED and not is_drawn(secret):
                    continue
            yield kind, secret


def digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()[:12]


@cache
def found_in_tree() -> list[tuple[str, str, str]]:
    found = []
    for path in committed_files():
        name = str(path.relative_to(ROOT))
        if not name.startswith(LOCKS):
            text = path.read_bytes().decode("latin-1")
            found += [
                (name, kind, digest(secret))
                for kind, secret in secrets_in(text)
                if not (name.startswith("tests/") and kind in LOOSE)
            ]
    return found


def test_no_file_holds_what_looks_like_a_secret():
    strangers = sorted(set(found_in_tree()) - KNOWN)
    assert strangers == [], (
        "take them out, and make them void where they were valid: what was committed is known. "
        "What a test shows for a secret of nobody is listed in KNOWN."
    )


def test_what_is_known_is_still_there():
    assert set(found_in_tree()) >= KNOWN


# ---- that it would see one: each is made here, so that this file holds none


def drawn(length: int, more: str = "") -> str:
    """Return letters as if drawn at random, the same each time."""
    raw = b"".join(sha256(bytes([n])).digest() for n in range(9))
    letters = base64.b64encode(raw).decode().replace("+", "a").replace("/", "7")
    return letters[:length] + more


SAMPLES = {
    "private key": "-----BEGIN EC " + "PRIVATE KEY-----\n" + drawn(64) + "\n",
    "Telegram token": "123456789:" + drawn(35),
    "Fernet key": base64.urlsafe_b64encode(sha256(b"x").digest()).decode(),
    "Binance key or secret": drawn(64),
    "Kraken secret": drawn(86, "=="),
    "Kraken key": drawn(56),
    "GitHub token": "gh" + "p_" + drawn(36),
    "AWS key": "AK" + "IA" + "ABCDEFGH12345678",
    "Slack token or webhook": "https://hooks.slack" + ".com/services/T0AB12/B0CD34/" + drawn(24),
    "signed token": "ey" + f"J{drawn(20)}.ey" + f"J{drawn(30)}.{drawn(43)}",
    "said outright": "BYBIT_API_SEC" + f'RET="{drawn(36)}"',
    "in an address": "postgresql://tradefleet:" + "correct-horse" + "@db:5432/tradefleet",
}


def test_every_shape_has_a_sample():
    assert SAMPLES.keys() == SHAPES.keys()


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("around", ["{}", 'x = "{}"', "NAME={}\n", "  name: {} # why", "({})"])
def test_a_secret_is_seen(kind, around):
    assert kind in {found for found, _ in secrets_in(around.format(SAMPLES[kind]))}


@pytest.mark.parametrize(
    "text",
    [
        sha256(b"x").hexdigest(),  # a hash is no key: no capitals
        "TELEGRAM_BOT_TOKEN=",
        "TELEGRAM_BOT_TOKEN=123456:ABC-def",
        "postgresql://user:password@localhost/tradefleet",
        "postgresql://tradefleet:${POSTGRES_PASSWORD:?say it}@postgres:5432/tradefleet",
        "ENCRYPTION_KEY=$(openssl rand -hex 16)",
        "secret=the_name_of_a_variable_of_ours",
        "-----BEGIN PRIVATE KEY-----",
        "x" * 64,
    ],
)
def test_what_is_none_is_let_be(text):
    assert list(secrets_in(text)) == []
