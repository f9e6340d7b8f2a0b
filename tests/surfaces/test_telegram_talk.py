"""Conversations with the bot, through polling and webhook alike."""

import pytest

from tests.surfaces.telegram_rig import ALICE, rig


@pytest.mark.parametrize("webhook", [False, True], ids=["polling", "webhook"])
async def test_somebody_registers_and_asks(webhook):
    async with rig(webhook=webhook, registered=False) as it:
        assert await it.ask("/status") == "You are not registered yet; send /start first."
        assert await it.ask("/start") == "👋 Welcome! You've been registered."
        assert await it.ask("/status") == "all is well"
        user = await it.store.find_user(telegram_id=ALICE)
        assert (user.id, user.username) == ("tg101", "p101")
