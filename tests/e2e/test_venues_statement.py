"""Over real sockets, each venue's own ledger agrees with our books while bots and people trade."""

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from tests.e2e.venue_rig import BAR, FIRST, MASTER, SECOND, VENUES, generated_market, world
from tests.makers import START
from tradefleet.domain.errors import Refused
from tradefleet.engine import statement as pure
from tradefleet.engine.statement import Comparison
from tradefleet.operations.statements import statement_now
from tradefleet.runtime import reconciliation
from tradefleet.runtime.statement import DailyStatement
from venuesim.orders import Kind, NewOrder, Side
from venuesim.units import units

EASY = "warmup=60 score_min=3 filters_min=4"  # so that APEX trades bars nobody traded


@pytest.fixture
def found(monkeypatch) -> dict[str, list[Comparison]]:
    """Make a statement every half an hour, and keep them all, by account."""
    kept: dict[str, list[Comparison]] = defaultdict(list)
    concluding = DailyStatement._conclude

    async def conclude(self, check, made):
        kept[check.account_id].append(made)
        await concluding(self, check, made)

    monkeypatch.setattr(DailyStatement, "_conclude", conclude)
    monkeypatch.setattr(pure, "due_after", lambda at, share: at + timedelta(minutes=30))
    monkeypatch.setattr(reconciliation, "STATEMENT_WITHIN", 60.0)
    return kept


async def test_statements_agree_to_the_unit_at_every_venue(
    sqlite_url, tmp_path, monkeypatch, found
):
    market, start = generated_market(28, 62), START + 500 * BAR
    users = dict(zip((MASTER, FIRST, SECOND), VENUES, strict=False))
    async with world(VENUES, sqlite_url, tmp_path, monkeypatch, market=market, start=start) as it:
        service = await it.service()
        for user, venue in users.items():
            await it.connect(service, user, venue, {"BTC": "3"})
            await it.unleash(service, user)
            await it.trade(service, user, f"ETH/BTC 1 {venue} {EASY}")
        await service.join(len(users))
        await it.time.pass_until(start + 20 * BAR)
        for user, venue in users.items():
            exchange = it.sims[venue].exchange
            exchange.deposit(user, "BTC", units("0.25"))
            by_hand = NewOrder(
                symbol="ETH/BTC", side=Side.BUY, kind=Kind.MARKET, quantity=units("0.5")
            )
            exchange.place(user, by_hand)
        await it.time.pass_until(start + 60 * BAR)
        await it.time.pass_by(150)
        for user, venue in users.items():
            account = await it.account(user, venue)
            made = found[account.id]
            assert len(made) >= 5
            assert all(each.agrees for each in made), [each.troubles for each in made]
            assert all(each.differing == () for each in made), [each.lines for each in made]
            ends = [(each.since, each.until) for each in made]
            assert all(one[1] == after[0] for one, after in pairwise(ends))
            trades = it.sims[venue].exchange.accounts[user].trades
            compared = sum(each.trades + each.others for each in made)
            assert 4 <= compared <= len(trades)
            assert [entry.amount for each in made for entry in each.explained] == [Decimal("0.25")]
            told = await it.time.run(
                statement_now(service.store, service.venues, service.clock, account.id, start)
            )
            assert told.is_well, told.reply.text
        await service.stop()


async def test_a_key_without_krakens_ledger_trades_and_the_operator_hears_why(
    sqlite_url, tmp_path, monkeypatch, found
):
    async with world(("kraken",), sqlite_url, tmp_path, monkeypatch) as it:
        service = await it.service()
        await it.connect(service, FIRST, "kraken", {"USDT": "1000"})
        it.keys[FIRST, "kraken"].permissions = {
            "query-funds",
            "query-open-trades",
            "query-closed-trades",
            "create-ws-token",
            "trade",
        }
        await it.trade(service, FIRST, "BTC/USDT 100 kraken strategy=script")
        await service.join(1)
        for _ in range(14):
            await it.time.pass_by(300)
        account = await it.account(FIRST, "kraken")
        daily = service.node.reconciliation.statement
        assert "Query Ledger Entries" in daily.not_possible[account.id]
        assert found == {}
        assert service.node.reconciliation.in_trouble == 0
        with pytest.raises(Refused, match="the key lacks the right “Query Ledger Entries”"):
            await it.time.run(
                statement_now(service.store, service.venues, service.clock, account.id)
            )
        await service.stop()
