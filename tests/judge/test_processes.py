"""L2 for a few seconds: hosts are killed while they trade; nothing is lost, nothing doubled."""

import base64
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from judge.evidence import Posting
from judge.processes.canaries import Canary, leaks
from judge.processes.rhythm import BEAT, EPOCH, TIMEFRAME, QuickBars, rhythm
from judge.processes.running import Size, run_whole, totals
from judge.verdict import judge
from tests.makers import bar
from tradefleet.domain.market import Quote, Stream, Symbol
from tradefleet.venue import BarSeen, PriceSeen

# As little of everything as shows something, and given up soon what a venue never had.
SMALL = Size(accounts=2, symbols=2, grace_s=1.0, sweep_s=0.5, delay_max=2.0, settle_max=60.0)


@pytest.mark.slow
def test_hosts_that_are_killed_on_one_file_lose_and_double_nothing():
    ran = run_whole(6.0, 1, "sqlite", SMALL)
    verdict = judge(ran.evidence)
    assert verdict.findings == []
    assert verdict.is_clean
    assert ran.figures["balances that differ"] == 0 < ran.figures["balances compared"]
    assert ran.figures["hosts that failed"] == {}
    assert ran.figures["left unsettled"] == {}
    assert ran.figures["bots set aside"] == {}
    assert ran.figures["kills"] >= 3
    assert verdict.number("orders") >= 10
    assert verdict.number("faults") >= 10
    assert verdict.number("crashes") == ran.figures["kills"]
    kinds = Counter(each.kind for each in ran.evidence.diary)
    assert kinds["canary"] == 12 and kinds["leak"] == 0
    assert kinds["quiet"] == kinds["ended"] == 1
    assert {each.venue for each in ran.evidence.owned} == {"binance", "bybit", "kraken"}


# ------------------------------------------------------------------------- canaries


@pytest.mark.parametrize(
    "form",
    [
        lambda secret: secret.encode(),
        lambda secret: secret.encode().hex().encode(),
        lambda secret: base64.b64encode(b"?" + secret.encode()),
        lambda secret: secret[:20].encode(),
        lambda secret: secret[::-1].encode(),
    ],
)
def test_a_key_that_was_written_is_found_in_every_form(form):
    secret = "k3yOfAlice/0123456789+abcdefghijklmnopqr"
    written = [("log", b"nothing here"), ("file", b"\0\1 apiKey=" + form(secret) + b"&x=1")]
    found = {leak.where for leak in leaks([Canary("key of alice", secret)], written)}
    assert found == {"file"}


def test_as_much_of_a_key_as_may_be_shown_is_no_leak():
    secret = "k3yOfAlice/0123456789+abcdefghijklmnopqr"
    shown = f"{secret[:4]}…{secret[-4:]}".encode()
    assert list(leaks([Canary("key of alice", secret)], [("log", shown)])) == []


def test_what_a_secret_signs_with_is_found_too():
    raw = bytes(range(100, 164))
    secret = base64.b64encode(raw).decode()
    assert list(leaks([Canary("secret of bob", secret)], [("file", b"--" + raw)]))


# ------------------------------------------------------------------- rhythm and bars


def test_the_rhythm_goes_in_and_out_at_its_beats_and_only_out_when_it_closes():
    plain = rhythm(closing=False).build({"period": "4", "phase": "1"})
    bars = [replace(bar(100), opened_at=EPOCH + number * BEAT) for number in range(8)]
    said = [plain.on_bar(each) is not None for each in bars]
    assert said == [False, False, False, True, False, False, False, True]
    closing = rhythm(closing=True).build({"period": "4", "phase": "1"}).on_bar(bar(100))
    assert closing is not None and closing.entry is None and closing.exit_reason


BTC = Symbol("BTC", "USDT")


class Prices:
    """A market that tells prices, each so long after the one before."""

    def __init__(self, clock: "Hand", *prices: int) -> None:
        self.clock, self.prices = clock, prices
        self.followed: list[Stream] = []

    async def events(self, streams):
        self.followed = list(streams)
        for price in self.prices:
            yield PriceSeen(BTC, Quote(Decimal(price), self.clock.at))
            self.clock.at += timedelta(milliseconds=100)


class Hand:
    at = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


async def test_bars_are_cut_from_prices_at_every_beat():
    clock = Hand()
    prices = Prices(clock, 100, 103, 99, 101, 102, 104)
    quick = QuickBars(prices, clock)  # type: ignore[arg-type]
    stream = Stream("binance", BTC, TIMEFRAME)
    seen = [event async for event in quick.events([stream])]
    bars = [event.bar for event in seen if isinstance(event, BarSeen)]
    assert [(b.open, b.high, b.low, b.close) for b in bars] == [
        (100, 103, 99, 101),
        (101, 104, 101, 104),
    ]
    assert [b.opened_at + TIMEFRAME.delta for b in bars] == [Hand.at + BEAT, Hand.at + 2 * BEAT]
    assert len(seen) == 6 + 2
    assert [each.timeframe.seconds for each in prices.followed] == [60]


# --------------------------------------------------------------------- what is compared


def test_what_an_account_has_is_what_stands_in_none_of_the_places_outside():
    def posting(place: str, amount: str, account: str = "a") -> Posting:
        return Posting(
            user_id="alice", account_id=account, entry_id="1", place=place, asset="BTC",
            amount=Decimal(amount),
        )  # fmt: skip

    found = totals(
        [
            posting("external", "-2"), posting("free", "2"), posting("market", "-1.5"),
            posting("bot:1", "1.5"), posting("bot:1", "-0.00000001"), posting("fees", "0.00000001"),
            posting("free", "1", "b"),
        ]
    )  # fmt: skip
    assert found == {"a": {"BTC": 349_999_999}, "b": {"BTC": 100_000_000}}
