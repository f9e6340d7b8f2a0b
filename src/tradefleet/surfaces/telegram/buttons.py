"""The buttons below our messages, and what comes back when one is pressed.

What comes back is typed by whoever wants to: a clever client sends any data. So all of it ends in
a mark that only we can make, for this chat alone: who presses did see the button in their chat.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from tradefleet.command import Step

DATA_MAX = 64  # bytes, Telegram's limit
SPACE = "\x1f"  # between words, which may hold spaces
MARK_LENGTH = 8  # letters of six bits; each guess costs a press
STEPS_IN_ROW = 2
PAGE_NUMBER_MAX = 9999
OLDER, NEWER, REFRESH = "▶", "◀", "🔄 Refresh"


@dataclass(frozen=True, slots=True)
class Look:
    """Run the command again and put a page of its reply in place of the old one."""

    page: int
    name: str
    words: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Next:
    """Run what was offered as the next step, as if it had been typed."""

    name: str
    words: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a question of ours; name "": what was asked is kept by its token."""

    yes: bool
    token: str
    name: str
    words: tuple[str, ...] = field(repr=False)


Pressed: TypeAlias = Look | Next | Verdict
Row: TypeAlias = list[InlineKeyboardButton]


class Buttons:
    """Makes buttons and reads what they bring; key: the service's own secret."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    # ---- what is below a message

    def of_sheet(
        self,
        chat: int,
        name: str,
        words: Sequence[str],
        *,
        page: int,
        pages: str,
        has_older: bool,
    ) -> list[Row]:
        """Return the row that turns the pages of a reply and asks for it again."""
        wanted = [
            (NEWER, page - 1, page > 0),
            (f"🔄 {pages}" if pages else REFRESH, page, True),
            (OLDER, page + 1, has_older and page < PAGE_NUMBER_MAX),
        ]
        row = [
            InlineKeyboardButton(label, callback_data=data)
            for label, number, there in wanted
            if there and (data := self._data(chat, "r", str(number), name, *words))
        ]
        return [row] if row else []

    def of_steps(self, chat: int, steps: Sequence[tuple[Step, str, Sequence[str]]]) -> list[Row]:
        """Return the buttons of the next steps, each given with its command's name and words."""
        made = [
            InlineKeyboardButton(step.label, callback_data=data)
            for step, name, words in steps
            if (data := self._data(chat, "s", name, *words))
        ]
        return [made[at : at + STEPS_IN_ROW] for at in range(0, len(made), STEPS_IN_ROW)]

    def of_question(self, chat: int, token: str, name: str, words: Sequence[str]) -> list[Row]:
        """Return yes and no, with what was asked in them."""
        kinds = (("y", "✅ Yes, do it"), ("n", "❌ No"))
        return [
            [
                InlineKeyboardButton(
                    label, callback_data=self._data(chat, kind, token, name, *words)
                )
                for kind, label in kinds
            ]
        ]

    def carry(self, chat: int, token: str, name: str, words: Sequence[str]) -> bool:
        """Say whether a question fits into its buttons."""
        return bool(self._data(chat, "y", token, name, *words))

    # ---- what comes back

    def read(self, chat: int, data: str) -> Pressed | None:
        """Return what was pressed; None when it is no button of ours in this chat."""
        said, _, mark = data.rpartition(SPACE)
        if not hmac.compare_digest(mark.encode("utf-8", "replace"), self._mark(chat, said)):
            return None
        kind, *words = said.split(SPACE)
        match kind, words:
            case "r", [page, name, *rest]:
                return Look(int(page), name, tuple(rest))
            case "s", [name, *rest]:
                return Next(name, tuple(rest))
            case (("y" | "n"), [token, name, *rest]):
                return Verdict(kind == "y", token, name, tuple(rest))
            case _:
                return None

    def _data(self, chat: int, *parts: str) -> str:
        """Return what a button brings back, "" when Telegram would not carry it."""
        said = SPACE.join(parts)
        if any(SPACE in part for part in parts):
            return ""
        data = f"{said}{SPACE}{self._mark(chat, said).decode()}"
        return data if len(data.encode("utf-8", "replace")) <= DATA_MAX else ""

    def _mark(self, chat: int, said: str) -> bytes:
        digest = hmac.digest(self._key, f"{chat} {said}".encode("utf-8", "replace"), "sha256")
        return urlsafe_b64encode(digest)[:MARK_LENGTH]


def keyboard(rows: Sequence[Row]) -> InlineKeyboardMarkup | None:
    return InlineKeyboardMarkup(rows) if rows else None
