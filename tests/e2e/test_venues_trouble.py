"""What befalls one account is its own affair: the others trade as if nothing had happened.

One key is revoked, one account is shut out by its venue, the prices of one pair stop, fills are
told twice, and a user trades by hand: each is told what concerns them, and nobody else anything.
"""

import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.e2e.venue_rig import (
    BAR,
    VENUES,
    Service,
    World,
    generated_market,
    story_of,
    world,
)
from tests.makers import START
from tradefleet.domain.ids import UserId
from venuesim.faults import Fault, FaultKind
from venuesim.orders import Kind, NewOrder, Side
from venuesim.units import units

BEGIN = START + 500 * BAR
BARS = 62
EASIEST = "warmup=60 score_min=2 filters_min=3"  # many trades
CONTROL, REVOKED, SHUT_OUT, ELSEWHERE, TWICE, STALLED = map(
    UserId, ("control", "revoked", "shut_out", "elsewhere", "twice", "stalled")
)
PLACES = {
    CONTROL: "binance",
    REVOKED: "binance",
    SHUT_OUT: "bybit",
    ELSEWHERE: "bybit",
    TWICE: VENUES[-1],
    STALLED: VENUES[-1],
}
PAIRS = {user: "ETC/BTC" if user is STALLED else "ETH/BTC" for user in PLACES}


@dataclass(slots=True)
class Played:
    """What a run came to: trades by user, and what each was told."""

    trades: dict[UserId, list[tuple[Any, ...]]] = field(default_factory=dict)
    told: dict[UserId, list[str]] = field(default_factory=dict)


def moment(bar: int) -> datetime:
    return BEGIN + bar * BAR + timedelta(seconds=30)


async def play(it: World, disturb: Callable[[World, Service], Awaitable[None]] | None) -> Played:
    """Let everybody trade from the first bar to the last, disturbed or not."""
    service, played = await it.service(), Played()
    for user, venue in PLACES.items():
        await it.connect(service, user, venue, {"BTC": "3"})
        await it.unleash(service, user)
        await it.trade(service, user, f"{PAIRS[user]} 1 {venue} {EASIEST}")
    await service.join(len(PLACES))
    if disturb is not None:
        await disturb(it, service)
    await it.time.pass_until(BEGIN + BARS * BAR)
    await it.time.pass_by(150)
    for user, venue in PLACES.items():
        await it.judge(user, venue)
        played.trades[user] = story_of(await it.trades(user))
        played.told[user] = service.told.texts(user)
    await service.stop()
    it.judge_journals()
    return played


async def disturb(it: World, service: Service) -> None:
    binance, bybit, last = it.sims["binance"], it.sims["bybit"], it.sims[VENUES[-1]]
    twice = Fault(kind=FaultKind.MESSAGE_DUPLICATED)
    last.faults.once(fault=twice, account=TWICE, times=1000)

    await it.time.pass_until(moment(13))  # a position in ETC is open
    last.exchange.deposit(TWICE, "BTC", units("0.5"))
    by_hand = NewOrder(symbol="ETH/BTC", side=Side.BUY, kind=Kind.MARKET, quantity=units("1"))
    last.exchange.place(TWICE, by_hand)
    last.exchange.stalled.add("ETC/BTC")
    await it.time.pass_until(moment(17))
    last.exchange.stalled.discard("ETC/BTC")

    await it.time.pass_until(moment(32))  # a position in ETH is open, and to be left at bar 34
    bybit.place.maintenance_of[SHUT_OUT] = "maintenance"
    it.keys[REVOKED, "binance"].revoked = True
    await it.time.pass_until(MENDED)
    del bybit.place.maintenance_of[SHUT_OUT]
    service.node.ownership.poll_seconds = 1.0  # there are commands again
    key = binance.client(REVOKED, {})
    words = f"/connect binance {key.api_key} {key.secret} testnet=false"
    question = await service.ask(REVOKED, words)
    assert "✅ Exchange Connected" in await service.ask(REVOKED, question.splitlines()[-1])


MENDED = moment(36)
SILENT = "⚠️ No prices of ETC/BTC are coming in; its stop rests at {}."
UNKNOWN_KEY = (
    "🔑 binance (live): binance does not know this key. No new entries there until that is mended; "
    "open positions are still looked after.\nCopy key and secret from binance's API page once "
    "more; a key that was deleted there has to be made anew. Then send /connect binance."
)
AWAY = (
    "⚠️ bybit (live) does not answer for your account; we keep asking. Stops that rest there hold, "
    "and whatever else is to be sold is sold once it answers."
)
BACK = "✅ bybit (live) answers again for your account."


async def test_what_befalls_one_account_is_its_own_affair(sqlite_template, tmp_path, monkeypatch):
    market = [*generated_market(103, BARS + 2), *generated_market(98, BARS + 2, "ETC/BTC")]
    runs = []
    for name, what in (("calm", None), ("disturbed", disturb)):
        (folder := tmp_path / name).mkdir()
        url = str(shutil.copy(sqlite_template, folder))
        async with world(
            VENUES, url, folder, monkeypatch, market=market, start=BEGIN, pulse=True
        ) as it:
            runs.append(await play(it, what))
    calm, disturbed = runs
    assert all(len(trades) >= 12 for trades in calm.trades.values())
    for user in (CONTROL, ELSEWHERE, TWICE):
        assert disturbed.trades[user] == calm.trades[user]
        assert disturbed.told[user] == calm.told[user]

    assert besides(disturbed, calm, REVOKED) == [UNKNOWN_KEY]
    assert besides(disturbed, calm, SHUT_OUT) == [AWAY, BACK]
    assert besides(disturbed, calm, STALLED) == [SILENT.format(PLACES[STALLED])]
    for user in (REVOKED, SHUT_OUT):
        before = [t for t in calm.trades[user] if t[2] < moment(32)]
        assert disturbed.trades[user][: len(before)] == before
        left_at = disturbed.trades[user][len(before)][2]
        assert MENDED <= left_at <= MENDED + timedelta(seconds=90), f"{user} as soon as possible"


def besides(played: Played, calm: Played, user: UserId) -> list[str]:
    """Return what a user was told besides of orders that were filled."""
    extra = [text for text in played.told[user] if text not in calm.told[user]]
    return [text for text in extra if not text.startswith(("🟢", "🔴"))]
