"""/channels: the signal channels you follow; this version reads none, and says what it does do."""

from dataclasses import dataclass

from tradefleet.command import CommandSpec, Context, Reply, Route, Step


@dataclass(frozen=True, slots=True)
class Channels:
    pass


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel whose signals are followed."""

    name: str


@dataclass(frozen=True, slots=True)
class ChannelList:
    """allowed: how many the user's tier would let them follow; available: this version can."""

    channels: tuple[Channel, ...]
    allowed: int
    available: bool


async def channels(request: Channels, context: Context) -> Reply:
    allowed = context.tier.signal_channels
    text = (
        "📻 You follow no signal channels: this version cannot read channels yet.\n"
        "Your pairs trade by their own strategies; /signals shows what these say."
    )
    steps = (Step("📡 Signals", "/signals"),)
    return Reply(text=text, data=ChannelList((), allowed, available=False), steps=steps)


COMMAND = CommandSpec(
    name="channels",
    summary="The signal channels you follow",
    usage="/channels",
    example="/channels",
    request=Channels,
    handler=channels,
    place=11,
    route=Route("GET", "/channels"),
    data=ChannelList,
)
