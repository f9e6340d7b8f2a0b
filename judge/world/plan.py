"""What goes wrong in a world, when and where: drawn from its seed, and steered to every cell.

A world works through some kinds of faults, one after the other. While a kind is in season it
strikes most; whoever comes to a crash point that this kind still lacks, and was struck by it
last, crashes there. Other kinds strike now and then meanwhile.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from judge.world import menu
from judge.world.chance import Chance
from judge.world.menu import Fault
from judge.world.rules import Rules
from venuesim.seeded import Dice

FRESH_MS = 120_000  # a fault that struck longer ago has nothing to do with a crash
SEASON_MOST = 180.0  # seconds that a kind is waited for
CREATES_LOST = frozenset(
    {
        menu.REQUEST_LOST,
        menu.REQUEST_DELAYED,
        menu.RESET_BEFORE,
        menu.REFUSED,
        menu.HTML_200,
        menu.HTML_403,
        menu.STATUS_429,
        menu.STATUS_418,
        menu.STATUS_5XX,
        menu.STATUS_52X,
    }
)
ONLY_CREATES = frozenset({menu.ID_MISSING, menu.PARTIAL_FILLS, menu.THIRD_FEE, menu.SELF_TRADE})
DELAYS = (0.2, 1.0, 3.0, 6.0, 11.0, 20.0, 61.0, 120.0)
ANSWERS = (0.2, 1.0, 3.0, 7.0, 11.0, 30.0)
WEIGHT_OF_LIMITS = 0.15  # answers that shut a door for seconds are drawn less often


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How often calls meet a fault; seasonal: the kind in season, stray: any other."""

    seasonal: float = 0.22
    stray: float = 0.04
    open: float = 0.16  # any kind, once all seasons are over
    lost: float = 0.05  # of creates, whatever the season


@dataclass(slots=True, kw_only=True)
class Season:
    """The kind of fault that strikes most just now; points: where nobody crashed in it yet."""

    kind: str
    points: dict[str, None]
    began: float = 0.0


Struck = Callable[[str, str, str], None]  # kind, account, action


