"""What holds for every store: a user's transaction sees and changes that user's rows only."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.makers import ETH, START, after_start
from tests.store_rig import ALICE, BOB, LATE, LONG, UNIT, account, bot, register, user
from tradefleet.domain.bot import BotMemory, BotStatus
from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.errors import BrokenInvariant, Refused
from tradefleet.domain.ids import UniverseId
from tradefleet.domain.ledger import FREE, LedgerEntry
from tradefleet.domain.limits import Halt, RiskLimits, Scope, Switch
from tradefleet.domain.market import Symbol, Timeframe
from tradefleet.domain.universe import UniverseSpec
from tradefleet.domain.user import Role


def deposit(id="d1", user_id=ALICE, amount=LONG, at=START):
    return LedgerEntry.of_transfer(
        id=id,
        user_id=user_id,
        account_id=account(user_id).id,
        kind="deposit",
        at=at,
        asset="USDT",
        amount=amount,
        source="external",
        target=FREE,
    )


def switch_over(scope, scope_id, halt=Halt.STOP, at=START):
    return Switch(scope=scope, scope_id=scope_id, halt=halt, reason="a test", changed_at=at)


# ---- users


async def test_a_new_user_is_found_by_name_and_telegram(store):
    alice = user(ALICE, telegram_id=2**40, tier="premium", role=Role.ADMIN, settings={"fill": "on"})
    async with store.open(ALICE) as own:
        assert await own.user() is None
        await own.save_user(alice)
        assert await own.user() == alice
    assert await store.find_user(username=alice.username) == alice
    assert await store.find_user(telegram_id=2**40) == alice
    assert await store.find_user(telegram_id=1) is None
    assert await store.find_user(username="nobody") is None
    assert await store.find_user() is None
    assert await store.user_ids() == [ALICE]


async def test_a_user_can_change_their_name(store):
    await register(store, ALICE, telegram_id=1)
    async with store.open(ALICE) as own:
        await own.save_user(user(ALICE, username="new name", telegram_id=2))
    assert await store.find_user(telegram_id=1) is None
    assert await store.find_user(username="new name") == await store.find_user(telegram_id=2)


async def test_a_name_or_telegram_account_of_another_user_is_refused(store):
    await register(store, ALICE, telegram_id=1)
    for changes in ({"username": f"name of {ALICE}"}, {"telegram_id": 1}):
        with pytest.raises(Refused):
            await register(store, BOB, **changes)
    assert await store.user_ids() == [ALICE]
    await register(store, BOB, telegram_id=2)
    assert await store.user_ids() == [ALICE, BOB]


async def test_limits_come_back_as_they_were_saved(store):
    limits = RiskLimits(
        position_quote_max=LONG,
        position_share_max=UNIT,
        open_positions_max=7,
        daily_loss_quote=Decimal(150),
        losses_in_row_max=0,
        symbols_allowed=frozenset({"BTC/USDT", "ETH/USDT"}),
        symbols_blocked=frozenset({"SOL/USDT"}),
        entry_gap_seconds=60,
        breaker_hours=Decimal("0.5"),
    )
    await register(store, ALICE)
    async with store.open(ALICE) as own:
        assert await own.limits() is None
        await own.save_limits(RiskLimits.default())
        await own.save_limits(limits)
    async with store.open(ALICE, reading=True) as own:
        assert await own.limits() == limits


async def test_accounts_come_oldest_first(store):
    await register(store, ALICE)
    async with store.open(ALICE) as own:
        await own.save_account(account(ALICE, 3))
        await own.save_account(account(ALICE, 2))
        expected = [account(ALICE), account(ALICE, 2), account(ALICE, 3)]
        assert await own.accounts() == expected


# ---- bots


async def test_bots_come_back_exactly_in_the_order_they_were_added(store):
    full = bot(
        ALICE,
        9,
        venue="kraken",
        symbol=Symbol("BTC", "USDT", "USDT"),
        timeframe=Timeframe(14400),
        allocation=LONG,
        params={"fast": "9", "slow": "21"},
        status=BotStatus.SET_ASIDE,
        note="it failed",
        limits=RiskLimits(daily_loss_quote=UNIT),
    )
    forex = bot(ALICE, 5, symbol=Symbol.parse("EURUSD"))
    await register(store, ALICE, full, forex, bot(ALICE))
    async with store.open(ALICE) as own:
        assert await own.bots() == [full, forex, bot(ALICE)]
        assert next(iter((await own.memories()).values())) == BotMemory(
            bot_id=full.id, user_id=ALICE, cash=LONG
        )


async def test_a_bot_can_be_changed(store):
    await register(store, ALICE, bot(ALICE))
    changed = replace(bot(ALICE), status=BotStatus.STOPPED, note="by hand", params={"a": "b"})
    async with store.open(ALICE) as own:
        await own.save_bot(changed)
    async with store.open(ALICE) as own:
        assert await own.bots() == [changed]


async def test_a_pair_is_traded_once_per_account_until_its_bot_is_removed(store):
    await register(store, ALICE, bot(ALICE))
    with pytest.raises(Refused, match="BTC/USDT"):
        async with store.open(ALICE) as own:
            await own.add_bot(bot(ALICE, 2))
    async with store.open(ALICE) as own:
        await own.remove_bot(bot(ALICE).id)
        await own.add_bot(bot(ALICE, 2))
        await own.add_bot(bot(ALICE, 3, symbol=ETH))
    async with store.open(ALICE) as own:
        assert [each.id for each in await own.bots()] == [bot(ALICE, n).id for n in (2, 3)]
        assert list(await own.memories()) == [bot(ALICE, n).id for n in (2, 3)]


# ---- universes


def universe(user_id=ALICE, number=1, **changes):
    given = {
        "id": UniverseId(f"universe{number} of {user_id}"),
        "user_id": user_id,
        "account_id": account(user_id).id,
        "name": f"name {number}",
        "asset": "USDT",
        "allocation": LONG,
        **changes,
    }
    return UniverseSpec(**given)


async def test_universes_come_back_exactly_until_they_are_removed(store):
    full = universe(carried=-UNIT, positions_max=7)
    member = bot(ALICE, 1, allocation=Decimal(0), universe_id=full.id)
    await register(store, ALICE)
    async with store.open(ALICE) as own:
        await own.save_universe(universe())
        await own.save_universe(full)
        await own.add_bot(member)
        assert await own.universes() == [full]
    async with store.open(ALICE) as own:
        assert (await own.universes(), await own.bots()) == ([full], [member])
        assert (await own.memories())[member.id].cash == 0
        assert list((await store.load_user(ALICE)).universes) == [full]
        await own.remove_bot(member.id)
        await own.remove_universe(full.id)
        assert await own.universes() == []
    assert list((await store.load_user(ALICE)).universes) == []
    async with store.open(ALICE) as own:
        await own.save_universe(universe(number=2, name=full.name))  # the name is free again
        assert [each.id for each in await own.universes()] == [universe(number=2).id]


async def test_a_universes_name_is_taken_once_per_account(store):
    await register(store, ALICE)
    with pytest.raises(BrokenInvariant):
        async with store.open(ALICE) as own:
            await own.save_universe(universe())
            await own.save_universe(universe(number=2, name="name 1"))
    async with store.open(ALICE) as own:
        assert await own.universes() == []


async def test_a_bot_joins_no_universe_of_another_account_or_user(store):
    await register(store, ALICE)
    await register(store, BOB)
    async with store.open(ALICE) as own:
        await own.save_account(account(ALICE, 2))
        await own.save_universe(universe(account_id=account(ALICE, 2).id))
    for user_id in (ALICE, BOB):
        with pytest.raises(BrokenInvariant, match="universe"):
            async with store.open(user_id) as own:
                await own.add_bot(bot(user_id, universe_id=universe().id))


async def test_another_users_universe_is_neither_seen_nor_changed(store):
    await register(store, ALICE)
    await register(store, BOB)
    async with store.open(ALICE) as own:
        await own.save_universe(universe())
    async with store.open(BOB) as own:
        assert await own.universes() == []
    for change in ("save_universe", "remove_universe"):
        with pytest.raises(BrokenInvariant):
            async with store.open(BOB) as own:
                what = universe(BOB, id=universe().id) if change[0] == "s" else universe().id
                await getattr(own, change)(what)
    async with store.open(ALICE, reading=True) as own:
        assert await own.universes() == [universe()]


async def test_of_many_bots_added_for_one_pair_at_once_exactly_one_is_kept(store):
    await register(store, ALICE)

    async def add(number):
        async with store.open(ALICE) as own:
            await own.add_bot(bot(ALICE, number))

    results = await asyncio.gather(*map(add, range(64)), return_exceptions=True)
    assert results.count(None) == 1
    assert [type(result) for result in results if result].count(Refused) == 63
    async with store.open(ALICE) as own:
        assert len(await own.bots()) == 1


async def test_what_was_read_still_holds_when_it_is_written(store):
    """A quota counted in a transaction is not overrun by others at the same time."""
    await register(store, ALICE)

    async def add_unless_three(number):
        async with store.open(ALICE) as own:
            if len(await own.bots()) < 3:
                await asyncio.sleep(0)
                await own.add_bot(bot(ALICE, number, symbol=Symbol(f"C{number}", "USDT")))

    await asyncio.gather(*map(add_unless_three, range(16)))
    async with store.open(ALICE) as own:
        assert len(await own.bots()) == 3


@pytest.mark.parametrize("action", ["save_bot", "remove_bot"])
async def test_a_bot_that_is_not_there_cannot_be_changed(store, action):
    await register(store, ALICE)
    with pytest.raises(BrokenInvariant):
        async with store.open(ALICE) as own:
            await getattr(own, action)(bot(ALICE) if action == "save_bot" else bot(ALICE).id)


# ---- one transaction


async def fill_everything(own):
    """Change everything a user's transaction can change."""
    await own.save_user(user(ALICE, username="other", telegram_id=9))
    await own.save_limits(RiskLimits(open_positions_max=1))
    await own.save_account(account(ALICE, 2))
    await own.add_bot(bot(ALICE, 2, symbol=ETH))
    await own.save_bot(replace(bot(ALICE), note="changed"))
    await own.book(deposit())
    await own.set_switch(switch_over(Scope.USER, ALICE))
    await own.ask_host("flatten", {"bot": "b1", "at": 1.5, "list": [1, None]})
    await own.notify(Notify(ALICE, Topic.SYSTEM, "hello", START))
    await own.audit("test", {"amount": Decimal("1.5")})


