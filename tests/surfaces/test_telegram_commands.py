"""The service's own commands, spoken on Telegram."""

from tests.doors import BINANCE, BYBIT, PAPER, Door
from tests.surfaces.bot_api import BotApi
from tests.surfaces.telegram_rig import ALICE, BOB, Rig
from tradefleet.surfaces.telegram.surface import TelegramSurface


def with_the_real_commands(it: Rig) -> Rig:
    door = Door(PAPER, BINANCE, BYBIT)
    it.surface = TelegramSurface(
        it.options, dispatcher=door.dispatcher, store=door.store, clock=it.clock, ids=it.clock
    )
    return it


async def test_from_the_first_word_to_trading():
    async with BotApi().running() as api:
        it = with_the_real_commands(Rig(api))
        async with it.serving():
            await it.ready()
            assert await it.ask("/start") == "👋 Welcome! You've been registered."
            keys = "abc123key xyz789secret true"
            answer = await it.ask(f"/connect bybit {keys}")
            assert answer.startswith("🗑 I deleted your message, because it held keys.\n\n")
            assert await it.ask("/connect binance") == "✅ Exchange Connected"
            for pair in ["BTC/USDT 1000", "ETH/USDT 500", "SOL/USDT 300"]:
                assert "Trading Pair Added" in await it.ask(f"/addpair {pair}")
            assert "Your Trading Pairs (3)" in await it.ask("/listpairs")
            refresh = it.api.button(ALICE, "Refresh")
            listed = it.api.last(ALICE)
            assert "3 pairs now trading." in await it.ask("/start_trading")
            await api.send(api.press(ALICE, refresh, on=listed))
            await api.called("answerCallbackQuery")
            assert "Running" in listed["text"]
            assert "Use /stop_trading SOL/USDT first." in await it.ask("/removepair SOL/USDT")
            assert (await it.ask("/fx BTC/USDT")).startswith("⚠️ /forceexit BTC/USDT\n")
            assert "not registered" in await it.ask("/listpairs", BOB)
        assert "abc123key" not in "".join(api.said(ALICE))
        assert "xyz789secret" not in str(api.chats)


async def test_every_command_is_in_the_menu_and_answers_something():
    async with BotApi().running() as api:
        it = with_the_real_commands(Rig(api))
        async with it.serving():
            await it.ready()
            await it.ask("/start")
            for entry in api.menu:
                it.clock.pass_by(6)
                answer = await it.ask(f"/{entry['command']}")
                assert "Something went wrong" not in answer, entry
                assert "I do not know that command" not in answer, entry
