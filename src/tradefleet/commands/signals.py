"""/signals: what the strategies of your pairs said lately: to enter, to leave, or why not."""

from dataclasses import dataclass
from datetime import datetime

from tradefleet.command import FIRST_PAIRS, NO_PAIRS, CommandSpec, Context, Reply, Route
from tradefleet.domain.errors import Refused
from tradefleet.domain.market import Symbol
from tradefleet.drawing import moment

SHOWN_MAX = 100
OF_PAIR = 200  # latest notes of each pair that are looked through
NO_ACT = "no"  # the kind of a note that says why nothing is done
ALL = "all"


@dataclass(frozen=True, slots=True)
class Signals:
    """kind: all also tells of the bars on which nothing was to be done."""

    symbol: Symbol | None = None
    kind: str = ""
    limit: int = 20


@dataclass(frozen=True, slots=True)
class Signal:
    """What a strategy said of one bar of a pair; kind: entry, exit or no."""

    at: datetime
    symbol: str
    exchange: str
    strategy: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class SignalList:
    """Signals, the newest first."""

    signals: tuple[Signal, ...]


async def signals(request: Signals, context: Context) -> Reply:
    if not 1 <= request.limit <= SHOWN_MAX:
        raise Refused(f"Ask for 1 to {SHOWN_MAX} signals.")
    kind = request.kind.lower()
    if kind not in ("", ALL, "entry", "exit", NO_ACT):
        raise Refused("Say kind=entry, kind=exit, kind=no or kind=all.")
    if request.symbol is None and not await context.store.bots():
        return Reply(text=NO_PAIRS, steps=FIRST_PAIRS, data=SignalList(()))
    found = [
        Signal(note.at, str(bot.symbol), bot.venue, bot.strategy, note.kind, note.text)
        for bot in await context.bots(request.symbol)
        for note in await context.store.signal_notes(bot.group, limit=OF_PAIR)
        if kind in (ALL, note.kind) or (not kind and note.kind != NO_ACT)
    ]
    found.sort(key=lambda each: (each.at, each.symbol), reverse=True)
    shown = tuple(found[: request.limit])
    if not shown:
        text = "📡 No signals yet. /signals kind=all tells why nothing is done; so does /why."
        return Reply(text=text, data=SignalList(()))
    return Reply(
        text="📡 Signals of your pairs, the newest first",
        columns=("Time", "Pair", "Signal", "What"),
        rows=tuple((moment(s.at), s.symbol, s.kind, s.text) for s in shown),
        older="limit=" + str(SHOWN_MAX)
        if len(found) > len(shown) and len(shown) < SHOWN_MAX
        else "",
        data=SignalList(shown),
    )


COMMAND = CommandSpec(
    name="signals",
    summary="What the strategies of your pairs said lately",
    usage="/signals [symbol]",
    options="kind=entry|exit|no|all limit=20",
    example="/signals",
    request=Signals,
    handler=signals,
    place=11,
    refreshes=True,
    limit_max=SHOWN_MAX,
    route=Route("GET", "/signals"),
    data=SignalList,
)