async def everything_of(store, user_id):
    """Read everything of one user, as its transaction and as the host see it."""
    async with store.open(user_id, reading=True) as own:
        read = [
            await own.user(),
            await own.limits(),
            await own.accounts(),
            await own.bots(),
            await own.memories(),
            await own.guard(),
            await own.orders(),
            await own.trades(),
            await own.entries(),
            await own.switches(),
        ]
    await store.take_leases("reader", now=START, ttl=1, limit=10)
    load = await store.load_user(user_id)
    messages = [m for m in await store.host_messages("reader", 10) if m.user_id == user_id]
    notices = [
        n.notice for n in await store.due_notices(now=LATE, limit=10) if n.notice.user_id == user_id
    ]
    await store.release_leases("reader")
    return [*read, load, [(m.subject, m.payload, m.created_at) for m in messages], notices]


async def test_a_transaction_that_fails_leaves_no_trace(store):
    await register(store, ALICE, bot(ALICE))
    before = await everything_of(store, ALICE)
    with pytest.raises(Refused, match="never mind"):
        async with store.open(ALICE) as own:
            await fill_everything(own)
            raise Refused("never mind")
    assert await everything_of(store, ALICE) == before
    assert await store.find_user(username="other") is None


async def test_a_transaction_that_is_left_is_kept_whole(store):
    await register(store, ALICE, bot(ALICE))
    async with store.open(ALICE) as own:
        await fill_everything(own)
    *read, load, messages, notices = await everything_of(store, ALICE)
    assert read[0] == load.user == user(ALICE, username="other", telegram_id=9)
    assert read[1] == load.limits == RiskLimits(open_positions_max=1)
    assert read[2] == load.accounts == [account(ALICE), account(ALICE, 2)]
    assert read[3] == load.bots == [replace(bot(ALICE), note="changed"), bot(ALICE, 2, symbol=ETH)]
    assert read[4] == load.memories
    assert read[8] == [deposit()]
    assert read[9] == load.switches == [switch_over(Scope.USER, ALICE)]
    assert messages == [("flatten", {"bot": "b1", "at": 1.5, "list": [1, None]}, START)]
    assert notices == [Notify(ALICE, Topic.SYSTEM, "hello", START)]


