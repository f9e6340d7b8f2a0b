"""The last resort against secrets in the log: what looks like one is hidden, and what is known.

It stands behind types that do not show what they hold; nothing should ever be left for it to hide.
Known by their looks: tokens of bots, signed tokens, keys as venues and clouds draw them, what
stands beside a name like `api_key`, passwords and signatures in addresses. Known by what they are:
the secrets of this process's own settings, in any form in which they could be found.
"""

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from urllib.parse import quote

HIDDEN = "***"
KNOWN_MIN = 8  # letters of a secret, or of a part of one: less is found in any text
STEP = 3  # of so many places in a text, one is looked at for a known secret
HEAD = KNOWN_MIN - STEP + 1  # letters that are compared there
WORD_MAX = 12  # letters of a word in a sentence
DRAWN_MIN = 16  # letters of what looks drawn at random
TURNS_MIN = 0.4  # of letters that are of another kind than the one before
DIGITS_MIN, TURNS_WITH_DIGITS = 2, 0.25  # with digits among them, fewer will do

NAMES = (
    r"api[_-]?(?:key|secret|sign)|secret|passw(?:or)?d|passphrase|(?<![a-z])pwd|token|signature"
    r"|private[_-]?key|encryption[_-]?key|listen[_-]?key|cookie|credential|x-mbx-apikey"
    r"|x-bapi-sign|init_?data|jwt"
)
NAMES_HINTS = (
    "key", "secret", "passw", "passphrase", "pwd", "token", "sign", "cookie", "credential", "init",
    "jwt", "code", "hash", "auth",
)  # fmt: skip
PEM = r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,20}-----|\Z)"
CHATS = r"(hooks\.slack\.com/services/|discord(?:app)?\.com/api/webhooks/)[\w/-]+"
IN_QUERY = rf"(?i)([?&;](?:[\w-]*(?:{NAMES}|sign|key|code|hash|auth)[\w-]*)=)[^&\s\"'#]+"
NAMED = rf"(?i)((?:{NAMES})\w*[\"']?\s*[:=]\s*(?:b?[\"'])?)([^\s\"'&,;)}}\]]{{4,}})"


def _hidden_if_said(found: re.Match[str]) -> str:
    """Hide what a name is given; after a colon in a sentence, no word of the sentence."""
    is_word = found[2].isalpha() and found[2].islower() and len(found[2]) <= WORD_MAX
    return found[0] if is_word and found[1][-1].isspace() else found[1] + HIDDEN


# What each finds, and what is written instead; the first group is kept. It is looked for only where
# one of the words before it is, in small letters, which is sooner seen.
Instead = str | Callable[[re.Match[str]], str]
_LOOKS: tuple[tuple[tuple[str, ...], re.Pattern[str], Instead], ...] = (
    (("private key",), re.compile(PEM, re.S), HIDDEN),
    ((":",), re.compile(r"(?<![0-9])\d{6,12}:[A-Za-z0-9_-]{30,}"), HIDDEN),
    (("eyj",), re.compile(r"eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?"), HIDDEN),
    (
        ("authorization",),
        re.compile(r"(?i)(authorization[\"']?\s*[:=]\s*[\"']?)[^\"'\r\n,}]+"),
        rf"\1{HIDDEN}",
    ),
    (
        ("bearer", "basic"),
        re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"),
        rf"\1 {HIDDEN}",
    ),
    (("://",), re.compile(r"(://[^\s/@\"':]*):[^\s/\"']+@"), rf"\1:{HIDDEN}@"),
    (("hooks.slack", "/webhooks/"), re.compile(CHATS), rf"\1{HIDDEN}"),
    (NAMES_HINTS, re.compile(IN_QUERY), rf"\1{HIDDEN}"),
    (NAMES_HINTS, re.compile(NAMED), _hidden_if_said),
)
LOOKS = tuple((frozenset(words), pattern, instead) for words, pattern, instead in _LOOKS)
WORDS = sorted({word for words, _, _ in LOOKS for word in words})
BASE64 = re.compile(r"(?<![\w+/])[A-Za-z0-9+/]{40,}={0,2}")
RUN = re.compile(r"(?<![A-Za-z0-9+_%=-])[A-Za-z0-9+_%=-]{16,}")
HEX = re.compile(r"(?<![0-9A-Fa-f])(?:[0-9a-f]{33,}|[0-9A-F]{33,})")  # our ids have 32


class Masks:
    """Hides what looks like a secret, and the secrets it was told of."""

    __slots__ = ("_heads", "_known")

    def __init__(self, known: Iterable[str] = ()) -> None:
        forms = {form for secret in known for form in forms_of(secret)}
        # Wherever a form stands, one of every STEP places of a text is at one of its heads.
        self._heads = frozenset(form[at : at + HEAD] for form in forms for at in range(STEP))
        found = "|".join(map(re.escape, sorted(forms, key=lambda form: (-len(form), form))))
        self._known = re.compile(found) if found else None

    def hide(self, text: str) -> str:
        """Return a text with stars in place of what is or looks secret."""
        if self._known is not None and self._may_hold_known(text):
            text = self._known.sub(HIDDEN, text)
        small = text.lower()
        there = [word for word in WORDS if word in small]
        for words, pattern, instead in LOOKS:
            if not words.isdisjoint(there):
                text = pattern.sub(instead, text)
        text = HEX.sub(HIDDEN, text)
        text = BASE64.sub(_hidden_if_drawn, text)
        return RUN.sub(_hidden_if_drawn, text)

    def _may_hold_known(self, text: str) -> bool:
        heads = [text[at : at + HEAD] for at in range(0, len(text) - HEAD + 1, STEP)]
        return not self._heads.isdisjoint(heads)


def forms_of(secret: str) -> Iterator[str]:
    """Yield a secret and its halves in each form in which they could be found."""
    half = len(secret) // 2
    for part in (secret, secret[:half], secret[half:]):
        if len(part) >= KNOWN_MIN:
            yield from _written(part)


def _written(part: str) -> Iterator[str]:
    raw = part.encode()
    yield part
    yield part[::-1]
    yield quote(part, safe="")
    yield raw.hex()
    yield raw.hex().upper()
    for shift in range(3):  # base64 of a text that has it inside: the letters it alone decides
        begin, end = -(-shift * 8 // 6), (shift + len(raw)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            inner = encode(b"x" * shift + raw).decode()[begin:end]
            if len(inner) >= KNOWN_MIN:
                yield inner


def _hidden_if_drawn(found: re.Match[str]) -> str:
    return HIDDEN if looks_drawn(found[0]) else found[0]


def looks_drawn(text: str) -> bool:
    """Say whether a text was drawn at random, not written: letters of both sizes and digits mixed.

    Words, names of classes, paths, times and our own ids are written.
    """
    if len(text) < DRAWN_MIN or text.islower() or text.isupper():
        return False
    kinds = [_kind(letter) for letter in text]
    if not {"l", "u"} <= set(kinds):
        return False
    turns = sum(one != other for one, other in pairwise(kinds)) / len(text)
    return turns >= (TURNS_WITH_DIGITS if kinds.count("d") >= DIGITS_MIN else TURNS_MIN)


def _kind(letter: str) -> str:
    if letter.isdigit():
        return "d"
    if letter.isalpha():
        return "u" if letter.isupper() else "l"
    return "-"
