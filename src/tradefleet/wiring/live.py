"""Live events and webhooks, put together: who tells on, who sends, who forgets."""

import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fastapi import APIRouter

from tradefleet.operations.live_events import OldEventsForgotten
from tradefleet.operations.webhooks.courier import Courier
from tradefleet.operations.webhooks.sender import WebhookSender
from tradefleet.surfaces.api.caller import Door
from tradefleet.surfaces.api.live import Live, live_routes
from tradefleet.surfaces.api.live_hub import LiveHub
from tradefleet.surfaces.api.live_ticket import Tickets
from tradefleet.wiring.ground import Ground

Task = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class LiveParts:
    """What a service serves of live events, and what runs for it."""

    routes: Sequence[APIRouter]
    tasks: Sequence[Task]


def live_over(ground: Ground, door: Door) -> LiveParts:
    store, clock = ground.store, ground.clock
    hub = LiveHub(store, clock)
    tickets = Tickets(store, clock, ground.ids)
    sender = WebhookSender(
        store=store,
        vault=ground.vault,
        clock=clock,
        courier=Courier(allow_local=ground.settings.webhook_allow_local),
        owner=f"{socket.gethostname()}:{os.getpid()}",
    )
    return LiveParts(
        routes=[live_routes(Live(store=store, hub=hub, door=door, tickets=tickets))],
        tasks=[hub.run, sender.run, OldEventsForgotten(store=store, clock=clock).run],
    )
