"""Split what was typed into a command and its words, whatever the keyboard made of it."""

import re
import unicodedata
from dataclasses import dataclass, field

QUOTES = {'"': '"', "'": "'", "“": "”", "„": "“", "«": "»", "‘": "’", "`": "`"}  # noqa: RUF001
JOINERS = "\u200c\u200d"  # invisible too, but they make one sign of several
LIKE_A_KEY = re.compile(r"(?=.*[A-Za-z])(?=.*\d)[A-Za-z0-9_+/=.-]{32,}")


@dataclass(frozen=True, slots=True)
class Spoken:
    """A message: name is "" when it is no command; to is the bot it names, if it names one."""

    name: str
    to: str
    words: tuple[str, ...] = field(repr=False)

    @property
    def is_command(self) -> bool:
        return self.name != ""

    def like_a_key(self) -> bool:
        """Say whether any word looks like a key to a venue."""
        return any(LIKE_A_KEY.fullmatch(word) for word in self.words)


def read_message(text: str) -> Spoken:
    """Return the command and its words; a message that is no command is words only."""
    words = split(text)
    if not words or not words[0].startswith("/") or len(words[0]) < 2:
        return Spoken("", "", words)
    name, _, to = words[0].removeprefix("/").partition("@")
    return Spoken(name.lower(), to.lower(), words[1:])


def split(text: str) -> tuple[str, ...]:
    """Split at spaces and line ends; "two words" stay one, a quote without its end is a sign."""
    visible = "".join(letter for letter in text if is_visible(letter))
    words = []
    at = 0
    while at < len(visible):
        if visible[at].isspace():
            at += 1
            continue
        word, at = next_word(visible, at)
        words.append(word)
    return tuple(words)


def is_visible(letter: str) -> bool:
    """Say whether a sign means something: no control sign, half a sign or invisible mark."""
    hidden = unicodedata.category(letter) in ("Cc", "Cf", "Cs")
    return not hidden or letter.isspace() or letter in JOINERS


def next_word(text: str, at: int) -> tuple[str, int]:
    """Return the word that starts at a place, and where it ends; name="a b" is one word."""
    start = at
    while at < len(text) and not text[at].isspace():
        if at == start or text[at - 1] == "=":
            end = closing(text, at)
            if end is not None:
                return text[start:at] + text[at + 1 : end], end + 1
        at += 1
    return text[start:at], at


def closing(text: str, at: int) -> int | None:
    """Return where the quote that opens at a place ends a word, None when it does not."""
    close = QUOTES.get(text[at])
    end = -1 if close is None else text.find(close, at + 1)
    while end > 0:
        if end + 1 == len(text) or text[end + 1].isspace():
            return end
        end = text.find(close or "", end + 1)
    return None
