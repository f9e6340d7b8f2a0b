"""/notifications: how loud you are told what, every event by the name /notify knows it by."""

from dataclasses import dataclass

from tradefleet.command import CommandSpec, Context, Reply, Route, Step
from tradefleet.domain.effects import Topic
from tradefleet.domain.notices import DEFAULTS, MEANINGS

SIGNS = {"on": "🔔", "silent": "🔕", "off": "🚫"}
HEADER = "What you are told. /notify <event> <on|silent|off> changes it."
STEPS = (
    Step("🔕 Fills silent", "/notify fill silent"),
    Step("🔕 All silent", "/notify all silent"),
    Step("🔔 As at first", "/notify all default"),
)


@dataclass(frozen=True, slots=True)
class Notifications:
    pass


@dataclass(frozen=True, slots=True)
class EventLoudness:
    """One event: on, silent (it comes without a sound) or off, and whether that is the default."""

    event: str
    loudness: str
    is_default: bool
    about: str


@dataclass(frozen=True, slots=True)
class Loudnesses:
    events: tuple[EventLoudness, ...]


async def notifications(request: Notifications, context: Context) -> Reply:
    chosen = await context.store.loudness()
    events = tuple(
        EventLoudness(
            topic.value,
            chosen.get(topic, DEFAULTS[topic]).value,
            chosen.get(topic, DEFAULTS[topic]) is DEFAULTS[topic],
            MEANINGS[topic],
        )
        for topic in Topic
    )
    lines = [
        f"{SIGNS[each.loudness]} {each.event} ({each.loudness}): {each.about}" for each in events
    ]
    return Reply(text="\n".join([HEADER, *lines]), steps=STEPS, data=Loudnesses(events))


COMMAND = CommandSpec(
    name="notifications",
    summary="What you are told, and how loud",
    usage="/notifications",
    example="/notifications",
    request=Notifications,
    handler=notifications,
    group="Setup",
    place=10,
    refreshes=True,
    route=Route("GET", "/notifications"),
    data=Loudnesses,
)
