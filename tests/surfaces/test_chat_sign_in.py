"""Conversations about signing in, word for word; what is drawn at random is written as CODE."""

import re
from dataclasses import replace

import pytest

from tests.doors import ALICE, BYBIT, PAPER, Door
from tests.key_rig import LIVE_ALLOWED, Exchange, keyed, vault_under
from tests.makers import spec
from tests.unit.test_sign_in import Front
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.errors import NeedsProof, TooMany
from tradefleet.domain.user import Mode
from tradefleet.second_factor import SEND_DIGITS, WRONG_DIGITS


class Chat(Front):
    """A service Alice talks to, with a live account she may connect."""

    def __init__(self) -> None:
        super().__init__()
        self.door = Door(PAPER, BYBIT, vault=vault_under(), desk=Exchange(), key_rules=LIVE_ALLOWED)
        self.sign_in = replace(
            self.sign_in, store=self.door.store, clock=self.door.still, ids=self.door.still
        )
        self.store = self.door.store
        self.register = replace(self.register, store=self.store, clock=self.door.still)
        self.sign_in.throttle.identity = self.store.identity
        self.sign_in.throttle.clock = self.door.still

    async def talk(self, transcript: str) -> None:
        for turn in transcript.strip().removeprefix("> ").split("\n> "):
            said, _, expected = turn.partition("\n")
            text = re.sub(r"(code=|tf_)[\w-]{43}", r"\1CODE", await self.door.say(said))
            assert text == expected.rstrip(), said

    async def go_live(self) -> None:
        """Let Alice have a live account with a pair that does not trade."""
        await self.door.ask("/start")
        async with self.store.open(ALICE) as own:
            live = keyed(ALICE, Mode.LIVE)
            await own.save_account(live)
            pair = {"user_id": ALICE, "account_id": live.id, "venue": "bybit"}
            await own.add_bot(spec(1, status=BotStatus.STOPPED, **pair))
        await self.door.ask("/connect paper")
        await self.door.ask("/addpair ETH/USDT 1000 paper")

    async def run(self, name, *words, **proof):
        return await self.door.dispatcher.run(ALICE, name, list(words), **proof)


@pytest.fixture
async def chat() -> Chat:
    return await Chat().start()


async def test_links(chat):
    await chat.talk("""
> /web
🔑 Sign in here, once and within 10 minutes:
https://bots.example.org/link/sign-in?code=CODE
Whoever has this link is you: show it to nobody.
> /password
🔑 Change your password here, once and within 10 minutes:
https://bots.example.org/link/password?code=CODE
You sign in as alice. Never send a password to this chat.
> /totp
🔓 Second factor: off
With one, whoever gets at your chat cannot change live trading.
/totp on sets one up.
> /totp off
🔓 You have no second factor. /totp on sets one up.
> /totp maybe
Say /totp on or /totp off.
> /totp on
🔐 Set up your authenticator here, once and within 10 minutes:
https://bots.example.org/link/second-factor?code=CODE
Nothing is asked of you until you confirmed it there.
""")


async def test_tokens(chat):
    await chat.talk("""
> /tokens
🗝 You have no personal tokens. Make one: /token create my_script read 90
> /token create my_script trade 30
🗝 Token my_script: trade, until 2026-01-31T00:00:00Z
tf_CODE
It is shown this once. Whoever has it may do that in your name.
> /token create my_script
You have a token my_script already; revoke it first.
> /token create other admin
The rights of a token are read or trade.
> /token create other read 999
A token is good for 1 to 366 days.
> /token list
🗝 my_script
> /tokens
🗝 1 token. Take one back: /token revoke <name>

Name       Rights  Since                 Until
my_script  trade   2026-01-01T00:00:00Z  2026-01-31T00:00:00Z
> /token revoke my_script
🔒 Token my_script works no more.
> /token revoke my_script
You have no such token; /tokens shows them.
> /token
Usage: /token <create|revoke|list> [name] [rights] [days]
Example: /token create my_script read 90
""")


async def test_sessions(chat):
    await chat.by_password()
    id = (await chat.door.ask("/sessions")).data.sessions[0].id[:8]
    await chat.talk(f"""
> /sessions
🔑 1 session. End one: /signout <id>, or all: /signout all

      Id  By             From  Since                 Renewed
{id}  password  192.0.2.1  2026-01-01T00:00:00Z  2026-01-01T00:00:00Z
> /signout 0
You have no such session; /sessions shows them.
> /signout {id}
🔒 1 session ended.
> /signout all
You have no such session; /sessions shows them.
> /sessions
🔑 You are signed in nowhere but here.
""")


# ---- the second factor before live trading changes


@pytest.mark.parametrize(
    "words",
    [
        ["start_trading"],
        ["start_trading", "BTC/USDT"],
        ["resume"],
        ["external", "bybit", "ask"],
        ["disconnect", "bybit"],
        ["connect", "confirm", "ABC234"],
        ["password"],
        ["totp", "off"],
    ],
    ids=" ".join,
)
async def test_what_changes_live_trading_asks_for_the_second_factor(chat, words):
    await chat.go_live()
    await chat.second_factor()
    with pytest.raises(NeedsProof, match=re.escape(SEND_DIGITS)):
        await chat.run(*words)
    with pytest.raises(NeedsProof, match=re.escape(WRONG_DIGITS)):
        await chat.run(*words, proof="000000")
    assert [bot.status for bot in (await chat.door.bots()).values()] == [BotStatus.STOPPED] * 2
    reply = await chat.run(*words, proof=await chat.digits())
    assert reply.text


@pytest.mark.parametrize(
    "words",
    [
        ["start_trading", "ETH/USDT"],
        ["stop_trading", "BTC/USDT"],
        ["pause"],
        ["external", "bybit"],
        ["status"],
        ["totp"],
        ["connect", "paper"],
    ],
    ids=" ".join,
)
async def test_what_does_not_asks_for_none(chat, words):
    await chat.go_live()
    await chat.second_factor()
    assert not (await chat.run(*words)).refused


async def test_who_has_none_is_not_asked_and_who_gave_it_lately_neither(chat):
    await chat.go_live()
    assert (await chat.run("start_trading", "BTC/USDT")).text
    await chat.second_factor()
    assert (await chat.run("resume", proven=True)).text


async def test_digits_are_good_for_one_command(chat):
    await chat.go_live()
    await chat.second_factor()
    digits = await chat.digits()
    await chat.run("resume", proof=digits)
    with pytest.raises(NeedsProof):
        await chat.run("resume", proof=digits)


async def test_guessing_digits_is_locked_out(chat):
    await chat.go_live()
    await chat.second_factor()
    for number in range(5):
        with pytest.raises(NeedsProof):
            await chat.run("resume", proof=f"00000{number}")
    with pytest.raises(TooMany):
        await chat.run("resume", proof=await chat.digits())
    await chat.run("pause", proof="whatever")  # needs none, and forgets no failure
    with pytest.raises(TooMany):
        await chat.run("resume", proof=await chat.digits())
    chat.later(seconds=61)
    assert (await chat.run("resume", proof=await chat.digits())).text
