"""Taking over an old single-user database, for the command line."""

from tradefleet import strategies
from tradefleet.domain.audit import AT_THE_MACHINE
from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import UserId
from tradefleet.operations.single_user.importing import Choices, Importing, lines_of
from tradefleet.operations.single_user.shapes import OldBot
from tradefleet.plugins import find_plugins
from tradefleet.runtime.real_world import RealClock
from tradefleet.settings import load_settings
from tradefleet.store import acting
from tradefleet.stores.sql import open_store
from tradefleet.wiring.keys import bind_audit, check_masters, masters_of, open_vault


async def import_single_user(
    db: str | None, user_id: UserId, old: OldBot, choices: Choices, apply: bool
) -> list[str]:
    known = find_plugins(strategies, "STRATEGY")
    if choices.strategy not in known:
        names = ", ".join(sorted(known))
        raise Refused(f"There is no strategy {choices.strategy!r}; choose one of: {names}.")
    clock, settings = RealClock(), load_settings()
    store = await open_store(db or settings.database_url.get_secret_value(), clock=clock)
    try:
        importing = Importing(store=store, clock=clock, choices=choices)
        if apply:
            masters = masters_of(settings)
            vault = await open_vault(masters, store)
            await check_masters(vault, masters, store)
            await bind_audit(store, vault, masters.keys)
        do = importing.apply if apply else importing.plan
        with acting(AT_THE_MACHINE):
            planned = await do(user_id, old)
    finally:
        await store.close()
    return lines_of(planned, old, user_id, applied=apply)
