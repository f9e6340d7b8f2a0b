"""Each adapter's statement against a simulated venue's own books, to the unit, over sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from importlib import import_module
from types import ModuleType
from typing import Any
from unittest.mock import AsyncMock, patch

import pytest

from tests.makers import BTC, ETH
from tests.venues import bybit_rig, kraken_rig
from tests.venues.rig import FreePacer, adapter, credentials_of, http, listed, teller
from tests.venuesim.rig import START, simulated
from tradefleet.domain.errors import VenueUnavailable
from tradefleet.domain.statement import EntryKind, VenueEntry, VenueStatement
from tradefleet.domain.user import Mode
from tradefleet.engine.pace import Priority
from tradefleet.runtime.real_world import RealClock
from tradefleet.venue import StatementNotPossible
from tradefleet.venues._ccxt.account import CcxtLink
from tradefleet.venues._ccxt.amounts import from_ms
from tradefleet.venues._ccxt.environment import Environment
from venuesim.clock import ManualClock
from venuesim.orders import Kind, NewOrder, Side
from venuesim.running import Running
from venuesim.units import text, units

VENUES = ("kraken", "bybit", "binance")
RICH = {"USDT": "100000", "BTC": "2", "BNB": "10"}
UNLISTED = {"binance"}  # keeps no ledger: its lists are put together


class VenuesClock(RealClock):
    """Our clock, always right by the venue's."""

    def __init__(self, clock: ManualClock) -> None:
        self.of_venue = clock

    def now(self) -> datetime:
        return from_ms(self.of_venue.now_ms())


class World:
    """One simulated venue with a clock set by hand, and one account's link to it."""

    def __init__(self, sim: Running, link: CcxtLink, pacer: FreePacer, name: str) -> None:
        self.sim, self.link, self.pacer, self.name = sim, link, pacer, name

    @property
    def now(self) -> datetime:
        return from_ms(self.clock.now_ms())

    @property
    def clock(self) -> ManualClock:
        clock = self.sim.place.clock
        assert isinstance(clock, ManualClock)
        return clock

    def later(self, **time: float) -> None:
        self.clock.set(self.clock.now_ms() + int(timedelta(**time).total_seconds() * 1000))

    def trade(self, side: Side = Side.BUY, quantity: str = "0.01", symbol: str = "BTC/USDT") -> Any:
        order = NewOrder(symbol=symbol, side=side, kind=Kind.MARKET, quantity=units(quantity))
        placed = self.sim.exchange.place("alice", order)
        self.later(seconds=3)
        return placed

    def pay(self, asset: str, amount: str) -> None:
        self.sim.exchange.deposit("alice", asset, units(amount))
        self.later(seconds=3)

    def holds(self) -> dict[str, Decimal]:
        book = self.sim.exchange.accounts["alice"]
        names = set(book.free) | set(book.locked)
        worth = {each: Decimal(text(self.sim.exchange.worth("alice", each))) for each in names}
        return {asset: amount for asset, amount in worth.items() if amount}

    async def statement(self, since: datetime = START) -> VenueStatement:
        self.later(seconds=2)
        return await self.link.statement([BTC, ETH], since, self.now)


@asynccontextmanager
async def world(
    name: str, permissions: tuple[str, ...] = ("read", "trade"), **options: Any
) -> AsyncIterator[World]:
    of: ModuleType = import_module(f"tradefleet.venues.{name}")
    async with simulated(name, clock="manual", **options) as sim:
        sim.exchange.prices["BTC/USDT"] = units("50000")
        clock = sim.place.clock
        assert isinstance(clock, ManualClock)
        pacer = FreePacer()
        async with adapter(
            sim.url, sim.ws_url, of=of, clock=VenuesClock(clock), pacer=pacer
        ) as ours:
            link = await ours.link(sim.client("alice", RICH, permissions), "alice")
            yield World(sim, link, pacer, name)


def sums(entries: Any) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for entry in entries:
        found[entry.asset] = found.get(entry.asset, Decimal(0)) + entry.amount
    return {asset: amount for asset, amount in found.items() if amount}


def kinds(entries: Any) -> list[str]:
    return [entry.kind.value for entry in entries]


# ------------------------------------------------------------------ to the unit