async def test_messages_and_notices_wait_for_the_commit(store):
    await register(store, ALICE, bot(ALICE))
    await store.take_leases("host", now=START, ttl=1, limit=1)
    async with store.open(ALICE) as own:
        await fill_everything(own)
        assert await store.host_messages("host", 10) == []
        assert await store.due_notices(now=LATE, limit=10) == []
    assert len(await store.host_messages("host", 10)) == 1
    assert len(await store.due_notices(now=LATE, limit=10)) == 1


async def test_a_transaction_for_reading_writes_nothing(store):
    await register(store, ALICE, bot(ALICE))
    with pytest.raises(BrokenInvariant):
        async with store.open(ALICE, reading=True) as own:
            await own.save_limits(RiskLimits())
    async with store.open(ALICE) as own:
        assert await own.limits() is None


async def test_a_transaction_for_reading_waits_for_nobody(store):
    await register(store, ALICE, bot(ALICE))
    async with store.open(ALICE) as writing:
        await writing.save_limits(RiskLimits())
        async with store.open(ALICE, reading=True) as own:
            assert await own.limits() is None


# ---- isolation


async def test_no_method_reaches_another_users_rows(store):
    await register(store, ALICE, bot(ALICE))
    await register(store, BOB, bot(BOB))
    async with store.open(ALICE) as own:
        await fill_everything(own)
    before = await everything_of(store, ALICE)
    async with store.open(BOB) as own:
        assert own.user_id == BOB
        assert await own.user() == user(BOB)
        assert await own.limits() is None
        assert await own.accounts() == [account(BOB)]
        assert await own.bots() == [bot(BOB)]
        assert list(await own.memories()) == [bot(BOB).id]
        assert await own.guard() is None
        assert await own.orders(bot(ALICE).id) == []
        assert await own.fills(["o1"]) == []
        assert await own.trades(bot_id=bot(ALICE).id) == []
        assert await own.entries(account(ALICE).id) == []
        assert await own.decisions(bot(ALICE).id) == []
        assert await own.switches() == []
    assert await everything_of(store, ALICE) == before


