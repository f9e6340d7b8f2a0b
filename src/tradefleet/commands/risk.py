"""/risk: the risk notice, and whether you agreed to it; accept agrees."""

from dataclasses import dataclass

from tradefleet.command import CommandSpec, Context, Reply, Route, Step
from tradefleet.domain.consent import STOPPED_FOR_NOTICE, Consent, RiskNotice
from tradefleet.domain.errors import Refused
from tradefleet.domain.limits import Halt, Scope, Switch
from tradefleet.drawing import moment
from tradefleet.keyring import turn
from tradefleet.store import who_acts

ACCEPT = "accept"
NO_NOTICE = "This service has no risk notice."
WORDS = "Write /risk to read the risk notice, and /risk accept to agree to it."


@dataclass(frozen=True, slots=True)
class ConsentAsked:
    answer: str = ""


@dataclass(frozen=True, slots=True)
class ConsentGiven:
    """version and notice: what there is to agree to; accepted: the version agreed to, 0: none."""

    version: int
    notice: str
    text_hash: str
    accepted: int
    accepted_at: str


async def consent(request: ConsentAsked, context: Context) -> Reply:
    notice = context.catalog.notice
    if notice is None:
        raise Refused(NO_NOTICE)
    if request.answer.lower() not in ("", ACCEPT):
        raise Refused(WORDS)
    before = await context.store.consents()
    if request.answer and not any(each.version >= notice.version for each in before):
        await agree(notice, context)
    latest = (await context.store.consents())[-1:]
    accepted = latest[0].version if latest else 0
    at = moment(latest[0].at) if latest else ""
    data = ConsentGiven(notice.version, notice.text, notice.text_hash, accepted, at)
    if accepted >= notice.version:
        text = f"{notice.text}\n\n✅ You agreed to version {accepted} at {at}."
        return Reply(text=text, data=data)
    text = f"{notice.text}\n\nVersion {notice.version}; you have not agreed to it: /risk accept"
    return Reply(text=text, data=data, steps=(Step("✅ I agree", "/risk accept"),))


async def agree(notice: RiskNotice, context: Context) -> None:
    """Note it, and allow entries again where they were stopped for it."""
    given = Consent(
        version=notice.version,
        at=context.clock.now(),
        surface=who_acts().surface,
        text_hash=notice.text_hash,
    )
    await context.store.save_consent(given)
    for switch in await context.store.switches():
        if switch.scope is Scope.USER and switch.reason == STOPPED_FOR_NOTICE:
            again = Switch(
                scope=Scope.USER,
                scope_id=context.user.id,
                halt=Halt.RUN,
                reason="",
                changed_at=context.clock.now(),
            )
            await turn(context.store, again)


COMMAND = CommandSpec(
    name="risk",
    summary="Read the risk notice, and agree to it",
    usage="/risk [accept]",
    example="/risk",
    request=ConsentAsked,
    handler=consent,
    group="Setup",
    place=59,
    changes=True,
    route=Route("POST", "/me/consent"),
    data=ConsentGiven,
)
