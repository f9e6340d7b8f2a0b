"""A long reply by the page: which of its rows or entries are shown, and what brings the others."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from tradefleet.command import AnyCommand, Reply
from tradefleet.dispatcher import named_words
from tradefleet.domain.errors import Refused

ROWS = 10  # of a table on one page
ITEMS = 8  # entries of a list
LIMIT = "limit"


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page of a reply; pages: which of how many, as it is shown, "" when there is one."""

    reply: Reply
    page: int = 0
    pages: str = ""
    has_older: bool = False


def sheet_of(reply: Reply, command: AnyCommand, page: int = 0) -> Sheet:
    """Return a page of a reply, the last one there is when it has fewer by now."""
    if not command.refreshes:
        return Sheet(reply)
    if len(reply.items) > ITEMS:
        return page_of_items(reply, page)
    if len(reply.rows) > ROWS or (reply.older and command.limit_max):
        return page_of_rows(reply, page, command.limit_max)
    return Sheet(reply)


def page_of_items(reply: Reply, page: int) -> Sheet:
    last = (len(reply.items) - 1) // ITEMS
    page = min(page, last)
    here = reply.items[page * ITEMS : (page + 1) * ITEMS]
    text = reply.text.replace("\n".join(reply.items), "\n".join(here), 1)
    shown = replace(reply, text=text, items=here)
    return Sheet(shown, page, f"{page + 1}/{last + 1}", page < last)


def page_of_rows(reply: Reply, page: int, limit_max: int) -> Sheet:
    last = max(len(reply.rows) - 1, 0) // ROWS
    page = min(page, last)
    can_ask = bool(reply.older) and (page + 1) * ROWS < limit_max
    has_older = page < last or can_ask
    shown = replace(
        reply,
        rows=reply.rows[page * ROWS : (page + 1) * ROWS],
        older="" if has_older else reply.older,
    )
    pages = str(page + 1) if reply.older else f"{page + 1}/{last + 1}"
    return Sheet(shown, page, pages if has_older or page else "", has_older)


def words_for(command: AnyCommand, words: Sequence[str], page: int) -> tuple[str, ...]:
    """Return the words that bring a page: with a limit, unless the user gave one."""
    if not command.limit_max or not page:
        return tuple(words)
    try:
        if LIMIT in named_words(command, words):
            return tuple(words)
    except Refused:
        return tuple(words)  # the dispatcher says what is wrong with them
    usual = next((each.default for each in fields(command.request) if each.name == LIMIT), 0)
    wanted = min((page + 1) * ROWS, command.limit_max)
    if isinstance(usual, int) and usual >= wanted:
        return tuple(words)
    return (*words, f"{LIMIT}={wanted}")