@pytest.mark.parametrize("fee_from", ["quote", "received", "third"])
@pytest.mark.parametrize("name", VENUES)
async def test_all_that_moved_adds_up_to_what_is_there_to_the_unit(name, fee_from):
    async with world(name, fill_parts=3) as at:
        book = at.sim.exchange.accounts["alice"]
        book.fee_from, book.fee_asset = fee_from, "BNB" if fee_from == "third" else ""
        at.later(minutes=1)
        at.trade(quantity="0.01234567"[:7])
        at.pay("USDT", "123.45678901"[:10])
        at.trade(Side.SELL, "0.005")
        at.pay("BTC", "-0.1")
        found = await at.statement(START - timedelta(hours=1))
        assert sums(found.entries) == at.holds()
        assert found.entries == tuple(sorted(found.entries, key=lambda e: (e.at, e.id)))
        assert len({entry.id for entry in found.entries}) == len(found.entries)


@pytest.mark.parametrize("name", VENUES)
async def test_a_trade_has_the_id_and_the_amounts_of_the_list_of_trades(name):
    async with world(name, fill_parts=2) as at:
        at.later(minutes=1)
        at.trade()
        at.trade(Side.SELL, "0.005")
        found = await at.statement()
        trades = {trade.id: trade for trade in await at.link.trades_since([BTC], START)}
        assert len(trades) == 4
        by_trade = {entry.trade_id for entry in found.entries if entry.trade_id}
        assert by_trade == trades.keys()
        for trade in trades.values():
            mine = [entry for entry in found.entries if entry.trade_id == trade.id]
            sign = trade.side.sign
            expected = {"BTC": sign * trade.quantity, "USDT": -sign * trade.cost}
            expected[trade.fee_asset] -= trade.fee
            assert sums(mine) == expected
            fees = [entry for entry in mine if entry.kind is EntryKind.FEE]
            assert [(each.asset, -each.amount) for each in fees] == [(trade.fee_asset, trade.fee)]


@pytest.mark.parametrize("name", VENUES)
async def test_payments_are_told_by_their_kind_and_only_in_the_time_asked_for(name):
    async with world(name) as at:
        at.later(minutes=1)
        begin = at.now
        at.later(seconds=5)
        at.pay("USDT", "5")
        middle = at.now
        at.later(seconds=5)
        at.pay("USDT", "-3")
        found = await at.statement(begin)
        said = ["transfer"] * 2 if name == "bybit" else ["deposit", "withdrawal"]
        assert kinds(found.entries) == said
        assert [entry.amount for entry in found.entries] == [5, -3]
        assert [e.amount for e in (await at.statement(middle)).entries] == [-3]


@pytest.mark.parametrize("name", VENUES)
async def test_more_than_a_page_and_more_than_a_week_is_all_there(name):
    async with world(name) as at:
        for _ in range(4):
            at.later(days=5)
            for _ in range(40):
                at.trade(quantity="0.001")
        at.pay("USDT", "1")
        found = await at.statement(START - timedelta(hours=1))
        assert sums(found.entries) == at.holds()
        assert len({entry.trade_id for entry in found.entries if entry.trade_id}) == 160


@pytest.mark.parametrize("name", VENUES)
async def test_everybody_else_goes_first(name):
    async with world(name) as at:
        await at.statement()
        at.pacer.calls.clear()
        await at.statement()
        assert {call.priority for call in at.pacer.calls if call.key} == {Priority.READ}


async def test_krakens_counter_is_charged_what_the_venue_charges():
    async with world("kraken") as at:
        await at.statement()
        at.pacer.calls.clear()
        await at.statement()
        assert [dict(call.costs) for call in at.pacer.calls if call.key] == [{"counter": 2}]


# ------------------------------------------------------------------ what is not there


async def test_a_key_that_may_not_read_krakens_ledger_is_told_what_it_lacks():
    rights = ("query-funds", "query-open-trades", "query-closed-trades", "trade")
    async with world("kraken", rights) as at:
        with pytest.raises(StatementNotPossible, match="“Query Ledger Entries”"):
            await at.statement()


async def test_the_key_report_advises_the_right_and_does_not_ask_for_it():
    needed = ("query-funds", "query-open-trades", "query-closed-trades", "trade")
    for rights, advised in ((needed, ("Query Ledger Entries",)), (("read", "trade"), ())):
        async with kraken_rig.world() as at:
            key = credentials_of(at.key(*rights))
            report = await at.ours.venue.check_key(key, Mode.LIVE)
            assert report.missing == ()
            assert report.advised == advised


