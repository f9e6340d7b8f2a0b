"""How large a world is, and how hostile."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from judge.world import menu
from judge.world.plan import Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a world is made of.

    kinds: the faults that have their season in it, in this order; none for a world in which
    nothing goes wrong at all. seconds: how long it trades, at least and at most; it goes on in
    open weather until the venue has had so many orders. symbols: what each user's bots trade.
    freeze_every, kill_every, owner_every: about how many seconds pass between two hosts standing
    still, kill switches, moves by accounts' owners; 0 for never. store: memory or sqlite.
    """

    users: int = 8
    hosts: int = 3
    symbols: Sequence[str] = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
    kinds: Sequence[str] = ()
    seconds: tuple[float, float] = (60.0, 900.0)
    orders: int = 0
    rates: Rates = field(default_factory=Rates)
    users_max: int = 5
    crashes: bool = True
    freeze_every: float = 18.0
    kill_every: float = 40.0
    owner_every: float = 15.0
    quiet_most: float = 420.0
    store: str = "memory"


def calm(users: int = 2, seconds: float = 60.0) -> Size:
    """Return a small world in which nothing goes wrong."""
    return Size(
        users=users,
        hosts=1,
        seconds=(seconds, seconds),
        users_max=users,
        rates=Rates(seasonal=0, stray=0, lost=0),
        crashes=False,
        freeze_every=0,
        kill_every=0,
        owner_every=0,
    )


def hostile(kinds: Sequence[str] = menu.KINDS[:4]) -> Size:
    """Return a world in which these kinds of faults have their season."""
    return Size(kinds=tuple(kinds))
