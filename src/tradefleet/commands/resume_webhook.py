"""/resumewebhook: send to an address again, from where its deliveries stopped."""

from dataclasses import dataclass, replace

from tradefleet.command import CommandSpec, Context, Reply, Route
from tradefleet.domain.errors import NotThere
from tradefleet.webhook import read_url


@dataclass(frozen=True, slots=True)
class ResumeWebhook:
    webhook: str


@dataclass(frozen=True, slots=True)
class WebhookResumed:
    """last: the number of the last event dealt with; what came after it is sent now."""

    id: str
    url: str
    last: int


async def resume_webhook(request: ResumeWebhook, context: Context) -> Reply:
    there = {each.id: each for each in await context.store.webhooks.all()}
    found = there.get(request.webhook)
    if found is None:
        raise NotThere("You have no such webhook; /webhooks shows yours.")
    data = WebhookResumed(found.id, found.url, found.done)
    if found.next_at is not None and not found.failures:
        return Reply(text=f"🔗 Webhook {found.id} is active; nothing failed.", data=data)
    read_url(found.url, allow_local=context.catalog.local_webhooks)
    await context.store.live.listen()  # so that from now on nothing goes by, whatever did
    again = replace(found, tries=0, failures=0, next_at=context.clock.now(), disabled_because="")
    await context.store.webhooks.save(again)
    text = (
        f"🔗 Webhook {found.id} is tried again now, with what happened since event {found.done}.\n"
        f"/webhooks {found.id} shows what becomes of it."
    )
    return Reply(text=text, data=data)


COMMAND = CommandSpec(
    name="resumewebhook",
    summary="Send to an address again that was given up",
    usage="/resumewebhook <webhook>",
    example="/resumewebhook 3f2a9c1d7e60",
    request=ResumeWebhook,
    handler=resume_webhook,
    group="Programs",
    place=4,
    changes=True,
    route=Route("POST", "/webhooks/{webhook}/resume"),
    data=WebhookResumed,
)
