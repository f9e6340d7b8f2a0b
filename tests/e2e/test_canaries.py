"""No key leaks: canaries are connected, refused, rotated and crashed, then looked for everywhere.

Each canary is a secret of one shape that occurs nowhere else. It is searched raw, in hex, in base64
(at any offset), url-encoded, reversed in case, and by either half: in logs at every level, replies,
tracebacks, audit lines and the bytes of the whole database.
"""

import asyncio
import base64
import logging
import secrets
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.doors import BYBIT, PAPER, Still, rules_of
from tests.key_rig import GOOD, LIVE_ALLOWED, Exchange, vault_under
from tests.postgres_server import execute
from tests.surfaces.telegram_rig import ALICE as PERSON
from tests.surfaces.telegram_rig import BotApi, Rig
from tradefleet.domain.credentials import KeyFault, KeyRefused
from tradefleet.domain.errors import Refused, VenueUnavailable
from tradefleet.domain.ids import UserId
from tradefleet.drawing import draw
from tradefleet.keyring import Keyring
from tradefleet.operations.key_checks import KeyChecks
from tradefleet.operations.key_rotation import inspect, rotate
from tradefleet.stores.memory import MemoryStore
from tradefleet.surfaces.cli.edge import edge
from tradefleet.surfaces.telegram.surface import TelegramSurface
from tradefleet.vault import CannotOpen
from tradefleet.wiring import build_dispatcher

SIGNS = "+/=-_.~"  # what only some encodings leave as they are
ALICE, BOB = UserId("alice"), UserId("bob")