@dataclass(slots=True, kw_only=True)
class Plan:
    """Draws every fault. struck tells the world, which may have to change a state for it."""

    chance: Chance
    rules: Rules
    kinds: Sequence[str]
    rates: Rates = field(default_factory=Rates)
    now_ms: Callable[[], int]
    struck: Struck = lambda kind, account, action: None
    calm: bool = False
    season: Season | None = None
    latest: dict[str, tuple[str, int]] = field(default_factory=dict)
    hit: set[tuple[str, str]] = field(default_factory=set)  # point, kind
    missed: list[tuple[str, str]] = field(default_factory=list)
    _left: list[str] = field(default_factory=list)
    _roll: Dice = field(init=False)

    def __post_init__(self) -> None:
        self._left = list(self.kinds)
        self._roll = self.chance.of("weather")

    # -------------------------------------------------------------- seasons

    def turn(self, now: float) -> bool:
        """Let the next season begin when this one is over; False when there is none left."""
        season = self.season
        if season is not None and season.points and now - season.began < SEASON_MOST:
            return True
        if season is not None:
            self.missed += [(point, season.kind) for point in season.points]
        if not self._left:
            self.season = None
            return False
        kind = self._left.pop(0)
        self.season = Season(kind=kind, points=dict.fromkeys(menu.POINTS), began=now)
        return True

    @property
    def kind(self) -> str:
        return self.season.kind if self.season is not None else ""

    def is_due(self, point: str, account: str) -> bool:
        """Say whether a crash of this account at this point is what is still wanted."""
        season = self.season
        if season is None or self.calm or point not in season.points:
            return False
        kind, at_ms = self.latest.get(account, ("", 0))
        return kind == season.kind and self.now_ms() - at_ms <= FRESH_MS

    def crashed(self, point: str) -> None:
        if self.season is not None:
            self.season.points.pop(point, None)
            self.hit.add((point, self.season.kind))

    def strike(self, kind: str, account: str, action: str) -> None:
        """Note that a fault has struck an account."""
        self.latest[account] = kind, self.now_ms()
        self.struck(kind, account, action)

    # --------------------------------------------------------------- drawing

    def draw(self, account: str, action: str) -> Fault | None:
        """Say what a call meets on its way; states of the venue begin with the call they meet."""
        if self.calm:
            return None
        kind = self._kind_for(action)
        if not kind:
            return None
        self.strike(kind, account, action)
        if kind not in menu.OF_CALLS or kind in STATES:
            return None
        return self._fault(kind, action)

    def _kind_for(self, action: str) -> str:
        roll, rates, season = self._roll, self.rates, self.kind
        drawn = roll.random()
        if action == "create":
            lost = rates.lost * (0.4 if self.rules.fence == "none" else 1)
            if drawn < lost:
                return roll.choice((menu.REQUEST_LOST, menu.RESET_BEFORE, menu.ANSWER_LOST))
            drawn -= lost
        if drawn < self._rate(season, action):
            return season
        drawn -= self._rate(season, action)
        if drawn < (rates.stray if season else rates.open):
            stray = roll.choice(menu.OF_CALLS)
            if stray in (menu.STATUS_418, menu.STATUS_429) and roll.random() > WEIGHT_OF_LIMITS:
                return ""
            return stray if self._rate(stray, action) else ""
        return ""

    def _rate(self, kind: str, action: str) -> float:
        """Return how often a kind in season strikes such a call."""
        if kind not in menu.OF_CALLS and kind not in menu.OF_ORDERS:
            return 0.0
        if kind in ONLY_CREATES:
            return 0.6 if action == "create" else 0.0
        if kind == menu.CANCEL_RACES:
            return 0.7 if action == "cancel" else 0.0
        if kind == menu.REQUEST_DUPLICATED and not self._may_double(action):
            return 0.0
        if kind in (menu.STATUS_418, menu.STATUS_429, menu.MAINTENANCE):
            return 0.04
        if action == "create" and kind in CREATES_LOST and self.rules.fence == "none":
            return 0.03
        return self.rates.seasonal

    def _may_double(self, action: str) -> bool:
        """Say whether a copy of a request can be told from it by the venue.

        Where names are unique among open orders only, a copy of an order that was filled at once
        is another order, and nobody but the network could keep it from being one.
        """
        known = self.rules.dedupes_requests or self.rules.nonce_window_ms is not None
        return action != "create" or known or self.rules.unique_ids == "ever"

    def _fault(self, kind: str, action: str) -> Fault:
        roll = self._roll
        if kind == menu.REQUEST_DELAYED:
            delays = [delay for delay in DELAYS if delay <= self.rules.delay_max]
            return Fault(kind, seconds=roll.choice(delays))
        if kind == menu.ANSWER_DELAYED:
            return Fault(kind, seconds=roll.choice(ANSWERS))
        return Fault(kind, processed=roll.random() < 0.5)

    def message(self, account: str) -> str:
        """Say what a message on an account's stream meets, "" for nothing."""
        if self.calm:
            return ""
        kind, drawn = self.kind, self._roll.random()
        if kind in menu.OF_STREAMS and drawn < 0.25:
            self.strike(kind, account, "stream")
            return kind
        if drawn > 0.985:
            stray = self._roll.choice(menu.OF_STREAMS[:4])
            self.strike(stray, account, "stream")
            return stray
        return ""

    def database(self, account: str) -> str:
        """Say what a write for an account meets, "" for nothing."""
        kind = self.kind
        if self.calm or kind not in menu.OF_DATABASES or self._roll.random() >= 0.02:
            return ""
        self.strike(kind, account, "database")
        return kind


STATES = frozenset({menu.LOOKUP_LAG, menu.HISTORY_PURGED, menu.MAINTENANCE})
