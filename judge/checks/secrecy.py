"""Canary secrets: where the world found them, and whether they are in journals or database."""

import re
from collections.abc import Iterable, Iterator

from judge.case import Case
from judge.finding import Finding

SHORTEST = 8  # characters; what is shorter turns up by chance


def leaks(case: Case) -> Iterable[Finding]:
    for each in case.happened("leak"):
        yield Finding(
            counter="secret_leaks",
            at_ms=each.at_ms,
            account_id="",
            text=f"a secret of {each.fields.get('of', 'somebody')} is in"
            f" {each.fields.get('where', 'the open')}",
        )
    canaries = {
        str(each.fields["secret"]): str(each.fields.get("of", "somebody"))
        for each in case.happened("canary")
        if len(str(each.fields["secret"])) >= SHORTEST
    }
    if not canaries:
        return
    sought = re.compile("|".join(re.escape(secret) for secret in canaries))
    told: set[tuple[str, str]] = set()
    for where, text in _texts(case):
        for secret in sought.findall(text):
            if (secret, where) not in told:
                told.add((secret, where))
                yield Finding(
                    counter="secret_leaks",
                    at_ms=case.ended_ms,
                    account_id="",
                    text=f"a secret of {canaries[secret]} is in {where}",
                )


def _texts(case: Case) -> Iterator[tuple[str, str]]:
    for venue, lines in case.evidence.journals.items():
        seen: set[str] = set()
        for line in lines:
            for name, value in line.items():
                if isinstance(value, str) and name != "hash" and value not in seen:
                    seen.add(value)
                    yield f"the journal of {venue}", value
    database = case.evidence.database
    for order in database.orders:
        yield "the table of orders", f"{order.id} {order.venue_order_id}"
    for fill in database.fills:
        yield "the table of fills", fill.id
    for posting in database.postings:
        yield "the ledger", f"{posting.entry_id} {posting.place}"
    for each in case.evidence.diary:
        if each.kind == "note":
            yield "a note", str(each.fields.get("text", ""))
