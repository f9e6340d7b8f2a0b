"""The one place that knows which concrete class stands behind each contract."""

from tradefleet.wiring.doors import build_dispatcher as build_dispatcher
