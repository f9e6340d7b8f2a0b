"""On Telegram, the digits of a second factor are the next message."""

from contextlib import asynccontextmanager
from dataclasses import replace

from tests.doors import PAPER, Door
from tests.key_rig import vault_under
from tests.surfaces.bot_api import BotApi
from tests.surfaces.telegram_rig import ALICE, Rig
from tradefleet import second_factor
from tradefleet.domain.ids import UserId
from tradefleet.identity import SecondFactor
from tradefleet.keyring import user_key
from tradefleet.second_factor import SEND_DIGITS, WRONG_DIGITS
from tradefleet.surfaces.telegram import texts
from tradefleet.surfaces.telegram.surface import TelegramSurface

ALICES = UserId(f"tg{ALICE}")


@asynccontextmanager
async def talking():
    """Yield a conversation with Alice, who has a second factor, and what its digits are now."""
    async with BotApi().running() as api:
        it, vault = Rig(api), vault_under()
        door = Door(PAPER, vault=vault)
        dispatcher = replace(door.dispatcher, clock=it.clock)
        it.surface = TelegramSurface(
            it.options, dispatcher=dispatcher, store=door.store, clock=it.clock, ids=it.clock
        )
        async with it.serving():
            await it.ready()
            await it.ask("/start")
            async with door.store.open(ALICES) as own:
                secret = await second_factor.seal(
                    own, vault, await user_key(own, vault), it.clock.now()
                )
                factor = await own.identity.second_factor()
                confirmed = SecondFactor(
                    sealed=factor.sealed, made_at=factor.made_at, confirmed_at=it.clock.now()
                )
                await own.identity.save_second_factor(confirmed)

            def digits() -> str:
                return second_factor.digits_at(secret, int(it.clock.now().timestamp()) // 30)

            yield it, digits


async def test_the_digits_that_follow_let_the_command_through():
    async with talking() as (it, digits):
        assert await it.ask("/password") == SEND_DIGITS
        assert await it.ask("000000") == WRONG_DIGITS
        assert "link/password?code=" in await it.ask(digits())
        assert await it.ask(digits()) == texts.NO_COMMAND


async def test_digits_may_be_typed_in_two_groups_and_late_ones_run_nothing():
    async with talking() as (it, digits):
        await it.ask("/password")
        shown = digits()
        assert "link/password?code=" in await it.ask(f"{shown[:3]} {shown[3:]}")
        it.clock.pass_by(60)
        await it.ask("/totp off")
        it.clock.pass_by(120)
        assert await it.ask(digits()) == texts.NO_COMMAND
        assert "Second factor: on" in await it.ask("/totp")


async def test_digits_alone_are_no_command():
    async with talking() as (it, digits):
        assert await it.ask(digits()) == texts.NO_COMMAND