FOREIGN = {
    "save_user": lambda own: own.save_user(user(ALICE)),
    "save_account": lambda own: own.save_account(account(ALICE)),
    "take account": lambda own: own.save_account(replace(account(ALICE), user_id=BOB)),
    "add_bot": lambda own: own.add_bot(bot(ALICE, 2)),
    "add_bot to an account": lambda own: own.add_bot(
        bot(BOB, 2, account_id=account(ALICE).id, symbol=ETH)
    ),
    "save_bot": lambda own: own.save_bot(bot(ALICE)),
    "take bot": lambda own: own.save_bot(replace(bot(BOB), id=bot(ALICE).id)),
    "remove_bot": lambda own: own.remove_bot(bot(ALICE).id),
    "book": lambda own: own.book(deposit()),
    "book in an account": lambda own: own.book(
        replace(deposit(user_id=BOB), account_id=account(ALICE).id)
    ),
    "switch a user": lambda own: own.set_switch(switch_over(Scope.USER, ALICE)),
    "switch an account": lambda own: own.set_switch(switch_over(Scope.ACCOUNT, account(ALICE).id)),
    "switch a bot": lambda own: own.set_switch(switch_over(Scope.BOT, bot(ALICE).id)),
    "switch the platform": lambda own: own.set_switch(switch_over(Scope.PLATFORM, "*")),
    "notify": lambda own: own.notify(Notify(ALICE, Topic.SYSTEM, "hello", START)),
}


@pytest.mark.parametrize("act", FOREIGN.values(), ids=FOREIGN)
async def test_another_users_rows_cannot_be_written(store, act):
    await register(store, ALICE, bot(ALICE))
    await register(store, BOB, bot(BOB))
    before = await everything_of(store, ALICE)
    with pytest.raises(BrokenInvariant):
        async with store.open(BOB) as own:
            await act(own)
    assert await everything_of(store, ALICE) == before


async def test_two_users_may_trade_the_same_pair_and_name_entries_alike(store):
    await register(store, ALICE, bot(ALICE))
    await register(store, BOB, bot(BOB))
    for user_id in (ALICE, BOB):
        async with store.open(user_id) as own:
            await own.book(deposit(user_id=user_id))
    for user_id in (ALICE, BOB):
        async with store.open(user_id) as own:
            assert await own.entries() == [deposit(user_id=user_id)]


# ---- money and switches


async def test_entries_come_oldest_first_and_are_booked_once(store):
    await register(store, ALICE)
    late = deposit("a late one", at=LATE, amount=UNIT)
    async with store.open(ALICE) as own:
        for entry in (late, deposit(), late):
            await own.book(entry)
        await own.save_account(account(ALICE, 2))
        await own.book(replace(deposit("elsewhere"), account_id=account(ALICE, 2).id))
    async with store.open(ALICE) as own:
        assert [entry.id for entry in await own.entries()] == ["d1", "elsewhere", "a late one"]
        assert await own.entries(account(ALICE).id) == [deposit(), late]


async def test_a_switch_is_kept_in_place_of_the_one_before(store):
    await register(store, ALICE, bot(ALICE))
    platform = switch_over(Scope.PLATFORM, "*", at=LATE)
    own_bot = switch_over(Scope.BOT, bot(ALICE).id, at=after_start(minutes=2))
    own_user = switch_over(Scope.USER, ALICE, Halt.FLATTEN, at=after_start(minutes=1))
    async with store.open(ALICE) as own:
        assert await own.switches() == []
        await own.set_switch(switch_over(Scope.USER, ALICE))
        await own.set_switch(own_bot)
        await own.set_switch(own_user)
    assert await store.platform_switch() is None
    await store.set_platform_switch(switch_over(Scope.PLATFORM, "*", Halt.FLATTEN))
    await store.set_platform_switch(platform)
    assert await store.platform_switch() == platform
    async with store.open(ALICE) as own:
        assert await own.switches() == [platform, own_user, own_bot]
