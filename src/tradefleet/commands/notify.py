"""/notify: be told of an event with a sound, without one, or not at all."""

from dataclasses import dataclass

from tradefleet.command import CommandSpec, Context, Reply, Route
from tradefleet.domain.effects import Topic
from tradefleet.domain.errors import NotThere, Refused
from tradefleet.domain.notices import ALWAYS_TOLD, DEFAULTS, MEANINGS, Loudness

ALL = "all"
DEFAULT = "default"
CHOICES = ", ".join(loudness.value for loudness in Loudness)
SAID = {
    Loudness.ON: "🔔 {events}: told with a sound from now on.",
    Loudness.SILENT: "🔕 {events}: told without a sound from now on.",
    Loudness.OFF: "🚫 {events}: not told any more. Undo: /notify {first} on",
}


@dataclass(frozen=True, slots=True)
class Notify:
    """event: one of /notifications, or all; loudness: on, silent, off or default."""

    event: str
    loudness: str


@dataclass(frozen=True, slots=True)
class LoudnessChanged:
    """The events that were changed, and how loud each is now."""

    events: dict[str, str]


async def notify(request: Notify, context: Context) -> Reply:
    topics, word = topics_of(request.event), request.loudness.lower()
    if word not in (*Loudness, DEFAULT):
        raise Refused(f"Say how loud: {CHOICES} or {DEFAULT}, not {word[:40]!r}.")
    off = word == Loudness.OFF
    if off and len(topics) == 1 and topics[0] in ALWAYS_TOLD:
        text = f"{topics[0].value} cannot be switched off: it tells you of {MEANINGS[topics[0]]}."
        raise Refused(f"🔐 {text} Make it silent if you like.")
    changed: dict[Topic, Loudness] = {}
    for topic in topics:
        if off and topic in ALWAYS_TOLD:
            continue
        loudness = DEFAULTS[topic] if word == DEFAULT else Loudness(word)
        await context.store.save_loudness(topic, loudness)
        changed[topic] = loudness
    lines = [
        SAID[loudness].format(events=", ".join(found), first=found[0])
        for loudness in Loudness
        if (found := [topic.value for topic, now in changed.items() if now is loudness])
    ]
    kept = [topic.value for topic in topics if topic not in changed]
    if kept:
        lines.append(f"🔐 {', '.join(kept)} stays as it is: it cannot be switched off.")
    data = LoudnessChanged({topic.value: now.value for topic, now in changed.items()})
    return Reply(text="\n".join(lines), data=data)


def topics_of(event: str) -> list[Topic]:
    """Return the topics an event's name stands for; NotThere names those there are."""
    word = event.lower()
    if word == ALL:
        return list(Topic)
    if word not in [*Topic]:
        names = ", ".join(Topic)
        raise NotThere(f"There is no event {word[:40]!r}; there is: {names}, or {ALL}.")
    return [Topic(word)]


COMMAND = CommandSpec(
    name="notify",
    summary="Be told of an event loud, silent or not",
    usage="/notify <event> <on|silent|off>",
    options="all in place of an event is every one; default makes it as it was at first",
    example="/notify fill silent",
    request=Notify,
    handler=notify,
    group="Setup",
    place=11,
    changes=True,
    route=Route("PUT", "/notifications/{event}"),
    data=LoudnessChanged,
)
