"""How these routes ask the door: who calls, a command, and its data as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import orjson
from fastapi import Request

from tradefleet.dispatcher import Dispatcher
from tradefleet.domain.errors import NotAllowed, Refused
from tradefleet.domain.money import show
from tradefleet.domain.user import Role
from tradefleet.drawing import as_json
from tradefleet.surfaces.api.caller import Caller, Door, Right
from tradefleet.surfaces.api.routes import NoDoor, check_right
from tradefleet.surfaces.api.visits import address_of, caller_of


@dataclass(frozen=True, slots=True)
class Asking:
    """Asks commands for whoever calls, if they have the right to."""

    dispatcher: Dispatcher
    door: Door | None

    async def reader(self, request: Request) -> Caller:
        return await self._caller(request, Right.READ)

    async def trader(self, request: Request) -> Caller:
        return await self._caller(request, Right.TRADE)

    async def leaver(self, request: Request) -> Caller:
        """Return who calls to take risk away, however often they call."""
        return await self._caller(request, Right.TRADE, is_exit=True)

    async def admin(self, request: Request) -> Caller:
        return await self._caller(request, Right.ADMIN)

    async def operator(self, request: Request) -> Caller:
        """Return an admin who calls, by their role as well as by what they signed in with."""
        caller = await self.admin(request)
        async with self.dispatcher.store.open(caller.user_id, reading=True) as store:
            user = await store.user()
        if user is None or user.role is not Role.ADMIN:
            raise NotAllowed("This is for those who run the service.")
        return caller

    async def _caller(self, request: Request, right: Right, *, is_exit: bool = False) -> Caller:
        caller = await caller_of(request, self.door or NoDoor(), is_exit=is_exit)
        check_right(caller, right)
        return replace(caller, address=address_of(request.scope))

    async def data(
        self, caller: Caller, command: str, given: Mapping[str, object], key: str = ""
    ) -> dict[str, Any]:
        """Return a reply's data, money as text; raise Refused when nothing was done."""
        asked = {name: value for name, value in given.items() if value is not None}
        reply = await self.dispatcher.run(
            caller.user_id,
            command,
            asked,
            key=key,
            proven=caller.strong,
            surface="api",
            address=caller.address,
        )
        if reply.refused:
            raise Refused(reply.text)
        found: dict[str, Any] = orjson.loads(as_json(reply.data))
        return found


def eight(amount: str) -> str:
    """Write money with eight decimals."""
    return show(Decimal(amount))


def rate(share: str) -> str:
    """Write a share with one decimal: 75.0%."""
    return f"{Decimal(share) * 100:.1f}%"
