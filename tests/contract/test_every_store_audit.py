"""The audit log in every store: the same lines, the same hashes, one chain for each user."""

import asyncio
import hmac
import json
from datetime import timedelta
from decimal import Decimal

from tests.store_rig import ALICE, BOB, account, bot, register, user
from tradefleet.domain.audit import ANCHORED, SYSTEM, Acting, ChainKeys
from tradefleet.domain.bot import BotStatus
from tradefleet.domain.effects import Topic
from tradefleet.domain.limits import Halt, RiskLimits, Scope, Switch
from tradefleet.domain.notices import Loudness
from tradefleet.domain.user import Role
from tradefleet.operations.audit.verifying import Verifier
from tradefleet.store import acting

KEYS = ChainKeys("k1", {"none": b"", "k1": b"1" * 32})


async def lines_of(store, user_id=None):
    return await store.audits.lines(after=None, limit=1000, user_id=user_id)


async def test_lines_are_written_alike_in_every_store(store, clock):
    store.audits.keys = KEYS
    await register(store, ALICE)
    who = Acting(actor="boss", role="admin", surface="api", address="1.2.3.4", request_id="r1")
    with acting(who):
        async with store.open(ALICE) as own:
            await own.audit("set", {"z": Decimal("1.50"), "a": [1, None, "ü\u0000"], "b": {"c": 1}})
        await store.audits.note("broadcast", {"text": "We are back."})
    first, second = await lines_of(store)
    assert (first.user_id, first.number, first.actor) == (SYSTEM, 1, "boss")
    assert second._replace(digest="", hash="") == (
        *(ALICE, 1, "2026-01-01T00:00:00.000000Z", "boss", "admin", "api", "r1", "set"),
        '{"asked":{"a":[1,null,"\\u00fc\\u0000"],"b":{"c":1},"z":"1.50"}}',
        *("", "k1", "", ""),
    )
    digest = proof(["alice_id", "boss", second.detail])
    said = [1, "", second.at, "admin", "api", "r1", "set", digest, "k1"]
    assert (second.digest, second.hash) == (digest, proof(said))


def proof(said):
    """What the document says a line is bound by, written a second time."""
    return hmac.new(b"1" * 32, json.dumps(said).encode(), "sha256").hexdigest()


async def test_the_actors_own_address_stands_in_their_own_chain_alone(store):
    for user_id in (ALICE, BOB):
        await register(store, user_id)
    with acting(Acting(actor=ALICE, address="1.2.3.4")):
        for user_id in (ALICE, BOB):
            async with store.open(user_id) as own:
                await own.audit("x", {})
    assert ["1.2.3.4" in line.detail for line in await lines_of(store)] == [True, False]


async def test_what_changed_is_seen_by_the_store_itself(store, clock):
    await register(store, ALICE, bot(ALICE))
    stop = Switch(
        scope=Scope.USER, scope_id=ALICE, halt=Halt.STOP, reason="tired", changed_at=clock.now()
    )
    async with store.open(ALICE) as own:
        await own.audit("before", {})
        await own.save_user(user(ALICE, tier="premium", role=Role.ADMIN))
        await own.save_limits(RiskLimits(losses_in_row_max=3))
        await own.save_loudness(Topic.SYSTEM, Loudness.SILENT)
        await own.set_switch(stop)
        await own.audit("changed", {})
        await own.save_bot(bot(ALICE, status=BotStatus.STOPPED))
        await own.save_account(account(ALICE))
        await own.remove_bot(bot(ALICE).id)
        await own.audit("removed", {})
    async with store.open(ALICE) as own:
        await own.add_bot(bot(ALICE, 2))
        await own.audit("added", {})
        await own.audit("nothing", {})
    async with store.open(ALICE, reading=True) as own:
        found = {entry.action: entry.changed for entry in await own.audit_page(10)}
    changed = {each["what"]: (each["before"], each["after"]) for each in found["changed"]}
    assert changed == {
        "user": ({"tier": "free", "role": "user"}, {"tier": "premium", "role": "admin"}),
        "limits": (None, {"losses_in_row_max": 3, "breaker_hours": "4", "symbols_blocked": []}),
        "loudness": (None, "silent"),
        "switch": (
            None,
            {"scope": "user", "scope_id": ALICE, "halt": "stop", "reason": "tired"}
            | {"by_operator": False},
        ),
    }
    (gone,) = found["removed"]
    assert (gone["what"], gone["id"], gone["after"]) == ("pair", bot(ALICE).id, None)
    assert gone["before"]["status"] == "running"
    assert gone["before"]["symbol"] == str(bot(ALICE).symbol)
    (new,) = found["added"]
    assert (new["before"], new["after"]["allocation"]) == (None, str(bot(ALICE, 2).allocation))
    assert found["nothing"] == found["before"] == ()


