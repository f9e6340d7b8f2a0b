"""Secrets of webhooks and tickets of streams, forged: ten thousand times tried, none accepted.

Tokens, initData and logins have theirs in tests/unit/test_sign_in_tokens.py.
"""

import base64
import hmac
import random
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from multidict import CIMultiDict

from tests.doors import ALICE, Door
from tradefleet.domain.errors import NotSignedIn
from tradefleet.surfaces.api.caller import Caller, Right
from tradefleet.surfaces.api.live_ticket import LENGTH_MAX, TICKET_SECONDS, Tickets
from tradefleet.surfaces.telegram.arrivals import Intake
from tradefleet.surfaces.telegram.webhook import SECRET_HEADER, Receiver
from tradefleet.webhook import signature

MUTANTS = 4_000  # of each of three kinds
MOST = int(MUTANTS * 0.9)  # of them differ from what is genuine
HOOK = "a-secret_of-Telegram0123456789"
OUTBOUND = "whsec_" + "0123456789abcdef" * 4
AT = 1_767_225_600
BODY = '{"id":41,"type":"fill","at":"2026-01-01T00:00:00Z","data":{"quantity":"0.5"}}'
READER = Caller(user_id=ALICE, rights=frozenset({Right.READ}), session="of the test")


def mutants(text: str, letters: str, chance: random.Random) -> Iterator[str]:
    """Yield texts that differ from the one given: changed, longer, shorter, swapped, cased."""
    for _ in range(MUTANTS):
        at, letter = chance.randrange(len(text)), chance.choice(letters)
        mutant = chance.choice(
            (
                text[:at] + letter + text[at + 1 :],
                text[:at] + letter + text[at:],
                text[:at] + text[at + 1 :],
                text[:at],
                text[:at] + text[at : at + 2][::-1] + text[at + 2 :],
                text[:at] + text[at:].swapcase(),
                text + letter * (at + 1),
            )
        )
        if mutant != text:
            yield mutant


# ---- the secret that comes with Telegram's updates


def is_heard(*secrets: str) -> bool:
    headers = CIMultiDict((SECRET_HEADER, secret) for secret in secrets)
    request: Any = SimpleNamespace(headers=headers)  # of all there is, what is looked at
    return Receiver(HOOK, Intake()).is_genuine(request)


def test_no_mutant_of_the_secret_of_telegrams_webhook_is_heard():
    assert is_heard(HOOK)
    assert not is_heard()
    assert not is_heard(HOOK, HOOK)
    tried = list(mutants(HOOK, "abcXYZ0189-_, \té\0\udcff", random.Random(4)))
    assert len(tried) > MOST
    assert [mutant for mutant in tried if is_heard(mutant)] == []


# ---- the signatures of outbound webhooks, as who gets them checks them


def is_ours(secret: str, stamp: str, signed: str, body: str) -> bool:
    """Say whether a receiver who does as docs/user-guide.md says would believe an event."""
    said = f"{stamp}.{body}".encode()
    expected = "v1=" + hmac.new(secret.encode(), said, "sha256").hexdigest()
    return hmac.compare_digest(expected.encode(), signed.encode())


def test_no_mutant_of_an_outbound_event_is_believed():
    genuine = [OUTBOUND, str(AT), signature(OUTBOUND, AT, BODY.encode()), BODY]
    assert is_ours(*genuine)
    chance, tried = random.Random(5), 0
    for which, text in enumerate(genuine):
        for mutant in islice(mutants(text, "abcdef0189=.,_é\0", chance), MUTANTS // 4):
            forged = [*genuine[:which], mutant, *genuine[which + 1 :]]
            assert not is_ours(*forged), forged
            tried += 1
    assert tried > MOST


def test_no_two_events_have_one_signature_by_where_time_ends_and_body_begins():
    told = [
        signature(OUTBOUND, stamp, body)
        for stamp, body in ((1, b"1.x"), (11, b".x"), (11, b"x"), (1, b".1.x"))
    ]
    assert len(set(told)) == len(told)


# ---- tickets for streams


@pytest.fixture
def door() -> Door:
    return Door()


def tickets_of(door: Door) -> Tickets:
    return Tickets(door.store, door.still, door.still)


async def opens(tickets: Tickets, ticket: str) -> bool:
    try:
        await tickets.take(ticket)
    except NotSignedIn:
        return False
    return True


async def test_no_mutant_of_a_ticket_opens_a_stream_and_the_genuine_still_does(door):
    tickets = tickets_of(door)
    genuine = await tickets.make(READER)
    tried = list(mutants(genuine, "ABCabc0189-_.=+/ é\0", random.Random(6)))
    assert len(tried) > MOST
    assert [mutant for mutant in tried if await opens(tickets, mutant)] == []
    assert await tickets.take(genuine) == READER  # so it had not been spent by any of them
    assert not await opens(tickets, genuine)


@pytest.mark.parametrize(
    "changes",
    [{"user": "bob"}, {"rights": ["read", "trade", "admin"]}, {"until": 9e9}, {"session": "x"}, {}],
    ids=str,
)
@pytest.mark.parametrize("key", [b"", b"live_tickets", b"\0" * 32])
async def test_a_ticket_that_somebody_else_signed_opens_nothing(door, changes, key):
    tickets = tickets_of(door)
    body, _, right = (await tickets.make(READER)).partition(".")
    said = {**orjson.loads(base64.urlsafe_b64decode(body + "==")), **changes}
    other = base64.urlsafe_b64encode(orjson.dumps(said)).rstrip(b"=")
    signed = hmac.digest(key, other, "sha256").hex()
    assert not await opens(tickets, f"{other.decode()}.{signed}")
    assert not await opens(tickets, f"{other.decode()}.")
    if changes:
        assert not await opens(tickets, f"{other.decode()}.{right}")


@pytest.mark.parametrize("ticket", ["", ".", "..", "a.b", "é.é", "\0.\0", "x" * LENGTH_MAX * 2])
async def test_what_is_no_ticket_opens_nothing(door, ticket):
    assert not await opens(tickets_of(door), ticket)


async def test_a_ticket_of_another_database_opens_nothing(door):
    elsewhere = Door()
    ticket = await tickets_of(elsewhere).make(READER)
    assert await elsewhere.store.secret("live_tickets") != await door.store.secret("live_tickets")
    assert not await opens(tickets_of(door), ticket)


async def test_a_ticket_is_too_old_after_half_a_minute(door):
    tickets = tickets_of(door)
    ticket, late = await tickets.make(READER), await tickets.make(READER)
    door.still.time += timedelta(seconds=TICKET_SECONDS - 1)
    assert await opens(tickets, ticket)
    door.still.time += timedelta(seconds=1)
    assert not await opens(tickets, late)
