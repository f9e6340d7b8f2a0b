"""`tradefleet accounts statement`: both ledgers held against one another now, as table and JSON."""

import json
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.runtime.live_rig import Ground, enter
from tests.runtime.real_rig import HERE, RealLink, real_ground, watched
from tradefleet.command import Reply
from tradefleet.domain.errors import Refused, VenueUnavailable
from tradefleet.domain.statement import EntryKind
from tradefleet.drawing import draw
from tradefleet.operations.statements import StatementTold, statement_now
from tradefleet.surfaces.cli.app import build_app
from tradefleet.surfaces.cli.parts import Parts
from tradefleet.venue import StatementNotPossible


@dataclass
class Program:
    """The command line, and what it was asked for."""

    told: Any
    asked: tuple[Any, ...] = ()

    async def statement(self, *asked: Any) -> StatementTold:
        self.asked = asked
        if isinstance(self.told, Exception):
            raise self.told
        return self.told

    def run(self, *words: str) -> Any:
        given = {field.name: None for field in fields(Parts)} | {"statement": self.statement}
        app = build_app(Parts(**given))
        return CliRunner().invoke(app, ["accounts", "statement", *words])


def a_statement(is_well: bool = True) -> StatementTold:
    reply = Reply(text="📒 Statement", columns=("Asset", "Moved there"), rows=(("USDT", "5"),))
    return StatementTold(reply, {"agrees": is_well, "moved": "0.00000001"}, is_well)


def test_it_is_printed_as_a_table_and_ends_well():
    program = Program(a_statement())
    done = program.run("alice:kraken:live", "--db", "x.db")
    assert done.exit_code == 0
    assert "USDT" in done.stdout
    assert program.asked == ("x.db", "alice:kraken:live", None)


def test_it_is_printed_as_json_with_every_digit():
    done = Program(a_statement()).run("alice:kraken:live", "--json")
    assert json.loads(done.stdout) == {"agrees": True, "moved": "0.00000001"}


def test_a_moment_is_in_utc():
    program = Program(a_statement())
    program.run("alice:kraken:live", "--since", "2026-11-20T10:00:00")
    assert program.asked[2] == datetime(2026, 11, 20, 10, tzinfo=UTC)


def test_it_ends_with_one_when_the_ledgers_disagree():
    assert Program(a_statement(is_well=False)).run("a").exit_code == 1


def test_what_is_not_possible_is_said_on_stderr():
    done = Program(Refused("A statement of a is not possible")).run("a")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "not possible" in done.stderr


# ------------------------------------------------------------------ over a real account


async def made(ground: Ground, since: datetime | None = None) -> StatementTold:
    return await statement_now(ground.store, {"paper": ground.venue}, ground.clock, HERE, since)


@pytest.fixture
async def ground() -> Ground:
    ground = await real_ground()
    ground.theatre.say(5, enter(95, "0.1"))
    async with watched(ground) as running:
        await ground.clock.pass_by(240)
        await running.bar(5)
        await running.price(100)
        await ground.link().fill(ground.link().submitted[-1], 100)
        await ground.clock.pass_by(300)
        link_of(ground).change("BNB", "0.5", EntryKind.REBATE)
        await ground.clock.pass_by(600)
    return ground


def link_of(ground: Ground) -> RealLink:
    link = ground.link()
    assert isinstance(link, RealLink)
    return link


async def test_it_says_what_moved_and_changes_nothing(ground):
    told = await made(ground)
    assert told.is_well
    text = draw(told.reply)
    assert "✅ Both ledgers agree." in text
    assert "Rebate of 2026-01-01" in text
    assert "BNB" in text
    assert told.data["trades"] == 1
    assert {each["asset"]: each["difference"] for each in told.data["assets"]} == {
        "BNB": "0",
        "BTC": "0",
        "USDT": "0",
    }
    assert json.loads(json.dumps(told.data)) == told.data
    assert (await made(ground)).data["since"] == told.data["since"]


async def test_it_finds_a_lost_fill_and_says_both_sides(ground):
    link = link_of(ground)
    (known,) = link.orders.values()
    lost = replace(known.fills[0], id="V1-lost", filled_at=ground.clock.now())
    known.fills.append(lost)
    await ground.clock.pass_by(120)
    told = await made(ground)
    assert not told.is_well
    assert [(each["trade"], each["trouble"]) for each in told.data["troubles"]] == [
        ("V1-lost", "lost")
    ]
    assert "here nothing" in told.reply.text


async def test_it_names_what_stands_in_its_way(ground):
    with pytest.raises(Refused, match="no connected account bob:kraken:live"):
        await statement_now(ground.store, {}, ground.clock, "bob:kraken:live")
    with pytest.raises(Refused, match="not switched on"):
        await statement_now(ground.store, {}, ground.clock, HERE)
    with pytest.raises(Refused, match="nothing to compare yet"):
        await made(ground, ground.clock.now() + timedelta(hours=1))
    link_of(ground).statement_error = StatementNotPossible("the key lacks the right “Ledger”")
    with pytest.raises(Refused, match="not possible: the key lacks the right “Ledger”"):
        await made(ground)
    link_of(ground).statement_error = VenueUnavailable("it is asleep")
    with pytest.raises(Refused, match="no statement now: it is asleep"):
        await made(ground)
