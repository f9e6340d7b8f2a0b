"""The buttons below our messages, and what comes back when one is pressed.

What comes back is typed by whoever wants to: a clever client sends any data. So a button only
ever asks for what is harmless to anybody, or names a question that we asked that very user.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

DATA_MAX = 64  # bytes, Telegram's limit
REFRESHED = frozenset({"status", "listpairs", "position", "balance"})  # they only look
SPACE = "\x1f"  # between words, which may hold spaces


@dataclass(frozen=True, slots=True)
class Refresh:
    """Run the command again and put its reply in place of the old one."""

    name: str
    words: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a question of ours."""

    token: str
    yes: bool


Pressed: TypeAlias = Refresh | Verdict


def refresh_button(name: str, words: Sequence[str]) -> InlineKeyboardMarkup | None:
    """Return the button that asks again, None where there is none to have."""
    data = SPACE.join(("r", name, *words))
    if name not in REFRESHED or len(data.encode("utf-8", "replace")) > DATA_MAX:
        return None
    return InlineKeyboardMarkup([[InlineKeyboardButton("🔄 Refresh", callback_data=data)]])


def verdict_buttons(token: str) -> InlineKeyboardMarkup:
    yes = InlineKeyboardButton("✅ Yes, do it", callback_data=f"y{SPACE}{token}")
    no = InlineKeyboardButton("❌ No", callback_data=f"n{SPACE}{token}")
    return InlineKeyboardMarkup([[yes, no]])


def read_button(data: str) -> Pressed | None:
    """Return what was pressed, None when it is no button of ours."""
    kind, *rest = data.split(SPACE)
    if kind == "r" and rest and rest[0] in REFRESHED:
        return Refresh(rest[0], tuple(rest[1:]))
    if kind in ("y", "n") and len(rest) == 1:
        return Verdict(rest[0], yes=kind == "y")
    return None
