"""Whatever others do in an account, the ledger stays balanced and bots sell what they bought."""

import asyncio
from collections import defaultdict
from decimal import Decimal

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.makers import START
from tests.runtime.live_rig import Answer, Ground, Running, enter, leave
from tests.runtime.real_rig import RealLink, agrees, books, policy, real_ground, watched
from tradefleet.domain.ledger import place_of
from tradefleet.domain.market import Side
from tradefleet.domain.order import Order
from tradefleet.domain.user import ExternalChanges

AMOUNTS = st.integers(1, 400).map(lambda n: Decimal(n) / 100)
ANSWER, PARTS = st.sampled_from(["accept", "lose", "reject"]), st.integers(1, 3)
BOT = st.one_of(
    st.tuples(st.just("enter"), ANSWER, PARTS),
    st.tuples(st.just("leave"), ANSWER, PARTS),
    st.tuples(st.just("fill"), PARTS),
)
OTHERS = st.one_of(
    st.tuples(st.just("deposit"), st.sampled_from(["USDT", "BTC", "BNB"]), AMOUNTS),
    st.tuples(st.just("withdraw"), st.sampled_from(["USDT", "BTC", "BNB"]), AMOUNTS),
    st.tuples(st.just("trade"), st.sampled_from(list(Side)), AMOUNTS),
    st.tuples(st.just("hidden"), st.sampled_from(list(Side)), AMOUNTS),
    st.tuples(st.just("resume")),
    st.tuples(st.just("pass"), st.integers(1, 200)),
    st.tuples(st.just("crash")),
)
STEPS = st.lists(st.tuples(BOT, OTHERS), min_size=2, max_size=12)
ANSWERS = {"accept": Answer.ACCEPT, "lose": Answer.LOSE_ANSWER, "reject": Answer.REJECT}


class Story:
    """One account over an hour or so: what its bot, its user and its host do."""

    def __init__(self, ground: Ground) -> None:
        self.ground, self.minute = ground, 0

    @property
    def link(self) -> RealLink:
        link = self.ground.link()
        assert isinstance(link, RealLink)
        return link

    async def step(self, running: Running, what: str, *given: object) -> None:
        await running.poll()
        match what, given:
            case "deposit", (str(asset), Decimal() as amount):
                self.link.change(asset, amount)
            case "withdraw", (str(asset), Decimal() as amount):
                there = self.link.holdings.get(asset, Decimal(0))
                self.link.change(asset, -min(amount, max(there, Decimal(0))))
            case (("trade" | "hidden"), (Side() as side, Decimal() as amount)):
                self.link.trade(side, amount, is_listed=what == "trade")
            case (("enter" | "leave"), (str(answer), int(parts))):
                self.link.answers.append(ANSWERS[answer])
                await self.decide(running, enter(1, "0.1") if what == "enter" else leave())
                self.link.answers.clear()
                await self.fill(parts)
            case "fill", (int(parts),):
                await self.fill(parts)
            case "pass", (int(seconds),):
                await self.ground.clock.pass_by(seconds)
            case "resume", ():
                await self.ground.ask("/resume")
                await running.poll()

    async def decide(self, running: Running, signal: object) -> None:
        """Let the strategy say this of the next bar, which brings a price as well."""
        seconds = (self.ground.clock.now() - START).total_seconds()
        self.minute = max(self.minute + 1, int(seconds // 60))
        self.ground.theatre.say(self.minute, signal)
        await running.bar(self.minute)
        await running.price(100)

    async def fill(self, parts: int) -> None:
        """Let the venue fill a part of what is open, or all of it."""
        for there in list(self.link.orders.values()):
            left = there.order.quantity - there.filled
            part = (left / parts).quantize(Decimal("0.00001")) or left
            if there.is_open:
                await self.link.fill(there.order, 100, min(part, left))


async def play(steps: list[tuple[object, ...]], anonymous: bool, changes: ExternalChanges) -> None:
    ground = await real_ground()
    await policy(ground, changes)
    story, left = Story(ground), list(steps)
    while left:
        async with watched(ground) as running:
            link = story.link
            link.silent = link.twice = True
            link.anonymous = anonymous
            while left and left[0] != ("crash",):
                await story.step(running, *left.pop(0))
        del left[:1]
    async with watched(ground) as running:
        for _ in range(15):
            await ground.clock.pass_by(100)
            await running.poll()
        assert not running.bot().fault
        await check(ground, running)


async def check(ground: Ground, running: Running) -> None:
    await agrees(ground)
    found = await books(ground)
    bot = running.bot()
    held = Decimal(0) if bot.engine.position is None else bot.engine.position.quantity
    assert found.of(place_of(bot.id), "BTC") == held >= 0
    assert found.of(place_of(bot.id), "USDT") == bot.engine.cash
    filled: defaultdict[Side, Decimal] = defaultdict(Decimal)
    names = [order.id for order in ground.link().submitted]
    assert len(names) == len(set(names)), "an order was sent twice"
    for there in ground.link().orders.values():
        order: Order = there.order
        filled[order.side] += there.filled
    assert filled[Side.SELL] <= filled[Side.BUY]
    assert filled[Side.BUY] - filled[Side.SELL] == held


# A trade listed twice counted twice in memory, and so hid one that was not listed at all.
TWICE_AND_HIDDEN = [
    (("enter", "accept", 1), ("deposit", "USDT", Decimal("0.01"))),
    (("enter", "accept", 1), ("deposit", "BTC", Decimal("0.04"))),
    (("enter", "accept", 1), ("hidden", Side.SELL, Decimal("0.01"))),
    (("leave", "accept", 1), ("trade", Side.SELL, Decimal("0.01"))),
]


@example(steps=TWICE_AND_HIDDEN, anonymous=False, changes=ExternalChanges.IGNORE)
@settings(max_examples=60, deadline=None)
@given(
    steps=STEPS,
    anonymous=st.booleans(),
    changes=st.sampled_from(list(ExternalChanges)),
)
def test_whatever_happens_the_books_agree_and_no_bot_sells_what_it_did_not_buy(
    steps, anonymous, changes
):
    told = [step for pair in steps for step in pair]
    asyncio.run(play(told, anonymous, changes))
