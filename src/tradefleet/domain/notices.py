"""How loud a user is told what: on, silent or off, for each topic."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from tradefleet.domain.effects import Topic


class Loudness(StrEnum):
    """How a notice arrives: with a sound, without one, or not at all."""

    ON = "on"
    SILENT = "silent"
    OFF = "off"


DEFAULTS: Mapping[Topic, Loudness] = MappingProxyType(
    dict.fromkeys(Topic, Loudness.ON)
    | {Topic.TRADE: Loudness.SILENT, Topic.ORDER: Loudness.SILENT}  # a fill was told before
)
ALWAYS_TOLD = frozenset({Topic.SECURITY})  # whoever stole a way in must not be able to hush it up
MEANINGS: Mapping[Topic, str] = MappingProxyType(
    {
        Topic.FILL: "an order was filled",
        Topic.STOP: "a stop closed a position",
        Topic.TRADE: "a trade was closed, and what it brought",
        Topic.ORDER: "an order was refused, cancelled or ran out",
        Topic.GUARD: "a limit, the breaker or a pause",
        Topic.FAULT: "a pair was set aside, or its books need a look",
        Topic.SYSTEM: "prices, connections and the service itself",
        Topic.SECURITY: "your keys and your sign-ins",
    }
)
