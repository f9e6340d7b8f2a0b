"""/removewebhook: send nothing to an address any more."""

from dataclasses import dataclass

from tradefleet.command import CommandSpec, Context, Reply, Route
from tradefleet.domain.errors import NotThere


@dataclass(frozen=True, slots=True)
class RemoveWebhook:
    webhook: str


@dataclass(frozen=True, slots=True)
class WebhookRemoved:
    id: str
    url: str


async def remove_webhook(request: RemoveWebhook, context: Context) -> Reply:
    there = {each.id: each for each in await context.store.webhooks.all()}
    found = there.get(request.webhook)
    if found is None:
        raise NotThere("You have no such webhook; /webhooks shows yours.")
    await context.store.webhooks.remove(found.id)
    text = f"🔗 Nothing is sent to {found.url} any more."
    return Reply(text=text, data=WebhookRemoved(found.id, found.url))


COMMAND = CommandSpec(
    name="removewebhook",
    summary="Send nothing to an address any more",
    usage="/removewebhook <webhook>",
    example="/removewebhook 3f2a9c1d7e60",
    request=RemoveWebhook,
    handler=remove_webhook,
    group="Programs",
    place=3,
    changes=True,
    route=Route("DELETE", "/webhooks/{webhook}"),
    data=WebhookRemoved,
)
