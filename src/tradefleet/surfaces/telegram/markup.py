"""A reply as Telegram's HTML: text, the table in monospace, in messages that are not too long."""

from collections.abc import Iterator, Sequence
from html import escape

from tradefleet.command import Reply
from tradefleet.drawing import draw_table

LIMIT = 4_096  # UTF-16 units of one message; Telegram counts without tags, so we stay below
PHONE_WIDTH = 44  # signs that fit into a line on a phone; a wider table is drawn as cards
OPEN, CLOSE = "<pre>", "</pre>"
NOTHING = "Done."


def parts(reply: Reply) -> list[str]:
    """Return a reply as HTML messages, at least one."""
    text = [(False, line) for line in reply.text.strip().splitlines()]
    text += [(False, f"Older ones: {reply.older}")] if reply.older else []
    table = [(True, line) for line in table_lines(reply.columns, reply.rows)]
    pages = [*pack([*text, *table])]
    return pages or [NOTHING]


def plain_parts(text: str) -> list[str]:
    return parts(Reply(text=text))


def pack(lines: Sequence[tuple[bool, str]]) -> Iterator[str]:
    """Join lines (in monospace or not) to messages, each with its own tags closed."""
    page, size, mono = "", 0, False
    for is_mono, line in lines:
        for piece in pieces(line.rstrip(), LIMIT - len(OPEN + CLOSE) - 1):
            html = escape(piece, quote=False)
            room = units(html) + 1 + (len(OPEN + CLOSE) if is_mono and not mono else 0)
            if size + room > LIMIT:
                yield from finished(page, mono)
                page, size, mono = "", 0, False
                room = units(html) + (len(OPEN + CLOSE) if is_mono else 0)
            page += seam(mono, is_mono, is_first=not page) + html
            size, mono = size + room, is_mono
    yield from finished(page, mono)


def seam(was_mono: bool, is_mono: bool, *, is_first: bool) -> str:
    """Return what stands between two lines."""
    if was_mono == is_mono:
        return "" if is_first else "\n"
    return ("" if is_first else "\n") + OPEN if is_mono else CLOSE + "\n"


def finished(page: str, mono: bool) -> Iterator[str]:
    html = page + (CLOSE if mono else "")
    if html.replace(OPEN, "").replace(CLOSE, "").strip():
        yield html


def pieces(line: str, limit: int) -> Iterator[str]:
    """Cut a line so that each piece fits when escaped, at a space if one is near."""
    if units(escape(line, quote=False)) <= limit:
        yield line
        return
    start = at = size = 0
    while at < len(line):
        room = units(escape(line[at], quote=False))
        if size + room > limit:
            space = line.rfind(" ", max(start + 1, at - 200), at)
            at = space if space > 0 else at
            yield line[start:at]
            start, size = at, 0
            continue
        size, at = size + room, at + 1
    yield line[start:]


def units(text: str) -> int:
    """Return the length as Telegram counts it."""
    return len(text.encode("utf-16-le", "replace")) // 2


# ---- tables


def table_lines(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table's lines, side by side if a phone can show it and else one card per row."""
    clean = [[one_line(cell) for cell in row] for row in rows]
    if not columns or not rows:
        return ["  ".join(row) for row in clean]
    lines = draw_table(columns, clean).splitlines()
    if max(map(len, lines)) <= PHONE_WIDTH:
        return lines
    return [line for row in clean for line in card(columns, row)]


def one_line(cell: str) -> str:
    return " ".join(cell.split())


def card(columns: Sequence[str], row: Sequence[str]) -> list[str]:
    """Return a row as lines "name: value", an empty one at the end."""
    space = max(map(len, columns)) + 2
    return [
        *(f"{name + ':':<{space}}{cell}" for name, cell in zip(columns, row, strict=True)),
        "",
    ]
