"""The operator's own account, from the environment: provided at start, and said in the log."""

from collections.abc import AsyncIterator

from tradefleet.domain.credentials import KeyRefused
from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import UserId
from tradefleet.domain.user import Role, User
from tradefleet.engine.key_guard import KeyAnswer
from tradefleet.operations.provision import Provision, provide
from tradefleet.wiring.ground import Ground
from tradefleet.wiring.keys import key_rules, operator_credentials

VENUE = "binance"
NOBODY_ELSE = "others may not use the operator's account (ALLOW_OPERATOR_FALLBACK=false)"
NO_KEYS = "no account of the operator's own (RBS_BINANCE_... are not set)"


async def operator_lines(ground: Ground) -> AsyncIterator[str]:
    """Open the operator's account when there are keys for it; yield what the log is to say."""
    settings = ground.settings
    yield NOBODY_ELSE
    given = operator_credentials(settings)
    if given is None:
        yield NO_KEYS
        return
    credentials, mode = given
    name = settings.operator_user
    now = ground.clock.now()
    provision = Provision(
        user=User(id=UserId(name), username=name, created_at=now, role=Role.ADMIN),
        venue=VENUE,
        mode=mode,
        credentials=credentials,
    )
    try:
        answer: KeyAnswer = await ground.desk.check_key(VENUE, credentials, mode)
    except KeyRefused as refusal:
        answer = refusal
    except Refused as refusal:
        yield f"{VENUE} ({mode.value}) of {name}: not connected. {refusal}"
        return
    rules = key_rules(settings)
    provided = await provide(ground.store, ground.vault, provision, answer, rules, now)
    state = "connected" if provided.connected else "not connected"
    fault = f". {provided.fault}" if provided.fault else ""
    yield f"{VENUE} ({mode.value}) of {name}: {state}{fault}"