def forms_of(secret: str) -> set[bytes]:
    """Return every form in which a secret could be found."""
    found = set()
    half = len(secret) // 2
    for part in (secret, secret[:half], secret[half:]):
        raw = part.encode()
        found |= {raw, raw.upper(), raw.lower(), raw[::-1], quote(part, safe="").encode()}
        found |= {raw.hex().encode(), raw.hex().upper().encode()}
        for shift in range(3):  # base64 of a text that has it inside, at any offset
            for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
                found.add(alphabet(b"x" * shift + raw)[4 : len(raw) * 4 // 3 - 4])
    return {form for form in found if len(form) >= 8}


@dataclass
class Canaries:
    """Pairs of secrets nobody else has, and all that was written while they were about."""

    made: list[str] = field(default_factory=list)
    written: list[bytes] = field(default_factory=list)

    def pair(self) -> tuple[str, str]:
        """Return a fresh key and secret."""
        fresh = tuple(f"cnry{secrets.token_hex(14)}{SIGNS}{secrets.token_hex(8)}" for _ in range(2))
        self.made += fresh
        return fresh[0], fresh[1]

    def note(self, *texts: object) -> None:
        self.written += [text if isinstance(text, bytes) else repr(text).encode() for text in texts]

    def hits(self) -> Iterator[str]:
        everything = b"\0".join(self.written)
        for secret in self.made:
            for form in forms_of(secret):
                if form in everything:
                    at = everything.index(form)
                    yield f"{form!r} in {everything[max(0, at - 200) : at + 60]!r}"


@pytest.fixture
def canaries(caplog) -> Iterator[Canaries]:
    """Canaries, looked for when the test is over."""
    caplog.set_level(logging.DEBUG)
    found = Canaries()
    yield found
    records = [{**record.__dict__, "exc_info": None} for record in caplog.get_records("call")]
    found.note(caplog.text, records)
    assert found.made
    assert list(found.hits()) == []


class Service:
    """One service on a store of any kind, whose every word is noted."""

    def __init__(self, store, canaries: Canaries) -> None:
        self.store, self.canaries, self.still = store, canaries, Still()
        self.exchange = Exchange()
        self.dispatcher = build_dispatcher(
            store,
            self.still,
            self.still,
            rules=rules_of,
            known_venues={"paper": PAPER, "bybit": BYBIT},
            desk=self.exchange,
            vault=vault_under(),
            key_rules=LIVE_ALLOWED,
        )

    async def ask(self, name: str, *words: str, user: UserId = ALICE) -> str:
        """Say something; the reply, the refusal or the traceback is noted."""
        try:
            reply = await self.dispatcher.run(user, name, words)
        except Refused as refusal:
            self.canaries.note(refusal, traceback.format_exc())
            return str(refusal)
        except (RuntimeError, ZeroDivisionError) as error:  # a crash, as a surface sees it
            note_crash(error, self.canaries)
            return "crash"
        self.canaries.note(reply, draw(reply))
        return reply.text

    async def connect(self, *more: str, user: UserId = ALICE, pair=None) -> str:
        return await self.ask("connect", "bybit", *(pair or self.canaries.pair()), *more, user=user)


def note_crash(error: BaseException, canaries: Canaries) -> None:
    """Note what is shown of a crash: its traceback without the words it was raised with.

    A venue's own words are ours only once we write them; what our code says of it must be clean.
    """
    frames = "".join(traceback.format_tb(error.__traceback__))
    canaries.note(frames, type(error).__name__)


def written_down(url: str, folder: Path) -> list[object]:
    """Return all that a database holds: its files' bytes, or every row of every table."""
    if not url.startswith("postgresql"):
        return [file.read_bytes() for file in folder.iterdir() if file.is_file()]
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    tables = [row[0] for row in execute(url, query)]
    return [[dict(row) for row in execute(url, f"SELECT * FROM {name}")] for name in tables]


async def everything_that_can_happen_to_keys(service: Service) -> None:
    """Connect, replace, refuse, crash, confirm, check, rotate and let go of keys."""
    it = service
    for user in (ALICE, BOB):
        await it.ask("start", user=user)
    assert "Connected" in await it.connect()
    assert "Connected" in await it.connect("true")
    pair = it.canaries.pair()
    assert "Connected" in await it.connect(user=BOB, pair=pair)
    assert "connected already" in await it.connect("yes", pair=pair)
    question = await it.connect("testnet=false")
    assert "Connected" in await it.ask(*question.splitlines()[-1].removeprefix("/").split())
    await it.connect("no", user=BOB)  # waits for ever

    # Words that are wrong in every way.
    key, api_secret = it.canaries.pair()
    for words in (
        [key, api_secret],
        ["bybit", key],
        ["bybit", key, api_secret, "maybe"],
        ["bybit", key, api_secret, "true", key],
        ["bybit", f"api_key={key}", f"api_secret={api_secret}", f"testnet={key}"],
        [f"exchange={key}", f"api_key={api_secret}"],
        ["bybit", key * 20, api_secret],
        ["confirm", key, api_secret],
        ["paper", key, api_secret],
        ["kraken", key, api_secret],
    ):
        await it.ask("connect", *words)
        await it.ask("conect", *words)

    # Exchanges that refuse, fail and repeat what they were told.
    for fault in KeyFault:
        key, api_secret = it.canaries.pair()
        it.exchange.answer = KeyRefused(fault, f"apiKey={key}&sign={api_secret}")
        await it.connect(pair=(key, api_secret))
    for kind in (VenueUnavailable, RuntimeError, ZeroDivisionError):
        key, api_secret = it.canaries.pair()
        it.exchange.answer = kind(f"POST {key} {api_secret}")
        assert await it.connect(pair=(key, api_secret)) in ("crash", NO_ANSWER)
    it.exchange.answer = replace(GOOD, can_withdraw=True)
    await it.connect()
    it.exchange.answer = GOOD
    await crash_inside(it)
    await look_after(it)
    await it.ask("disconnect", "bybit:testnet")
    await it.ask("accounts")
    await it.ask("help", "connect")


class Broken:
    """A vault that crashes with all it was given."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        def crash(*given: object, **named: object) -> None:
            raise ZeroDivisionError(f"{name}: {given} {named}")

        return crash


async def crash_inside(it: Service) -> None:
    """Let handlers crash inside their transaction, with keys in their hands."""
    sound, it.dispatcher = it.dispatcher, replace(it.dispatcher, vault=Broken())
    key, api_secret = it.canaries.pair()
    for mode in ("yes", "no"):
        with pytest.raises(ZeroDivisionError) as crash:
            await it.dispatcher.run(ALICE, "connect", ("bybit", key, api_secret, mode))
        it.canaries.note("".join(traceback.format_exception(crash.value)))
    it.dispatcher = sound


NO_ANSWER = "❌ The exchange cannot be reached now; nothing was changed. Try again in a minute."


async def look_after(it: Service) -> None:
    """Check all keys as every day, with every answer; rotate, with a wrong master key too."""
    checks = KeyChecks(
        store=it.store,
        vault=it.dispatcher.vault,
        desk=it.exchange,
        clock=it.still,
        rules=LIVE_ALLOWED,
    )
    for answer in (KeyRefused(KeyFault.INVALID, it.canaries.made[0]), GOOD):
        it.exchange.answer = answer
        for user_id in (ALICE, BOB):
            async with it.store.open(user_id) as own:
                for key in (await own.sealed_keys()).values():
                    await own.save_sealed_key(replace(key, check_at=it.still.now()))
                    checked = key.account_id
            await checks.check(user_id, checked)
    for vault in (vault_under(2), vault_under(1, 0), vault_under(1)):
        keyring = Keyring(it.store, vault)
        it.canaries.note(list((await rotate(keyring)).lines()))
        it.canaries.note(list((await inspect(keyring)).lines()))
    async with it.store.open(BOB, reading=True) as own:
        (account,) = await own.accounts()
    try:
        await Keyring(it.store, vault_under(2)).credentials_of(account)
    except CannotOpen:
        it.canaries.note(traceback.format_exc())
    credentials = await Keyring(it.store, vault_under(1)).credentials_of(account)
    assert credentials.api_key.reveal() in it.canaries.made
    it.canaries.note(credentials, str(credentials), account)
    it.dispatcher = replace(it.dispatcher, vault=vault_under(1))
    for notice in await it.store.due_notices(now=it.still.now(), limit=99):
        it.canaries.note(notice)


async def test_a_canary_that_is_written_down_is_found():
    key, _ = (found := Canaries()).pair()
    half = len(key) // 2
    for form in (key, key[:half], key[half:], key.encode().hex(), quote(key, safe=""), key.upper()):
        found.written = [f"…{form}…".encode()]
        assert list(found.hits()), form
    for text in (f"a{key}", f"ab{key}c", f"api_key={key}&sign=1"):
        found.written = [base64.b64encode(text.encode())]
        assert list(found.hits()), text
    found.written = [f"{key[:4]}…{key[-4:]}".encode()]
    assert list(found.hits()) == []


async def test_no_key_is_written_down_in_any_form(sql_store, sql_url, tmp_path, canaries):
    service = Service(sql_store, canaries)
    await everything_that_can_happen_to_keys(service)
    async with sql_store.reading() as connection:
        lines = await connection.exec_driver_sql("SELECT * FROM audit_log")
        audited = [tuple(line) for line in lines]
    assert len(audited) >= 8
    canaries.note(audited)
    await sql_store.close()
    everything = written_down(sql_url, tmp_path)
    assert b"cnry" in b"".join(
        part if isinstance(part, bytes) else repr(part).encode() for part in everything
    )
    canaries.note(*everything)


async def test_no_key_is_left_in_memory_in_any_form(clock, canaries):
    store = MemoryStore(clock)
    await everything_that_can_happen_to_keys(Service(store, canaries))
    canaries.note(vars(store))


async def test_no_key_is_said_or_logged_by_telegram(clock, canaries):
    service = Service(MemoryStore(clock), canaries)
    async with BotApi().running() as api:
        it = Rig(api)
        it.surface = TelegramSurface(
            it.options,
            dispatcher=service.dispatcher,
            store=service.store,
            clock=it.clock,
            ids=it.clock,
        )
        async with it.serving():
            await it.ready()
            await it.ask("/start")
            answers = (GOOD, KeyRefused(KeyFault.SIGNATURE, ""), RuntimeError, VenueUnavailable)
            for deleted, answer in enumerate(answers, 1):
                key, api_secret = canaries.pair()
                if isinstance(answer, type):
                    answer = answer(f"{key}:{api_secret}")
                service.exchange.answer = answer
                it.clock.pass_by(60)
                said = await it.ask(f"/connect bybit {key} {api_secret}")
                assert said.startswith("🗑 I deleted your message, because it held keys.")
                assert api.outbound().count("deleteMessage") == deleted
        canaries.note(api.said(PERSON), str(api.chats))


def test_no_key_is_told_by_the_command_line(canaries, capsys):
    key, api_secret = canaries.pair()

    async def crash() -> None:
        raise RuntimeError(f"{key} {api_secret}")

    with pytest.raises(BaseException) as ended, edge():
        asyncio.run(crash())
    captured = capsys.readouterr()
    canaries.note(captured.out, captured.err, repr(ended.value))
