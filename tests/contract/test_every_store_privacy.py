"""What users agreed to and that they want to leave, in every store."""

from dataclasses import replace

from tests.makers import START, after_start
from tests.store_rig import ALICE, BOB, register
from tradefleet.domain.consent import Consent, RiskNotice
from tradefleet.store import ErasureRequest


def consent(version: int, **changes) -> Consent:
    notice = RiskNotice(version=version)
    made = Consent(version=version, at=START, surface="telegram", text_hash=notice.text_hash)
    return replace(made, **changes)


async def test_consents_are_kept_by_version_and_the_first_of_each_counts(store):
    await register(store, ALICE)
    await register(store, BOB)
    second = consent(2, at=after_start(days=1), surface="api")
    async with store.open(ALICE) as own:
        await own.save_consent(second)
        await own.save_consent(consent(1))
        await own.save_consent(consent(1, surface="cli", at=after_start(days=9)))
    async with store.open(ALICE, reading=True) as own:
        assert list(await own.consents()) == [consent(1), second]
    async with store.open(BOB, reading=True) as own:
        assert list(await own.consents()) == []


async def test_who_asked_to_be_erased_did_so_when_they_first_asked(store):
    await register(store, ALICE)
    asked = ErasureRequest(asked_at=START, reason="/deleteme")
    async with store.open(ALICE, reading=True) as own:
        assert await own.erasure() is None
    async with store.open(ALICE) as own:
        await own.ask_erasure(asked)
        await own.ask_erasure(replace(asked, asked_at=after_start(days=1)))
    async with store.open(ALICE, reading=True) as own:
        assert await own.erasure() == asked


async def test_what_a_failed_transaction_agreed_to_is_not_kept(store):
    await register(store, ALICE)
    try:
        async with store.open(ALICE) as own:
            await own.save_consent(consent(1))
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    async with store.open(ALICE, reading=True) as own:
        assert list(await own.consents()) == []
