"""The keys audit lines are bound under: kept over rotations, and put under what has none yet."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from tradefleet.domain.audit import ANCHORED, NO_KEYS, WEAK, ChainKeys
from tradefleet.domain.credentials import Secret
from tradefleet.store import Store
from tradefleet.vault import AUDIT, CannotOpen, Vault, audit_key

logger = logging.getLogger(__name__)

AT_ONCE = 500  # chains
BEGUN = "audit_begins"  # the first line of the service's own chain


async def chain_keys(store: Store, vault: Vault, masters: Sequence[Secret]) -> ChainKeys:
    """Return every key that lines were ever written under, as far as they can be had.

    Each master key gives one; what none of them gives any more is kept, sealed.
    """
    given = [audit_key(master) for master in masters]
    kept: dict[str, bytes] = {}
    for id, sealed in (await store.audits.kept_keys()).items():
        try:
            kept[id] = vault.open_own(AUDIT, id, sealed)
        except CannotOpen as error:
            logger.error("%s Lines written under it cannot be verified.", error)
    return ChainKeys(given[0][0], {**NO_KEYS.keys, **kept, **dict(given)})


async def keep_keys(store: Store, vault: Vault, masters: Sequence[Secret]) -> int:
    """Seal under the first master key what it does not give; return how many keys those are."""
    keys = await chain_keys(store, vault, masters)
    others = {id: key for id, key in keys.keys.items() if id not in {keys.current, *WEAK}}
    known = await store.audits.kept_keys()
    alone = Vault(masters[:1], b"")
    for id, key in others.items():
        if not is_opened_by(alone, id, known.get(id)):
            await store.audits.keep_key(id, vault.seal_own(AUDIT, id, key))
    return len(others)


def is_opened_by(vault: Vault, id: str, sealed: bytes | None) -> bool:
    """Say whether a key is kept so that the first master key alone opens it."""
    try:
        return sealed is not None and bool(vault.open_own(AUDIT, id, sealed))
    except CannotOpen:
        return False


@dataclass(frozen=True, slots=True)
class Begun:
    """How much stood there before there were keys."""

    chains: int
    lines: int


async def begin(store: Store) -> Begun | None:
    """Put chains from before there were keys under one, once; None: that was done before.

    From the service's first own line on, a chain without a line under a key is a forgery.
    """
    if await store.audits.page(1):
        return None
    chains = lines = 0
    while found := await store.audits.weak(AT_ONCE):
        for head in found:
            async with store.open(head.user_id) as own:
                await own.audit(ANCHORED, {})
            chains, lines = chains + 1, lines + head.number
    await store.audits.note(BEGUN, {"chains": chains, "lines": lines})
    return Begun(chains, lines)
