"""The next lines of an audit chain, alike in every store."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tradefleet.domain.audit import (
    ANCHORED,
    WEAK,
    Acting,
    ChainKeys,
    Head,
    Written,
    detail_text,
    next_line,
)

REQUEST_ID_MAX = 200  # characters
SERVICE = Acting()


def lines_after(
    keys: ChainKeys,
    last: tuple[Head, str] | None,
    *,
    user_id: str,
    at: datetime,
    who: Acting,
    action: str,
    asked: Mapping[str, Any],
    changed: list[dict[str, Any]],
) -> list[Written]:
    """Return what is to be added to a chain, whose last line was written under the key named.

    A chain that ends without a key is put under one first, by a line of its own.
    """
    lines: list[Written] = []
    head, key_id = last or (None, "")
    if head is not None and key_id in WEAK and keys.are_kept:
        said = detail_text({"lines": head.number, "hash": head.hash})
        lines.append(line_of(keys, head, user_id, at, SERVICE, ANCHORED, said))
        head = Head(head.user_id, lines[0].number, lines[0].hash)
    if action != ANCHORED:
        address = who.address if who.actor == user_id else ""
        detail = detail_text(asked, changed, address)
        lines.append(line_of(keys, head, user_id, at, who, action, detail))
    return lines


def line_of(
    keys: ChainKeys,
    head: Head | None,
    user_id: str,
    at: datetime,
    who: Acting,
    action: str,
    detail: str,
) -> Written:
    return next_line(
        keys,
        head,
        user_id=user_id,
        at=at,
        actor=who.actor,
        role=who.role,
        surface=who.surface,
        request_id=who.request_id[:REQUEST_ID_MAX],
        action=action,
        detail=detail,
    )
