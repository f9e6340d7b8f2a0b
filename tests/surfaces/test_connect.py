"""/connect, /accounts, /disconnect: keys are checked, sealed, shown masked, and let go of."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.doors import ALICE, BOB, PAPER, START, Door, trade
from tests.key_rig import DAY, GOOD, KeyDoor, key_door, vault_under
from tests.makers import order
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.credentials import KeyFault, KeyRefused
from tradefleet.domain.effects import OrderPlaced
from tradefleet.domain.limits import Halt
from tradefleet.domain.user import AccountState, ExternalChanges, Mode
from tradefleet.engine.key_guard import KeyRules
from tradefleet.keyring import Keyring
from tradefleet.venue import VenueSpec

KEY, SECRET = "abc123keyABCDEFGHIJKLMNOP", "xyz789secretABCDEFGHIJKLMNOP"
CONNECT = f"/connect bybit {KEY} {SECRET}"
CONNECTED = """✅ Exchange Connected
Exchange: bybit (testnet)
Key: abc1…MNOP (25 characters)
Rights: read, trade, not withdraw"""
TESTNET, LIVE = "alice:bybit:testnet", "alice:bybit:live"


async def credentials(door: Door, id: str = TESTNET):
    keyring = Keyring(door.store, door.dispatcher.vault)
    return await keyring.credentials_of(await door.account(id))


async def kept(door: Door, user_id=ALICE):
    async with door.store.open(user_id, reading=True) as store:
        return await store.sealed_keys(), await store.pending_key()


# ---- a testnet account


@pytest.mark.parametrize("testnet", ["", " true", " testnet=true", " yes"])
async def test_a_key_is_checked_sealed_and_shown_masked(testnet):
    door = await key_door()
    reply = await door.ask(CONNECT + testnet)
    assert reply.text == CONNECTED
    assert reply.delete_request
    assert door.exchange.asked == [("bybit", KEY, Mode.TESTNET)]
    assert (reply.data.account_id, reply.data.key) == (TESTNET, "abc1…MNOP (25 characters)")
    found = await credentials(door)
    assert (found.api_key.reveal(), found.api_secret.reveal()) == (KEY, SECRET)
    account = await door.account(TESTNET)
    assert (account.mode, account.external_changes) == (Mode.TESTNET, ExternalChanges.IGNORE)
    assert await door.messages() == [("account_changed", {"account_id": TESTNET})]


async def test_json_connects_as_words_do():
    door = await key_door()
    body = {"exchange": "Bybit", "api_key": f" {KEY}\n", "api_secret": SECRET, "testnet": True}
    assert (await door.dispatcher.run(ALICE, "connect", body)).text == CONNECTED


async def test_connect_alone_gives_a_link_and_says_how_to_do_without():
    door = await key_door()
    reply = await door.ask("/connect bybit")
    assert reply.data.link.startswith("https://bots.example.org/link/connect?code=")
    assert reply.text.splitlines()[1] == reply.data.link
    assert reply.data.link.endswith("&exchange=bybit")
    assert "send: /connect bybit <api_key> <secret> [testnet=true]" in reply.text
    assert door.exchange.asked == []


async def test_connect_alone_says_how_where_there_are_no_pages():
    door = await key_door(web_url="")
    assert await door.say("/connect") == (
        "To connect an exchange, send: /connect <exchange> <api_key> <secret> [testnet=true]\n"
        "Make a key there that may read and trade but not withdraw. I delete your message and "
        "keep the keys encrypted; testnet=false asks once more before real money is used."
    )
    assert "send: /connect bybit <api_key>" in await door.say("/connect bybit")
    assert door.exchange.asked == []


async def test_what_is_not_quite_well_is_said_beside():
    door = await key_door()
    door.exchange.answer = replace(GOOD, ip_restricted=False)
    text = await door.say(CONNECT)
    assert text.startswith(f"{CONNECTED}\n⚠️ This key works from any address. At bybit,")


@pytest.mark.parametrize("said", ["", "Bybit does not know this key. Copy it again."])
@pytest.mark.parametrize("fault", KeyFault)
async def test_a_key_that_is_refused_is_not_kept_and_the_cure_is_told(fault, said):
    door = await key_door()
    door.exchange.answer = KeyRefused(fault, said)
    reply = await door.ask(CONNECT)
    assert (reply.refused, reply.delete_request) == (True, True)
    assert reply.text.startswith(f"❌ {said}")
    assert len(reply.text.splitlines()) == (2 if said else 3)
    assert reply.text.endswith("\nYour keys were not kept.")
    assert await kept(door) == ({}, None)
    assert "No account is connected" in await door.say("/accounts")


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (replace(GOOD, can_withdraw=True), "This key may withdraw."),
        (replace(GOOD, can_trade=False), "lacks a right: trading."),
        (replace(GOOD, missing=("Spot - Trade",)), "lacks a right: Spot - Trade."),
        (replace(GOOD, expires_at=START), "has expired."),
    ],
)
async def test_a_key_with_wrong_rights_is_not_kept(report, words):
    door = await key_door()
    door.exchange.answer = report
    reply = await door.ask(CONNECT)
    assert (reply.refused, words in reply.text) == (True, True)
    assert await kept(door) == ({}, None)


async def test_the_operator_may_allow_keys_that_may_withdraw_on_testnets():
    door = await key_door(rules=KeyRules(live_ban="", withdraw_on_testnet=True))
    door.exchange.answer = replace(GOOD, can_withdraw=True)
    assert "⚠️ This key may withdraw." in await door.say(CONNECT)


async def test_what_an_exchange_says_is_not_repeated_when_it_repeats_the_key():
    door = await key_door()
    door.exchange.answer = KeyRefused(KeyFault.INVALID, f"apiKey {KEY} unknown")
    assert KEY not in await door.say(CONNECT)


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (f"/connect bybit {KEY}", "❌ The secret is missing. Your keys were not kept."),
        (f"/connect bybit {'k' * 257} s", "❌ That is no API key and secret."),
        (f"/connect bybit k {'s' * 4097}", "❌ That is no API key and secret."),
        (f"/connect bybit:moon {KEY} {SECRET}", "❌ bybit has no such mode."),
        (f"/connect mybank {KEY} {SECRET}", "❌ I do not know that exchange."),
    ],
)
async def test_what_cannot_be_connected_is_not_even_asked(message, answer):
    door = await key_door()
    reply = await door.ask(message)
    assert reply.text.startswith(answer)
    assert reply.delete_request
    assert door.exchange.asked == []


async def test_a_stranger_cannot_let_us_ask_an_exchange():
    door = KeyDoor()
    reply = await door.ask(CONNECT)
    assert (reply.text, reply.delete_request) == (
        "You are not registered yet; send /start first.",
        True,
    )
    assert door.exchange.asked == []


async def test_no_transaction_is_open_while_the_exchange_is_asked():
    door = await key_door()

    async def look():
        async with door.store.open(ALICE) as store:  # would wait for ever on one that is open
            await store.audit("meanwhile", {})

    door.exchange.watched = look
    assert await door.say(CONNECT) == CONNECTED


# ---- the same key, and another one


@pytest.mark.parametrize("by", [ALICE, BOB])
async def test_an_api_key_that_is_connected_is_refused_and_whose_it_is_is_not_told(by):
    door = await key_door()
    await door.ask("/start", BOB)
    await door.ask(CONNECT)
    live_too = f"{CONNECT} testnet=false" if by == ALICE else CONNECT
    reply = await door.ask(live_too, by)
    if by == ALICE:
        code = reply.text.splitlines()[-1]
        reply = await door.ask(code, by)
    assert reply.text == (
        "This API key is connected already. /accounts shows it if it is yours; if not, make "
        "another one at the exchange."
    )
    assert (reply.refused, reply.delete_request) == (True, True)
    assert (await kept(door, BOB))[0] == {}


async def test_a_key_is_not_connected_twice_to_the_same_account_unless_it_was_damaged():
    door = await key_door()
    await door.ask(CONNECT)
    assert "connected already" in await door.say(CONNECT)
    async with door.store.open(ALICE) as store:
        (sealed,) = (await store.sealed_keys()).values()
        await store.save_sealed_key(replace(sealed, sealed=b"damaged"))
    assert "cannot be opened any more; send it again" in await door.say("/connect bybit")
    assert (await door.say(CONNECT)).startswith(CONNECTED)
    assert (await credentials(door)).api_key.reveal() == KEY


async def test_a_new_key_takes_the_place_of_the_one_before():
    door = await key_door()
    await door.ask(CONNECT)
    async with door.store.open(ALICE) as store:
        account = await door.account(TESTNET)
        await store.save_account(replace(account, external_changes=ExternalChanges.ADOPT))
    reply = await door.ask(f"/connect bybit other{KEY} {SECRET}")
    assert reply.text.splitlines()[-1] == (
        "🔁 This key takes the place of the one before; it must belong to the same account at "
        "bybit."
    )
    assert (await credentials(door)).api_key.reveal() == f"other{KEY}"
    assert (await door.account(TESTNET)).external_changes is ExternalChanges.ADOPT
    await door.ask("/start", BOB)
    assert (await door.ask(CONNECT, BOB)).text == CONNECTED  # the old one is free


async def test_a_key_is_checked_again_without_being_sent_again():
    door = await key_door()
    await door.ask(CONNECT)
    door.exchange.answer = replace(GOOD, can_withdraw=True)
    door.still.time = START + DAY
    text = await door.say("/connect bybit")
    assert text.startswith("❌ bybit (testnet): This key may withdraw.\nAt bybit, take")
    assert door.exchange.asked[-1] == ("bybit", KEY, Mode.TESTNET)
    (switch,) = await switches(door)
    assert (switch.halt, switch.reason) == (Halt.STOP, "This key may withdraw.")
    assert ("switches_changed", {}) in await door.messages()
    assert await door.store.due_notices(now=door.still.time, limit=9) == []  # the reply told it
    assert "no entries: This key may withdraw." in await door.say("/accounts")
    door.exchange.answer = GOOD
    assert await door.say("/connect bybit") == CONNECTED
    assert [switch.halt for switch in await switches(door)] == [Halt.RUN]


async def switches(door):
    async with door.store.open(ALICE, reading=True) as store:
        return await store.switches()


async def test_an_exchange_that_is_away_leaves_a_connected_key_as_it_is():
    door = await key_door()
    await door.ask(CONNECT)
    door.exchange.answer = KeyRefused(KeyFault.NETWORK, "")
    text = await door.say("/connect bybit")
    assert text.startswith("❔ bybit (testnet): bybit could not be reached.")
    assert await switches(door) == []


# ---- going live

GO_LIVE = f"{CONNECT} testnet=false"
QUESTION = """⚠️ This is real money, and nothing is connected yet.
Exchange: bybit (live)
Key: abc1…MNOP (25 characters)
Rights: read, trade, not withdraw
What you start on this account trades for real. To go live, send within 5 minutes:
/connect confirm LIVE """


async def question(door: Door) -> str:
    """Send live keys and return the command that confirms them."""
    text = await door.say(GO_LIVE)
    assert text.startswith(QUESTION)
    assert len(text) == len(QUESTION) + 6
    return text.splitlines()[-1]


async def test_a_live_account_is_connected_once_its_code_is_typed():
    door = await key_door()
    confirmation = await question(door)
    sealed, pending = await kept(door)
    assert (sealed, pending.account_id) == ({}, LIVE)
    assert "No account is connected" in await door.say("/accounts")
    reply = await door.ask(confirmation)
    assert reply.text == CONNECTED.replace("testnet", "live")
    assert (await credentials(door, LIVE)).api_secret.reveal() == SECRET
    assert (await kept(door))[1] is None
    again = await door.ask(confirmation)
    assert again.refused
    assert "No live account waits" in again.text


@pytest.mark.parametrize("shape", [str.lower, str.upper])
async def test_a_code_may_be_typed_in_small_letters(shape):
    door = await key_door()
    *_, word, code = (await question(door)).split()
    assert "Connected" in await door.say(f"/connect Confirm {shape(word)} {shape(code)}")


async def test_a_code_is_forgotten_after_five_minutes():
    door = await key_door()
    confirmation = await question(door)
    door.still.time = START + timedelta(minutes=5)
    assert (await door.say(confirmation)).startswith("❌ No live account waits")
    assert await kept(door) == ({}, None)


async def test_a_wrong_code_connects_nothing_and_after_three_the_keys_are_forgotten():
    door = await key_door()
    confirmation = await question(door)
    for wrong in ("confirm LIVE AAAAAA", "confirm YES PLEASE"):
        reply = await door.ask(f"/connect {wrong}")
        assert (reply.refused, "That is not the code" in reply.text) == (True, True)
    assert (await kept(door))[1].tries == 2
    assert "your keys were forgotten" in await door.say("/connect confirm")
    assert (await door.say(confirmation)).startswith("❌ No live account waits")


async def test_keys_that_wait_are_never_used():
    door = await key_door()
    await question(door)
    asked = list(door.exchange.asked)
    assert "send: /connect bybit" in await door.say("/connect bybit")
    assert door.exchange.asked == asked
    async with door.store.open(ALICE, reading=True) as store:
        pending = await store.pending_key()
        assert await store.sealed_keys() == {}
    # Not even where somebody puts them among those that are used.
    door.still.time = START
    await door.ask(f"/connect bybit other{KEY} {SECRET}")
    async with door.store.open(ALICE) as store:
        (owner,) = await store.accounts()
        (sealed,) = (await store.sealed_keys()).values()
        await store.save_sealed_key(replace(sealed, sealed=pending.sealed))
    assert owner.id == TESTNET
    assert "cannot be opened any more" in await door.say("/connect bybit")


async def test_new_live_keys_take_the_place_of_those_that_wait():
    door = await key_door()
    first = await question(door)
    second = (await door.say(f"/connect bybit:live other{KEY} {SECRET}")).splitlines()[-1]
    assert first != second
    assert "not the code" in await door.say(first)
    await door.ask(second)
    assert (await credentials(door, LIVE)).api_key.reveal() == f"other{KEY}"


async def test_nobody_can_confirm_for_somebody_else():
    door = await key_door()
    await door.ask("/start", BOB)
    confirmation = await question(door)
    assert "No live account waits" in await door.say(confirmation, BOB)
    assert "Connected" in await door.say(confirmation)


@pytest.mark.parametrize("may", [True, None])
async def test_a_live_key_must_be_known_not_to_withdraw(may):
    door = await key_door()
    door.exchange.answer = replace(GOOD, can_withdraw=may)
    assert "withdraw" in await door.say(GO_LIVE)
    assert await kept(door) == ({}, None)


async def test_no_live_account_where_the_operator_forbids_it():
    ban = "Trading is disabled. Set TRADING_ENABLED=True to enable."
    door = await key_door(rules=KeyRules(live_ban=ban))
    assert await door.say(GO_LIVE) == f"❌ {ban} Your keys were not kept."
    assert door.exchange.asked == []
    assert await door.say(CONNECT) == CONNECTED


async def test_who_is_forbidden_meanwhile_cannot_confirm():
    door = await key_door()
    confirmation = await question(door)
    catalog = replace(door.dispatcher.catalog, key_rules=KeyRules())
    door.dispatcher = replace(door.dispatcher, catalog=catalog)
    assert await door.say(confirmation) == "❌ Live trading is switched off on this service."
    assert (await kept(door))[0] == {}


async def test_a_venue_without_a_testnet_says_so():
    only_live = VenueSpec(name="x", summary="Live.", needs_keys=True, modes=(Mode.LIVE,))
    only_test = VenueSpec(name="y", summary="Test.", needs_keys=True, modes=(Mode.TESTNET,))
    door = Door(only_live, only_test, key_rules=KeyRules(live_ban=""))
    await door.ask("/start")
    assert "x has no testnet; testnet=false connects" in await door.say("/connect x k s")
    assert "y can be connected with testnet=true only" in await door.say("/connect y k s no")


# ---- a service that cannot keep keys


async def test_without_a_vault_no_key_is_taken():
    door = await key_door(vault=None)
    reply = await door.ask(CONNECT)
    assert "cannot keep keys" in reply.text
    assert reply.delete_request
    assert door.exchange.asked == []


async def test_with_another_master_key_nothing_is_taken_or_changed():
    door = await key_door()
    await door.ask(CONNECT)
    before = await kept(door)
    door.dispatcher = replace(door.dispatcher, vault=vault_under(1))
    assert "cannot open its vault" in await door.say(f"/connect bybit other{KEY} {SECRET}")
    assert "cannot be opened any more" in await door.say("/connect bybit")
    assert await kept(door) == before


# ---- /accounts

LISTED = """🔑 Your Accounts
⚠️ bybit (testnet): This key expires on 2026-01-04: connect a new one before then.

