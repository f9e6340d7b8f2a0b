"""/addwebhook: have your events sent to an address of yours, signed."""

from dataclasses import dataclass

from tradefleet.command import CommandSpec, Context, Reply, Route
from tradefleet.domain.errors import Conflict, Refused
from tradefleet.domain.live import LiveKind
from tradefleet.identity import drawn_by
from tradefleet.keyring import user_key
from tradefleet.webhook import SECRET_PREFIX, WEBHOOKS_MAX, Webhook, read_url

ALL = "all"
ID_LENGTH = 12
NO_VAULT = "This service has no key to keep secrets with, so it keeps no webhooks."


@dataclass(frozen=True, slots=True)
class AddWebhook:
    url: str
    events: str = ALL


@dataclass(frozen=True, slots=True)
class WebhookMade:
    """The webhook that was made; secret: what its deliveries are signed with, told this once."""

    id: str
    url: str
    events: tuple[str, ...]
    secret: str


async def add_webhook(request: AddWebhook, context: Context) -> Reply:
    read_url(request.url, allow_local=context.catalog.local_webhooks)
    kinds = read_kinds(request.events)
    if context.vault is None:
        raise Refused(NO_VAULT)
    there = await context.store.webhooks.all()
    if any(each.url == request.url for each in there):
        raise Conflict("You have a webhook to that address already; /webhooks shows it.")
    if len(there) >= WEBHOOKS_MAX:
        raise Refused(f"You have {WEBHOOKS_MAX} webhooks, which is the most; remove one first.")
    secret = drawn_by(context.ids.new, SECRET_PREFIX)
    id, now = context.ids.new()[-ID_LENGTH:], context.clock.now()
    wrapped = await user_key(context.store, context.vault)
    head = await context.store.live.listen()
    made = Webhook(
        id=id,
        user_id=context.user.id,
        url=request.url,
        kinds=kinds,
        sealed=context.vault.seal_text(wrapped, context.user.id, f"webhook {id}", secret),
        created_at=now,
        done=head.last,
        next_at=now,
    )
    await context.store.webhooks.save(made)
    words = tuple(kind.value for kind in kinds)
    text = (
        f"🔗 Webhook {id}: {', '.join(words)}, from now on, to {request.url}\n"
        f"Secret: {secret.reveal()}\n"
        "It is shown this once. Check the signature of each delivery with it."
    )
    data = WebhookMade(id, request.url, words, secret.reveal())
    return Reply(text=text, data=data, holds_secret=True)


def read_kinds(words: str) -> tuple[LiveKind, ...]:
    """Read which events are wanted: all, or some by their names."""
    named = [word.strip().lower() for word in words.split(",") if word.strip()]
    if not named or named == [ALL]:
        return tuple(LiveKind)
    choices = ", ".join([ALL, *LiveKind])
    for word in named:
        if word not in tuple(LiveKind):
            raise Refused(f"There are no events {word[:20]!r}; choose of: {choices}.")
    return tuple(kind for kind in LiveKind if kind in named)


COMMAND = CommandSpec(
    name="addwebhook",
    summary="Have your events sent to an address of yours",
    usage="/addwebhook <https address> [events]",
    options="events=all or some of order,fill,trade,position,bot,notice,sign_in",
    example="/addwebhook https://example.com/tradefleet order,fill",
    request=AddWebhook,
    handler=add_webhook,
    group="Programs",
    place=2,
    changes=True,
    in_person=True,
    route=Route("POST", "/webhooks"),
    data=WebhookMade,
)
