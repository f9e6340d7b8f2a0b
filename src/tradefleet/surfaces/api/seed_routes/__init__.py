"""Addresses and shapes that clients of earlier services know, besides those of /api/v1."""

from collections.abc import Sequence

from fastapi import APIRouter

from tradefleet.dispatcher import Dispatcher
from tradefleet.surfaces.api.caller import Door
from tradefleet.surfaces.api.health import Health
from tradefleet.surfaces.api.seed_routes.bot import bot_routes
from tradefleet.surfaces.api.seed_routes.operator import Figures, operator_routes
from tradefleet.surfaces.api.seed_routes.trade import trade_routes


def seed_routes(
    dispatcher: Dispatcher, door: Door | None, health: Health, figures: Figures = dict
) -> Sequence[APIRouter]:
    """Return all of them."""
    return (
        trade_routes(dispatcher, door),
        bot_routes(dispatcher, door),
        operator_routes(dispatcher, door, health, figures),
    )