async def test_pages_are_the_newest_first(store):
    await register(store, ALICE)
    async with store.open(ALICE) as own:
        for action in "abcde":
            await own.audit(action, {})
    async with store.open(ALICE, reading=True) as own:
        assert [each.action for each in await own.audit_page(2)] == ["e", "d"]
        assert [each.number for each in await own.audit_page(2, before=4)] == [3, 2]
    for action in "xyz":
        await store.audits.note(action, {})
    assert [each.action for each in await store.audits.page(2)] == ["z", "y"]
    assert [each.action for each in await store.audits.page(9, before=3)] == ["y", "x"]


async def test_two_at_once_do_not_fork_a_chain(store):
    store.audits.keys = KEYS
    await register(store, ALICE)

    async def act(number):
        async with store.open(ALICE) as own:
            await own.audit("act", {"number": number})
        await store.audits.note("noted", {"number": number})

    await asyncio.gather(*map(act, range(12)))
    assert [line.number for line in await lines_of(store, ALICE)] == [*range(1, 13)]
    report = await Verifier(store.audits, KEYS).verify()
    assert (report.is_well, report.lines, report.chains) == (True, 24, 2)


async def test_what_is_taken_back_left_no_line(store):
    store.audits.keys = KEYS
    await register(store, ALICE)
    for action in ("kept", "lost", "kept"):
        try:
            async with store.open(ALICE) as own:
                await own.audit(action, {})
                if action == "lost":
                    raise KeyError
        except KeyError:
            pass
    assert [line.action for line in await lines_of(store, ALICE)] == ["kept", "kept"]
    assert (await Verifier(store.audits, KEYS).verify()).count == {"weak": 1}, "no chain of its own"


async def test_a_chain_from_before_there_were_keys_is_put_under_one(store):
    for user_id in (ALICE, BOB):
        await register(store, user_id)
        async with store.open(user_id) as own:
            await own.audit("old", {})
            await own.audit("old", {})
    weak = await store.audits.weak(10)
    assert [(head.user_id, head.number) for head in weak] == [(ALICE, 2), (BOB, 2)]
    store.audits.keys = KEYS
    async with store.open(ALICE) as own:
        await own.audit("new", {})
    async with store.open(BOB) as own:
        await own.audit(ANCHORED, {})
    await store.audits.note("begun", {})
    actions = {who: [line.action for line in await lines_of(store, who)] for who in (ALICE, BOB)}
    assert actions == {ALICE: ["old", "old", ANCHORED, "new"], BOB: ["old", "old", ANCHORED]}
    assert await store.audits.weak(10) == []
    assert (await Verifier(store.audits, KEYS).verify()).is_well


async def test_heads_and_hashes_tell_how_far_chains_have_come(store, clock):
    for user_id in (ALICE, BOB):
        await register(store, user_id)
        async with store.open(user_id) as own:
            await own.audit("a", {})
    later = clock.now() + timedelta(minutes=1)
    clock.move_to(later)
    async with store.open(BOB) as own:
        await own.audit("b", {})
    lines = {(line.user_id, line.number): line.hash for line in await lines_of(store)}
    heads = await store.audits.heads(since=None, after=None, limit=10)
    assert [(head.user_id, head.number) for head in heads] == [(ALICE, 1), (BOB, 2)]
    assert all(lines[head.user_id, head.number] == head.hash for head in heads)
    assert await store.audits.heads(since=later, after=None, limit=10) == [heads[1]]
    assert await store.audits.heads(since=None, after=ALICE, limit=10) == [heads[1]]
    assert await store.audits.heads(since=None, after=None, limit=1) == [heads[0]]
    asked = [(ALICE, 1), (BOB, 2), (BOB, 3), ("nobody", 1)]
    assert await store.audits.hashes(asked) == {place: lines[place] for place in asked[:2]}
    assert await store.audits.lines(after=(ALICE, 1), limit=1) == (await lines_of(store, BOB))[:1]


async def test_keys_are_kept_by_their_ids(store):
    await store.audits.keep_key("k1", b"one")
    await store.audits.keep_key("k2", b"two")
    await store.audits.keep_key("k1", b"anew")
    assert await store.audits.kept_keys() == {"k1": b"anew", "k2": b"two"}
