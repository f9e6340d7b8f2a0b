"""The evidence, put in order once: who owns what, which order here is which at the venue."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Self

from judge.evidence import Evidence, Happened, Owned, StoredFill, StoredOrder
from judge.journals import Journal, VenueOrder, read_journal

UNITS = 10**8
FINAL = frozenset({"done", "rejected", "void", "absent"})
DISTURBING = frozenset(
    {"fault", "crash", "frozen", "thawed", "lease", "kill", "released", "manual", "recovered"}
)
SKEW = "clock skew"  # the fault kind of hosts whose clocks are wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a venue's rules let things take.

    late_ms: an order may be accepted so long after it was sent; stuck_ms: an order may be without
    an end for so long after the last fault.
    """

    late_ms: int = 5_000
    stuck_ms: int = 240_000


# MT5 takes no deadline: what is on its way may arrive as late as the network lets it.
PATIENCE = {"mt5": Patience(late_ms=180_000, stuck_ms=600_000)}
USUAL = Patience()


def patience_of(venue: str) -> Patience:
    return next((p for name, p in PATIENCE.items() if venue.startswith(name)), USUAL)


def units_of(amount: Decimal) -> int:
    """Return an amount in units; what is finer than a unit is rounded away from zero."""
    scaled = amount * UNITS
    whole = int(scaled)
    if whole != scaled:
        whole += 1 if scaled > 0 else -1
    return whole


@dataclass(kw_only=True)  # no slots: what is worked out once is kept
class Case:
    """All that is judged, found by what it is asked for."""

    evidence: Evidence
    journals: dict[str, Journal]
    stored: dict[str, StoredOrder] = field(default_factory=dict)
    owners: dict[str, Owned] = field(default_factory=dict)  # by account id
    places: dict[tuple[str, str], Owned] = field(default_factory=dict)  # by venue and its account
    fills: defaultdict[str, list[StoredFill]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, evidence: Evidence) -> Self:
        journals = {venue: read_journal(venue, lines) for venue, lines in evidence.journals.items()}
        case = cls(evidence=evidence, journals=journals)
        case.stored = {order.id: order for order in evidence.database.orders}
        for owned in evidence.owned:
            case.owners[owned.account_id] = owned
            case.places[owned.venue, owned.venue_account] = owned
        for fill in evidence.database.fills:
            case.fills[fill.order_id].append(fill)
        return case

    # ------------------------------------------------------------ the diary

    def happened(self, *kinds: str) -> Iterator[Happened]:
        return (each for each in self.evidence.diary if each.kind in kinds)

    @cached_property
    def ended_ms(self) -> int:
        """Return when nothing was expected to change any more."""
        ends = [each.at_ms for each in self.happened("ended")]
        last = [each.at_ms for each in self.evidence.diary[-1:]]
        return max(ends or [*last, *(journal.last_ms for journal in self.journals.values()), 0])

    @cached_property
    def last_trouble_ms(self) -> int:
        return max((each.at_ms for each in self.happened(*DISTURBING)), default=0)

    @cached_property
    def tolerance_ms(self) -> int:
        """Return how far the clocks of hosts may be off before they stop sending."""
        skewed = any(each.fields.get("fault") == SKEW for each in self.happened("fault"))
        return 2_500 if skewed else 500

    # --------------------------------------------------------------- orders

    @cached_property
    def by_hand(self) -> frozenset[tuple[str, int]]:
        """Return the owner's own orders: venue and number."""
        found = set()
        for each in self.happened("manual"):
            owned = self.owners.get(str(each.fields.get("account_id")))
            if owned is not None:
                found.add((owned.venue, int(str(each.fields["order"]))))
        return frozenset(found)

    def owned(self, order: VenueOrder) -> Owned | None:
        return self.places.get((order.venue, order.account))

    def is_by_hand(self, order: VenueOrder) -> bool:
        return (order.venue, order.id) in self.by_hand

    @cached_property
    def placed(self) -> list[VenueOrder]:
        """Return all orders in owned accounts that their owners did not place by hand."""
        return [
            order
            for journal in self.journals.values()
            for order in journal.orders.values()
            if self.owned(order) is not None and not self.is_by_hand(order)
        ]

    @cached_property
    def accepted(self) -> list[VenueOrder]:
        return [order for order in self.placed if order.is_accepted]

    @cached_property
    def by_number(self) -> dict[tuple[str, str], StoredOrder]:
        """Return stored orders by account and the venue's id, for what bears no client id."""
        orders = self.evidence.database.orders
        return {(o.account_id, o.venue_order_id): o for o in orders if o.venue_order_id}

    def intent(self, order: VenueOrder) -> StoredOrder | None:
        """Return the intent a venue's order stands for, whoever's it is."""
        if order.client_id:
            return self.stored.get(order.client_id)
        owned = self.owned(order)
        return self.by_number.get((owned.account_id, str(order.id))) if owned else None

    @cached_property
    def _there(self) -> dict[str, list[VenueOrder]]:
        found: dict[str, list[VenueOrder]] = {}
        for order in self.placed:
            intent, owned = self.intent(order), self.owned(order)
            if intent is None or owned is None or owned.account_id != intent.account_id:
                continue
            found.setdefault(intent.id, []).append(order)
        return found

    def there(self, intent: StoredOrder) -> list[VenueOrder]:
        """Return what the venue has of an intent, in the intent's own account."""
        return self._there.get(intent.id, [])

    def accepted_of(self, intent: StoredOrder) -> list[VenueOrder]:
        return [order for order in self.there(intent) if order.is_accepted]

    def venue_of(self, account_id: str) -> str:
        owned = self.owners.get(account_id)
        return owned.venue if owned is not None else ""

    def patience(self, account_id: str) -> Patience:
        return patience_of(self.venue_of(account_id))
