"""Orders by hand at simulated venues over real sockets: what is asked, no more, and books agree."""

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.e2e.venue_rig import BAR, FIRST, VENUES, Service, World, generated_market, world
from tests.makers import START
from tradefleet.domain.market import Side, Symbol
from tradefleet.domain.order import OrderState

ETH_BTC = Symbol("ETH", "BTC")


async def a_minute(it: World) -> None:
    """Let a minute pass in small steps: an order by hand does not wait for longer than half."""
    for _ in range(12):
        await it.time.pass_by(5)


async def fresh_price(it: World, service: Service, venue: str) -> None:
    """Let time pass until the market, which is a quiet one, has just said a price."""
    for _ in range(60):
        await it.time.pass_by(5)
        heard = service.node.feeds[venue].prices.get(ETH_BTC)
        known = ETH_BTC in service.node.feeds[venue].last
        if known and heard is not None and it.time.now - heard < timedelta(seconds=6):
            return
    raise AssertionError("no price came")


@pytest.mark.parametrize("venue", VENUES)
async def test_bought_and_sold_by_hand_beside_a_pair_the_books_agree(
    venue, sqlite_url, tmp_path, monkeypatch
):
    start = START + 500 * BAR
    market = generated_market(28, 62)
    async with world((venue,), sqlite_url, tmp_path, monkeypatch, market=market, start=start) as it:
        service = await it.service()
        await it.connect(service, FIRST, venue, {"BTC": "3", "ETH": "5"})
        await it.unleash(service, FIRST)
        await it.trade(service, FIRST, f"ETH/BTC 1 {venue}")
        await service.join(1)
        await fresh_price(it, service, venue)
        said = await service.ask(FIRST, f"/buy ETH/BTC 0.5 {venue}")
        assert said.startswith("🧾 Ordered"), said
        await a_minute(it)
        (bought,) = [o for o in await it.orders(FIRST) if o.reason == "manual"]
        assert bought.state is OrderState.DONE
        fills = [f for f in await it.fills(FIRST) if f.order_id == bought.id]
        spent = sum(f.cost for f in fills) + sum(f.fee for f in fills if f.fee_asset == "BTC")
        assert Decimal("0.4") < spent <= Decimal("0.5")
        await fresh_price(it, service, venue)
        said = await service.ask(FIRST, f"/sell ETH/BTC {bought.filled + 1} {venue}")
        assert said.startswith("🧾 Ordered"), said
        await a_minute(it)
        sold = [o for o in await it.orders(FIRST) if o.reason == "manual"][-1]
        assert (sold.side, sold.state) == (Side.SELL, OrderState.DONE)
        assert sold.filled <= bought.filled + 1
        await it.time.pass_by(150)
        assert "✅ ETH/BTC: sold" in await service.ask(FIRST, "/ordered")
        await service.stop()
        await it.judge(FIRST, venue)
        (trade,) = [t for t in await it.trades(FIRST) if t.exit_reason == "manual"]
        assert trade.quantity <= bought.filled