async def test_binance_says_what_its_lists_never_show():
    async with world("binance") as at:
        found = await at.statement()
        assert any("Earn" in each for each in found.hidden)
        assert any("pairs that no bot trades" in each for each in found.hidden)
    for name in ("kraken", "bybit"):
        async with world(name) as at:
            assert (await at.statement()).hidden == ()


async def test_binances_testnet_lists_trades_alone():
    async with world("binance") as at:
        environment = at.link.asker.environment
        rest = {
            name: "" if name == "sapi" else url for name, url in environment.addresses.rest.items()
        }
        from dataclasses import replace

        environment.addresses = replace(environment.addresses, rest=rest)
        at.later(minutes=1)
        at.trade()
        found = await at.statement()
        assert set(kinds(found.entries)) == {"trade", "fee"}
        assert "testnet" in found.hidden[0]


# ------------------------------------------------------------------ by the documents' examples

KRAKEN_ROWS = """{"error":[],"result":{"ledger":{
"L4UESK-KG3EQ-UFO4T5":{"refid":"TJKLXF-PGMUI-4NTLXU","time":1767225700.5,"type":"trade",
 "subtype":"","aclass":"currency","asset":"ZGBP","amount":"-24.5000","fee":"0.0490",
 "balance":"459567.9171"},
"LMKZCZ-Z3GVL-CXKK4H":{"refid":"TBZIP2-F6QOU-TMB6FY","time":1767225701.1,"type":"staking",
 "subtype":"","aclass":"currency","asset":"ETH.S","amount":"0.0000000412","fee":"0.0000000000",
 "balance":"1.0000000412"},
"LZZZZZ-Z3GVL-CXKK4H":{"refid":"FTQcuak-V6Za8qrWnhzTx67yYHz8Tg","time":1767225702.0,
 "type":"withdrawal","subtype":"","aclass":"currency","asset":"XXBT","amount":"-0.5000000000",
 "fee":"0.0002000000","balance":"0.1000000000"}}}}"""
BYBIT_ROWS = """{"retCode":0,"retMsg":"OK","result":{"nextPageCursor":"","list":[
{"id":"592324_XRPUSDT_161440249321","symbol":"XRPUSDT","side":"Buy","funding":"-0.003676",
 "orderLinkId":"","orderId":"1672128000-8-592324-1-2","fee":"0.00000000","change":"-0.003676",
 "cashFlow":"0","transactionTime":"1767225700000","type":"SETTLEMENT","feeRate":"0.0001",
 "bonusChange":"","size":"100","qty":"100","cashBalance":"5086.55825002","currency":"USDT",
 "category":"linear","tradePrice":"0.3676","tradeId":"534c0003-4bf7-486f-aa02-78cee36825e4"},
{"id":"592324_XRPUSDT_161407743011","symbol":"XRPUSDT","side":"Buy","funding":"",
 "orderLinkId":"linear-order","orderId":"592b7e41-78fd-42e2-9aa3-91e1835ef3e1","fee":"0.00260280",
 "change":"-0.0026028","cashFlow":"0","transactionTime":"1767225600224","type":"TRADE",
 "feeRate":"0.0006","bonusChange":"","size":"12","qty":"12","cashBalance":"5086.58101322",
 "currency":"USDT","category":"linear","tradePrice":"0.3615",
 "tradeId":"8569c10f-5061-5891-81c4-a54929847eb3"}]},"retExtInfo":{},"time":1767225800000}"""
SINCE, UNTIL = (
    datetime.fromisoformat("2026-01-01T00:00:00Z"),
    datetime.fromisoformat("2026-01-02T00:00:00Z"),
)


@asynccontextmanager
async def told(name: str, *bodies: str) -> AsyncIterator[CcxtLink]:
    """A link to a server that says these things, one after the other."""
    of = import_module(f"tradefleet.venues.{name}")
    key = bybit_rig.Key(
        api_key="a" * 20,
        secret="c2VjcmV0" * 4,
        account="alice",
        permissions=set(),
    )
    silent = patch.object(Environment, "keep_clock", AsyncMock())  # the first answer is for us
    async with (
        teller(*(http(body) for body in bodies)) as server,
        adapter(server.url, "ws://127.0.0.1:1", of=of) as ours,
    ):
        listed(ours)
        with silent:
            yield await ours.link(key, "alice")