Account          Key                        Rights                     Since                 \
Checked               State
bybit (testnet)  abc1…MNOP (25 characters)  read, trade, not withdraw  2026-01-01T00:00:00Z  \
2026-01-01T00:00:00Z  active
paper            -                          -                          2026-01-01T00:00:00Z  \
-                     active"""


async def test_accounts_are_listed_with_masked_keys():
    door = await key_door()
    door.exchange.answer = replace(GOOD, expires_at=START + 3 * DAY)
    await door.ask(CONNECT)
    await door.ask("/connect paper")
    assert await door.say("/accounts") == LISTED
    line = (await door.ask("/accounts")).data.accounts[0]
    assert (line.rights, line.since, line.checked) == ("read, trade, not withdraw", START, START)


async def test_without_accounts_the_first_step_is_told():
    door = await key_door()
    assert await door.say("/accounts") == (
        "🔑 No account is connected yet. Try it without real money: /connect paper"
    )


# ---- /disconnect


async def test_an_account_is_let_go_of_and_its_keys_are_destroyed():
    door = await key_door()
    await door.ask(CONNECT)
    await question(door)
    await door.messages()
    await door.talk(
        "> /disconnect bybit\n🔌 Exchange Disconnected\nExchange: bybit (testnet)\n"
        "Your keys were destroyed here. If you no longer need them, delete them at bybit, too."
    )
    sealed, pending = await kept(door)
    assert (sealed, pending.account_id) == ({}, LIVE)  # another account's goes on waiting
    account = await door.account(TESTNET)
    assert (account.state, account.key) == (AccountState.DISCONNECTED, None)
    assert await door.messages() == [("account_changed", {"account_id": TESTNET})]
    assert (await door.say("/accounts")).splitlines()[-1].endswith("disconnected")
    assert await door.say("/disconnect bybit") == (
        "You have no such account. You are connected to none."
    )
    assert (await door.say(CONNECT)) == CONNECTED  # the same one, once more
    assert (await door.account(TESTNET)).is_active


async def test_letting_go_of_a_live_account_forgets_what_waited_for_it():
    door = await key_door()
    await door.ask(await question(door))
    await door.ask(f"/connect bybit:live other{KEY} {SECRET}")
    await door.ask("/disconnect bybit:live")
    assert await kept(door) == ({}, None)


async def test_of_two_accounts_at_one_exchange_the_mode_says_which():
    door = await key_door()
    await door.ask(CONNECT)
    await door.ask((await door.say(f"/connect bybit other{KEY} {SECRET} no")).splitlines()[-1])
    both = "/disconnect bybit:live or /disconnect bybit:testnet"
    assert await door.say("/disconnect bybit") == (
        f"You have several accounts there; say which: {both}"
    )
    assert await door.say("/disconnect kraken") == (
        "You have no such account. Connected: bybit (live), bybit (testnet)."
    )
    assert await door.say("/addpair BTC/USDT 10 bybit") == (
        "You are connected to several exchanges; add bybit:live or bybit:testnet at the end."
    )
    for mode in ("live", "testnet"):
        assert "Pair Added" in await door.say(f"/addpair BTC/USDT 10 bybit:{mode}")
    assert await door.say("/removepair BTC/USDT") == (
        "You trade BTC/USDT on several exchanges; say which: "
        "/removepair BTC/USDT bybit:live or /removepair BTC/USDT bybit:testnet"
    )
    assert "Removed" in await door.say("/removepair BTC/USDT bybit:live")
    assert "Disconnected" in await door.say("/disconnect bybit:live")
    assert "Disconnected" in await door.say("/disconnect alice:bybit:testnet")


async def test_an_account_in_which_something_goes_on_is_not_let_go_of():
    door = Door(PAPER)
    await door.ask("/start")
    await trade(door, venue="paper")
    await door.ask("/start_trading")
    cannot = "⚠️ Cannot disconnect paper while"
    assert await door.say("/disconnect paper") == (
        f"{cannot} trading of BTC/USDT is active.\nUse /stop_trading BTC/USDT first."
    )
    await door.ask("/stop_trading")
    assert await door.say("/disconnect paper") == (
        f"{cannot} a position in BTC/USDT is open.\nUse /forceexit BTC/USDT first."
    )


async def test_an_account_with_an_order_on_its_way_is_not_let_go_of():
    door = Door(PAPER)
    await door.ask("/start")
    await door.ask("/addpair BTC/USDT 1000")
    bot = (await door.bots())["BTC/USDT"]
    given = {"user_id": ALICE, "account_id": bot.account_id, "bot": bot.id, "symbol": bot.symbol}
    await door.record(OrderPlaced(order(**given)))
    assert await door.say("/disconnect paper") == (
        "⚠️ Cannot disconnect paper while an order of BTC/USDT is on its way.\n"
        "Try again in a moment."
    )


async def test_pairs_of_an_account_that_was_let_go_of_wait_for_it():
    door = await key_door()
    await door.ask("/connect paper")
    await door.ask("/addpair BTC/USDT 10")
    assert (await door.say("/disconnect paper")).endswith(
        "Not trading until it is connected again: BTC/USDT"
    )
    assert await door.say("/start_trading") == (
        "The exchange is disconnected; connect it first: /connect paper"
    )
    assert (await door.bots())["BTC/USDT"].status is BotStatus.STOPPED
    await door.ask(CONNECT)
    await door.ask("/addpair ETH/USDT 10")
    assert await door.say("/start_trading") == (
        "🚀 Trading Started: ETH/USDT\n🔌 Not started, for its exchange is disconnected: BTC/USDT"
    )
    await door.ask("/connect paper")
    assert "BTC/USDT" in await door.say("/start_trading BTC/USDT")


async def test_what_is_done_with_accounts_is_audited_without_keys():
    door = await key_door()
    await door.ask(CONNECT)
    await door.ask("/disconnect bybit")
    async with door.store.open(ALICE, reading=True) as store:
        lines = [(line.action, line.detail) for line in store.draft.rows.audit]
    assert lines == [
        ("start", {}),
        ("connected", {"account": TESTNET, "key": "abc1…MNOP (25 characters)"}),
        ("connect", {"exchange": "bybit", "testnet": "True"}),
        ("disconnect", {"exchange": "bybit"}),
    ]


# ---- what others do in the account


async def test_what_is_done_about_others_changes_is_said_kept_and_told_to_the_host():
    door = await key_door()
    await door.say("/start")
    await door.say(CONNECT)
    said = await door.say("/external bybit")
    assert said.startswith("🤝 bybit (testnet): ignore\n")
    assert (await door.say("/external bybit ASK")).startswith("🤝 bybit (testnet): ask\n")
    account = await door.account(TESTNET)
    assert account.external_changes is ExternalChanges.ASK
    assert await credentials(door), "the key stays"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("bybit sometimes", "Say one of these"),
        ("kraken ask", "Say which of your accounts: bybit (testnet)"),
        ("paper ask", "Nobody but your bots"),
    ],
)
async def test_a_policy_that_makes_no_sense_is_refused(words, text):
    door = await key_door()
    for message in ("/start", CONNECT, "/connect paper"):
        await door.say(message)
    assert text in await door.say(f"/external {words}")
