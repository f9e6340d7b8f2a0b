"""/testalert: a test to every receiver of alerts, and what each answered."""

from dataclasses import dataclass

from tradefleet.command import CommandSpec, Context, Question, Reply, Route, Step, VenueDesk
from tradefleet.domain.errors import Refused
from tradefleet.domain.user import Role
from tradefleet.drawing import count

OUT_OF_REACH = (
    "What sends alerts is out of reach from here; ask the bot on Telegram, POST "
    "/api/v1/admin/alerts/test of the running service, or run `tradefleet check alerts`."
)
NOWHERE = (
    "🔇 Alerts go nowhere but into the log. Set SLACK_WEBHOOK_URL, DISCORD_WEBHOOK_URL, "
    "WEBHOOK_URL, ADMIN_TELEGRAM_IDS or APPRISE_URLS."
)


@dataclass(frozen=True, slots=True)
class TestAlert:
    __test__ = False  # no class of tests, whatever its name says


@dataclass(frozen=True, slots=True)
class ReceiverTold:
    """What a receiver answered; took: it has it now, or the outbox has it."""

    receiver: str
    took: bool
    answer: str


@dataclass(frozen=True, slots=True)
class ReceiversTold:
    receivers: tuple[ReceiverTold, ...]


async def ask(request: TestAlert, context: Context) -> Question | None:
    """Send the test while no transaction is open: receivers take their time."""
    test = context.catalog.alert_test

    async def put(desk: VenueDesk) -> ReceiversTold | None:
        if test is None:
            return None
        return ReceiversTold(tuple(ReceiverTold(*told) for told in await test()))

    return put


async def test_alert(request: TestAlert, context: Context) -> Reply:
    found = context.answer
    if not isinstance(found, ReceiversTold):
        raise Refused(OUT_OF_REACH)
    if not found.receivers:
        return Reply(text=NOWHERE, data=found)
    return Reply(
        text=f"📣 A test was sent to {count(len(found.receivers), 'receiver')}",
        columns=("Receiver", "Took it", "Answer"),
        rows=tuple(
            (each.receiver, "✅" if each.took else "❌", each.answer) for each in found.receivers
        ),
        data=found,
        steps=(Step("🚨 Alerts", "/alerts"),),
    )


COMMAND = CommandSpec(
    name="testalert",
    summary="Send a test to everybody alerts go to",
    usage="/testalert",
    example="/testalert",
    request=TestAlert,
    handler=test_alert,
    asks=ask,
    group="Operator",
    place=9,
    role=Role.ADMIN,
    changes=True,
    route=Route("POST", "/admin/alerts/test"),
    data=ReceiversTold,
)
