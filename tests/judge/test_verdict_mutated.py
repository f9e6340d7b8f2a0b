"""Evidence that was changed anywhere, by one unit or one row, is found by the verdict."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.evidence import Evidence
from judge.verdict import judge
from tests.judge.made import ONE, USERS, journal_again, traded, with_database

Lines = list[dict[str, Any]]
AMOUNTS = {
    "fills": ("quantity", "price", "cost", "fee"),
    "postings": ("amount",),
    "orders": ("quantity",),
}
MONEY_LINES = {
    "trade": ("quantity", "price", "cost", "fee"),
    "deposit": ("change",),
    "order": ("quantity",),
}


@cache
def clean() -> Evidence:
    return traded().end()


def other(text: str) -> str:
    """Return the same of the other user."""
    first, second = USERS
    return text.replace(first, second) if first in text else text.replace(second, first)


# ---------------------------------------------------------------- in the database


def in_table(change: Callable[[list[Any], int, Random, str], None]) -> Callable[[Random], Evidence]:
    def mutate(dice: Random) -> Evidence:
        table = dice.choice(sorted(AMOUNTS))
        rows = list(getattr(clean().database, table))
        change(rows, dice.randrange(len(rows)), dice, table)
        return with_database(clean(), **{table: rows})

    return mutate


def drop_row(rows: list[Any], at: int, dice: Random, table: str) -> None:
    del rows[at]


def change_amount(rows: list[Any], at: int, dice: Random, table: str) -> None:
    name = dice.choice(AMOUNTS[table])
    off = dice.choice((ONE, -ONE, Decimal("0.1"), Decimal(-1000)))
    rows[at] = replace(rows[at], **{name: getattr(rows[at], name) + off})


def swap_account(rows: list[Any], at: int, dice: Random, table: str) -> None:
    rows[at] = replace(rows[at], account_id=other(rows[at].account_id))


def swap_owner(rows: list[Any], at: int, dice: Random, table: str) -> None:
    row = rows[at]
    rows[at] = replace(row, account_id=other(row.account_id), user_id=other(row.user_id))


def double_row(rows: list[Any], at: int, dice: Random, table: str) -> None:
    name = "entry_id" if table == "postings" else "id"
    again = replace(rows[at], **{name: f"{getattr(rows[at], name)} again"})
    rows.append(replace(again, state="done") if table == "orders" else again)


def swap_orders(rows: list[Any], at: int, dice: Random, table: str) -> None:
    """Let a row say that it is of another order, entry or decision."""
    elsewhere = next(n for n in range(len(rows)) if rows[n].account_id != rows[at].account_id)
    name = {"fills": "order_id", "postings": "entry_id", "orders": "id"}[table]
    rows[at] = replace(rows[at], **{name: getattr(rows[elsewhere], name)})


# --------------------------------------------------------------- in the journal


def in_journal(change: Callable[[Lines, int, Random], None]) -> Callable[[Random], Evidence]:
    def mutate(dice: Random) -> Evidence:
        def apply(lines: Lines) -> Lines:
            places = [n for n, line in enumerate(lines) if line["kind"] in MONEY_LINES]
            change(lines, dice.choice(places), dice)
            return lines

        return journal_again(clean(), apply)

    return mutate


def drop_line(lines: Lines, at: int, dice: Random) -> None:
    del lines[at]


def change_line(lines: Lines, at: int, dice: Random) -> None:
    name = dice.choice(MONEY_LINES[lines[at]["kind"]])
    lines[at][name] += dice.choice((1, -1, 10_000, 10**9))


def double_line(lines: Lines, at: int, dice: Random) -> None:
    """The venue made an order or a trade once more, or was paid once more."""
    again = dict(lines[at])
    if again["kind"] == "order":
        again["order"] += 10_000
    elif again["kind"] == "trade":
        again["trade"] += 10_000
    lines.insert(at + 1, again)


def swap_line(lines: Lines, at: int, dice: Random) -> None:
    lines[at]["account"] = other(lines[at]["account"])


def turn_line(lines: Lines, at: int, dice: Random) -> None:
    """A buy was a sale, or money that came in went out."""
    line = lines[at]
    if "side" in line:
        line["side"] = "sell" if line["side"] == "buy" else "buy"
    else:
        line["change"] = -line["change"]


MUTATIONS: Mapping[str, Callable[[Random], Evidence]] = {
    **{
        f"table: {change.__name__}": in_table(change)
        for change in (
            drop_row,
            change_amount,
            swap_account,
            swap_owner,
            double_row,
            swap_orders,
        )
    },
    **{
        f"journal: {change.__name__}": in_journal(change)
        for change in (drop_line, change_line, double_line, swap_line, turn_line)
    },
}


def test_the_evidence_is_clean_before_it_is_changed():
    assert judge(clean()).is_clean
    assert judge(journal_again(clean(), lambda lines: lines)).is_clean


@pytest.mark.parametrize("mutation", sorted(MUTATIONS))
@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_whatever_is_changed_is_found(mutation, seed):
    evidence = MUTATIONS[mutation](Random(seed))
    assert not judge(evidence).is_clean


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_a_line_that_is_changed_without_its_hash_is_found_whatever_it_says(seed):
    dice = Random(seed)
    venue, lines = next(iter(clean().journals.items()))
    changed = [dict(line) for line in lines]
    line = dice.choice(changed)
    name = dice.choice(sorted(set(line) - {"hash"}))
    line[name] = "other" if line[name] != "other" else "another"
    if isinstance(lines[0].get(name), int):
        line[name] = 77
    evidence = replace(clean(), journals={venue: changed})
    assert judge(evidence).counters["broken_journals"]
