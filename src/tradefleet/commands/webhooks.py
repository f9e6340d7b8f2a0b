"""/webhooks: where your events are sent; with a webhook's id, what became of its deliveries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tradefleet.command import CommandSpec, Context, Reply, Route
from tradefleet.domain.errors import NotThere
from tradefleet.drawing import count, moment
from tradefleet.webhook import Delivery, Webhook

SHOWN = 20  # deliveries
NONE = "🔗 You have no webhooks. Make one: /addwebhook https://example.com/tradefleet order,fill"


@dataclass(frozen=True, slots=True)
class Webhooks:
    webhook: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookLine:
    """One webhook; state: active, failing or disabled, and why. last: the last event dealt with."""

    id: str
    url: str
    events: tuple[str, ...]
    state: str
    reason: str
    failures: int
    last: int
    created_at: datetime
    next_try_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryLine:
    """One event sent; outcome: delivered, retrying or given_up."""

    event: int
    type: str
    at: datetime
    tries: int
    status: int | None
    error: str
    outcome: str


@dataclass(frozen=True, slots=True)
class WebhookList:
    """Webhooks; deliveries: of the one that was asked for, the newest first."""

    webhooks: tuple[WebhookLine, ...]
    deliveries: tuple[DeliveryLine, ...] = ()


async def webhooks(request: Webhooks, context: Context) -> Reply:
    there = await context.store.webhooks.all()
    if request.webhook:
        return await one(request.webhook, there, context)
    data = WebhookList(tuple(map(line, there)))
    if not there:
        return Reply(text=NONE, data=data)
    return Reply(
        text=f"🔗 {count(len(there), 'webhook')}. What became of deliveries: /webhooks <id>",
        columns=("Webhook", "State", "Events", "Address"),
        rows=tuple((e.id, state(e), " ".join(e.kinds), e.url) for e in there),
        data=data,
    )


async def one(id: str, there: Sequence[Webhook], context: Context) -> Reply:
    found = next((each for each in there if each.id == id), None)
    if found is None:
        raise NotThere("You have no such webhook; /webhooks shows yours.")
    sent = await context.store.webhooks.deliveries(id, SHOWN)
    why = f": {found.disabled_because}" if found.disabled_because else ""
    return Reply(
        text=f"🔗 {found.id} to {found.url}, {state(found)}{why}"
        + ("" if sent else "\nNothing was sent yet."),
        columns=("Event", "Type", "At", "Tries", "Status", "Outcome"),
        rows=tuple(map(row, sent)),
        data=WebhookList((line(found),), tuple(map(delivery_line, sent))),
    )


def state(webhook: Webhook) -> str:
    if webhook.next_at is None:
        return "disabled"
    return "failing" if webhook.failures else "active"


def line(webhook: Webhook) -> WebhookLine:
    return WebhookLine(
        id=webhook.id,
        url=webhook.url,
        events=tuple(kind.value for kind in webhook.kinds),
        state=state(webhook),
        reason=webhook.disabled_because,
        failures=webhook.failures,
        last=webhook.done,
        created_at=webhook.created_at,
        next_try_at=webhook.next_at if webhook.failures else None,
    )


def row(sent: Delivery) -> tuple[str, ...]:
    status = sent.error or "-" if sent.status is None else str(sent.status)
    return (
        str(sent.number),
        sent.kind,
        moment(sent.at),
        str(sent.tries),
        status,
        sent.outcome.value,
    )


def delivery_line(sent: Delivery) -> DeliveryLine:
    return DeliveryLine(
        event=sent.number,
        type=sent.kind,
        at=sent.at,
        tries=sent.tries,
        status=sent.status,
        error=sent.error,
        outcome=sent.outcome.value,
    )


COMMAND = CommandSpec(
    name="webhooks",
    summary="Where your events are sent, and what became of it",
    usage="/webhooks [webhook]",
    example="/webhooks",
    request=Webhooks,
    handler=webhooks,
    group="Programs",
    place=1,
    route=Route("GET", "/webhooks", without=("webhook",)),
    more_routes=(Route("GET", "/webhooks/{webhook}"),),
    data=WebhookList,
)