def shown(entries: tuple[VenueEntry, ...]) -> list[tuple[str, str, str]]:
    return [(each.kind.value, each.asset, f"{each.amount:f}") for each in entries]


async def test_krakens_rows_are_read_with_their_fees_beside_them():
    async with told("kraken", KRAKEN_ROWS) as link:
        found = await link.statement([], SINCE, UNTIL)
    assert shown(found.entries) == [
        ("trade", "ZGBP", "-24.5000"),
        ("fee", "ZGBP", "-0.0490"),
        ("other", "ETH.S", "0.0000000412"),
        ("withdrawal", "XXBT", "-0.5000000000"),
        ("fee", "XXBT", "-0.0002000000"),
    ]
    assert [each.trade_id for each in found.entries] == ["TJKLXF-PGMUI-4NTLXU"] * 2 + [""] * 3
    assert {str(each.step) for each in found.entries} == {"0.0001", "1E-8"}


async def test_bybits_lines_of_derivatives_move_money_and_are_no_trades_of_ours():
    async with told("bybit", BYBIT_ROWS) as link:
        found = await link.statement([], SINCE, UNTIL)
    assert shown(found.entries) == [
        ("fee", "USDT", "-0.00260280"),
        ("other", "USDT", "-0.00367600"),
    ]
    assert {each.trade_id for each in found.entries} == {""}


BINANCE_BODIES = (
    """[{"id":"769800519366885376","amount":"0.001","coin":"BNB","network":"BNB","status":1,
     "address":"bnb1","addressTag":"1","txId":"98A3","insertTime":1767180000000,
     "completeTime":1767225660000,"transferType":0,"confirmTimes":"1/1","unlockConfirm":0,
     "walletType":0},
    {"id":"769800519366885377","amount":"5","coin":"BNB","network":"BNB","status":0,
     "address":"bnb1","addressTag":"1","txId":"98A4","insertTime":1767225660000,
     "transferType":0,"confirmTimes":"0/1","unlockConfirm":0,"walletType":0}]""",
    """[{"id":"b6ae22b3aa844210a7041aee7589627c","amount":"8.91000000","transactionFee":"0.004",
     "coin":"USDT","status":6,"address":"0x94df","txId":"0xb5ef",
     "applyTime":"2026-01-01 11:12:02","network":"ETH","transferType":0},
    {"id":"c6ae22b3aa844210a7041aee7589627c","amount":"1","transactionFee":"0.004",
     "coin":"USDT","status":3,"address":"0x94df","txId":"","applyTime":"2026-01-01 11:12:03",
     "network":"ETH","transferType":0}]""",
    """{"total":1,"userAssetDribblets":[{"operateTime":1767225700000,
     "totalTransferedAmount":"0.00132256","totalServiceChargeAmount":"0.00002699",
     "transId":45178372831,"userAssetDribbletDetails":[{"transId":4359321,
     "serviceChargeAmount":"0.000009","amount":"0.0009","operateTime":1767225700000,
     "transferedAmount":"0.000441","fromAsset":"USDT"}]}]}""",
    """{"rows":[{"id":1637366104,"amount":"10.00000000","asset":"BHFT","divTime":1767225800000,
     "enInfo":"BHFT distribution","tranId":2968885920}],"total":1}""",
)


async def test_binances_lists_become_one_statement():
    async with told("binance", *BINANCE_BODIES) as link:
        found = await link.statement([], SINCE, UNTIL)
    assert shown(found.entries) == [
        ("deposit", "BNB", "0.001"),
        ("conversion", "USDT", "-0.0009"),
        ("conversion", "BNB", "0.000441"),
        ("rebate", "BHFT", "10.00000000"),
        ("withdrawal", "USDT", "-8.91000000"),
        ("fee", "USDT", "-0.004"),
    ]


@pytest.mark.parametrize("spoiled", [0, 1, 2, 3])
async def test_where_one_list_cannot_be_read_there_is_no_statement(spoiled):
    bodies = [*BINANCE_BODIES]
    bodies[spoiled] = '{"code":-1000,"msg":"An unknown error"}' if spoiled % 2 else "[{}]"
    async with told("binance", *bodies) as link:
        with pytest.raises(VenueUnavailable):
            await link.statement([], SINCE, UNTIL)
