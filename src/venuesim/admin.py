"""The admin port: what only the owner of a simulated venue, or a test, may do; JSON, this machine.

Every call names its venue when more than one runs behind the port. Amounts are decimal strings,
times ISO. A refusal is {"error": words} with status 400.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal, cast

import orjson
from aiohttp import web

from venuesim.clock import ManualClock, RealClock
from venuesim.faults import Fault, FaultKind, Scripted
from venuesim.journal import Checked, masked, verify
from venuesim.keys import Key
from venuesim.orders import Kind, NewOrder, Order, Refusal, Side, Trade
from venuesim.recorded import parse_time
from venuesim.running import Running
from venuesim.units import short, units

BODY_LIMIT = 64 * 1024
LATEST = 1000  # orders and trades of an account that books shows


class Bad(Exception):
    """A call that cannot be done, in words."""


Fields = Mapping[str, Any]
Done = dict[str, Any]
Act = Callable[[Running, Fields], Done]


def needed(fields: Fields, name: str) -> Any:
    if name not in fields:
        raise Bad(f"{name} is missing")
    return fields[name]


# ---------------------------------------------------------------- clients


def make_client(sim: Running, fields: Fields) -> Done:
    """Open an account, pay in, and return a key: name, balances, permissions, ips."""
    key = sim.client(
        str(needed(fields, "name")),
        fields.get("balances"),
        fields.get("permissions", ("read", "trade")),
        fields.get("ips", ()),
    )
    if "expires" in fields:
        key.expires_ms = parse_time(fields["expires"])
    return told_key(key) | {"secret": key.secret}


def told_key(key: Key) -> Done:
    return {
        "account": key.account,
        "api_key": key.api_key,
        "permissions": sorted(key.permissions),
        "ips": list(key.ips),
        "expires_ms": key.expires_ms,
        "revoked": key.revoked,
    }


def change_key(sim: Running, fields: Fields) -> Done:
    """Revoke a key, let it expire, change what it may do or from where."""
    key = sim.place.keys.by_key.get(str(needed(fields, "api_key")))
    if key is None:
        raise Bad("there is no such key")
    if "permissions" in fields:
        key.permissions = set(fields["permissions"])
    if "ips" in fields:
        key.ips = tuple(fields["ips"])
    if "expires" in fields:
        key.expires_ms = parse_time(fields["expires"]) if fields["expires"] else None
    if "revoked" in fields:
        key.revoked = bool(fields["revoked"])
    return told_key(key)


def change_money(sim: Running, fields: Fields) -> Done:
    """Pay in (deposit, out when below zero), or let an account have so much free (set)."""
    account, exchange = known_account(sim, fields), sim.exchange
    for asset, amount in fields.get("deposit", {}).items():
        exchange.deposit(account, asset, units(amount))
    for asset, amount in fields.get("set", {}).items():
        have = exchange.accounts[account].free[asset]
        if units(amount) != have:
            exchange.deposit(account, asset, units(amount) - have)
    return told_balances(sim, account)


def known_account(sim: Running, fields: Fields) -> str:
    name = str(needed(fields, "account"))
    if name not in sim.exchange.accounts:
        raise Bad(f"there is no account {name}")
    return name


# ------------------------------------------------------- what an owner does


def trade_by_hand(sim: Running, fields: Fields) -> Done:
    """Place an order as its owner would in the venue's own window: without a client id."""
    price = units(fields.get("price", 0))
    order = sim.exchange.place(
        known_account(sim, fields),
        NewOrder(
            symbol=str(needed(fields, "symbol")),
            side=Side(needed(fields, "side")),
            kind=Kind.LIMIT if price else Kind.MARKET,
            quantity=units(fields.get("quantity", 0)),
            quote_quantity=units(fields.get("quote_quantity", 0)),
            price=price,
        ),
    )
    return told(order)


def cancel_by_hand(sim: Running, fields: Fields) -> Done:
    account = known_account(sim, fields)
    order = sim.exchange.find(account, order_id=int(needed(fields, "order")))
    if order is None:
        raise Bad("there is no such order")
    return told(sim.exchange.cancel(account, order))


# ------------------------------------------------------------------ market


def move_price(sim: Running, fields: Fields) -> Done:
    symbol = str(needed(fields, "symbol"))
    at_us = sim.place.clock.now_ns() // 1000
    sim.tick(symbol, str(needed(fields, "price")), str(fields.get("quantity", "0.1")))
    return {"symbol": symbol, "price": short(sim.exchange.price(symbol)), "at_us": at_us}


def stall(sim: Running, fields: Fields) -> Done:
    """Let a pair trade on without a word about it on any stream; stalled false: no more."""
    symbol, stalled = str(needed(fields, "symbol")), sim.exchange.stalled
    if symbol not in sim.exchange.instruments:
        raise Bad(f"there is no pair {symbol}")
    if fields.get("stalled", True):
        stalled.add(symbol)
    else:
        stalled.discard(symbol)
    return {"stalled": sorted(stalled)}


def set_clock(sim: Running, fields: Fields) -> Done:
    """Set a clock that is set by hand to a time (now), or so much further (forward, seconds).

    skew_ms: let one that goes with the machine's be so much ahead of it, or behind.
    """
    clock = sim.place.clock
    if isinstance(clock, RealClock):
        if set(fields) - {"skew_ms"}:
            raise Bad("this venue's clock is the machine's")
        clock.skew_ms = int(fields.get("skew_ms", clock.skew_ms))
    if isinstance(clock, ManualClock) and "now" in fields:
        clock.set(parse_time(fields["now"]))
    if isinstance(clock, ManualClock) and "forward" in fields:
        clock.set(clock.now_ms() + int(float(fields["forward"]) * 1000))
    return {"now_ms": clock.now_ms()}


# ------------------------------------------------------------------ faults


def go_into_maintenance(sim: Running, fields: Fields) -> Done:
    """Set the venue's mode (mode "" ends it), of one account alone when one is named."""
    mode, place = str(fields.get("mode", "maintenance")), sim.place
    if "account" not in fields:
        place.maintenance = mode
    elif mode:
        place.maintenance_of[known_account(sim, fields)] = mode
    else:
        place.maintenance_of.pop(known_account(sim, fields), None)
    return {"mode": place.maintenance, "accounts": place.maintenance_of}


FAULT_FIELDS = ("seconds", "at", "status", "processed", "word", "body")
SCRIPT_FIELDS = ("action", "account", "containing", "times", "skip")


def add_fault(sim: Running, fields: Fields) -> Done:
    """Script one: kind, seconds, at, status, processed …; action, account, containing, times."""
    kind = FaultKind(str(needed(fields, "kind")).replace("_", " ").lower())
    fault = Fault(kind=kind, **{name: fields[name] for name in FAULT_FIELDS if name in fields})
    wanted = {name: fields[name] for name in SCRIPT_FIELDS if name in fields}
    return told_script(sim.faults.once(fault=fault, **wanted))


def told_script(script: Scripted) -> Done:
    return {"fault": str(script.fault), "action": script.action, "times": script.times}


def draw_faults(sim: Running, fields: Fields) -> Done:
    """Draw faults from now on: seed, rates {action: {kind: probability}}; no rates: none."""
    sim.faults.seed = int(fields.get("seed", sim.faults.seed))
    sim.faults.rates = {
        action: {FaultKind(kind): float(rate) for kind, rate in kinds.items()}
        for action, kinds in fields.get("rates", {}).items()
    }
    return told_faults(sim, {})


def clear_faults(sim: Running, fields: Fields) -> Done:
    sim.faults.clear()
    return told_faults(sim, fields)


def told_faults(sim: Running, fields: Fields) -> Done:
    return {
        "struck": {str(kind): times for kind, times in sim.faults.struck.items()},
        "waiting": [told_script(script) for script in sim.faults.waiting],
        "rates": {
            action: {str(kind): rate for kind, rate in kinds.items()}
            for action, kinds in sim.faults.rates.items()
        },
    }


def set_lag(sim: Running, fields: Fields) -> Done:
    """Let new orders and trades stay invisible to look-ups for so many seconds."""
    sim.place.lag_ms = int(float(needed(fields, "seconds")) * 1000)
    return {"lag_ms": sim.place.lag_ms}


# ------------------------------------------------------------------- books


def told(order: Order) -> Done:
    request = order.request
    return {
        "order": order.id,
        "client_id": order.client_id,
        "symbol": order.symbol,
        "side": order.side,
        "kind": order.kind,
        "status": order.status,
        "quantity": short(order.quantity),
        "price": short(request.price),
        "stop_price": short(request.stop_price),
        "filled": short(order.filled),
        "cost": short(order.cost),
        "created_ms": order.created_ms,
        "list": order.oco,
    }


def told_trade(trade: Trade) -> Done:
    return {
        "trade": trade.id,
        "order": trade.order_id,
        "symbol": trade.symbol,
        "side": trade.side,
        "price": short(trade.price),
        "quantity": short(trade.quantity),
        "cost": short(trade.cost),
        "fee": short(trade.fee),
        "fee_asset": trade.fee_asset,
        "maker": trade.maker,
        "at_ms": trade.at_ms,
    }


def told_balances(sim: Running, account: str) -> Done:
    book = sim.exchange.accounts[account]
    assets = sorted(asset for asset in book.free if book.free[asset] or book.locked[asset])
    return {
        "account": account,
        "balances": {
            asset: {"free": short(book.free[asset]), "locked": short(book.locked[asset])}
            for asset in assets
        },
    }


def told_books(sim: Running, fields: Fields) -> Done:
    """Return an account's balances, and its latest orders and trades, oldest first."""
    account = known_account(sim, fields)
    book = sim.exchange.accounts[account]
    return told_balances(sim, account) | {
        "orders": [told(order) for order in list(book.orders.values())[-LATEST:]],
        "trades": [told_trade(trade) for trade in book.trades[-LATEST:]],
    }


def told_counters(sim: Running, fields: Fields) -> Done:
    return {
        "venue": sim.venue,
        "calls": dict(sim.server.calls),
        "statuses": {str(status): times for status, times in sim.server.statuses.items()},
        "streams": len(sim.server.streams),
        "sent": dict(sim.server.sent),
        "accounts": len(sim.exchange.accounts),
        "keys": len(sim.place.keys.by_key),
        "live_orders": sum(len(book.live) for book in sim.exchange.accounts.values()),
        "faults": {str(kind): times for kind, times in sim.faults.struck.items()},
        "prices": {symbol: short(price) for symbol, price in sim.exchange.prices.items()},
        "journal": {"lines": sim.journal.written, "hash": sim.journal.hash},
    }


def check_journal(sim: Running, fields: Fields) -> Done:
    """Walk the journal's chain from its first line."""
    path = sim.journal.path
    if path is None:
        raise Bad("this journal is in memory only")
    sim.journal.flush()
    found: Checked = verify(path)
    return {
        "lines": found.lines, "whole": found.is_whole, "broken": found.broken,
        "closed": found.closed, "fault": found.fault, "hash": found.hash,
    }  # fmt: skip


Method = Literal["GET", "POST", "DELETE"]
ACTS: Mapping[tuple[Method, str], Act] = {
    ("POST", "/clients"): make_client,
    ("POST", "/keys"): change_key,
    ("POST", "/balances"): change_money,
    ("POST", "/orders"): trade_by_hand,
    ("DELETE", "/orders"): cancel_by_hand,
    ("POST", "/tick"): move_price,
    ("POST", "/stall"): stall,
    ("GET", "/clock"): set_clock,
    ("POST", "/clock"): set_clock,
    ("POST", "/maintenance"): go_into_maintenance,
    ("GET", "/faults"): told_faults,
    ("POST", "/faults"): add_fault,
    ("POST", "/faults/plan"): draw_faults,
    ("DELETE", "/faults"): clear_faults,
    ("POST", "/lag"): set_lag,
    ("GET", "/books"): told_books,
    ("GET", "/counters"): told_counters,
    ("GET", "/journal"): check_journal,
}


@dataclass(slots=True)
class AdminPort:
    """One port for all venues of a process."""

    venues: Mapping[str, Running]
    url: str = ""
    _runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> str:
        """Listen on this machine alone; return the address. OSError when the port is taken."""
        application = web.Application(client_max_size=BODY_LIMIT)
        for (method, path), act in ACTS.items():
            application.router.add_route(method, path, self._serving(act))
        application.router.add_post("/refuse", self._refuse)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self.url

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def _serving(self, act: Act) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def serve(request: web.Request) -> web.Response:
            try:
                fields = await self._fields(request)
                sim = self._venue(fields)
                done = act(sim, {k: v for k, v in fields.items() if k != "venue"})
            except (Bad, Refusal, ValueError, TypeError, AttributeError) as error:
                return answered({"error": str(error)}, 400)
            if request.method != "GET":
                sim.journal.write(
                    "admin", path=request.path, method=request.method, **asked(fields)
                )
            return answered(done)

        return serve

    async def _refuse(self, request: web.Request) -> web.Response:
        """Take no connection for so many seconds, and answer when it is over."""
        try:
            fields = await self._fields(request)
            seconds = float(needed(fields, "seconds"))
            await asyncio.shield(self._venue(fields).server.refuse(seconds))
        except (Bad, ValueError, TypeError) as error:
            return answered({"error": str(error)}, 400)
        return answered({"refused": seconds})

    async def _fields(self, request: web.Request) -> Fields:
        if not ip_address(request.remote or "").is_loopback:
            raise Bad("only from this machine")
        if request.method == "GET":
            return dict(request.query)
        # Said by no page of another site that a browser on this machine has open.
        if request.content_type != "application/json":
            raise Bad("say Content-Type: application/json")
        fields = orjson.loads(await request.read() or b"{}")
        if not isinstance(fields, dict):
            raise Bad("the body must be an object")
        return cast(Fields, fields)

    def _venue(self, fields: Fields) -> Running:
        names: Iterable[str] = self.venues
        name = fields.get("venue") or (next(iter(names)) if len(self.venues) == 1 else "")
        if name not in self.venues:
            raise Bad(f"say which venue: {', '.join(names)}")
        return self.venues[name]


def asked(fields: Fields) -> Done:
    """Return what was asked for as the journal may hold it."""
    shown = {name: value for name, value in fields.items() if name != "api_key"}
    key = {"key": masked(str(fields["api_key"]))} if "api_key" in fields else {}
    return {"asked": shown, **key}


def answered(fields: Mapping[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(fields), status=status, content_type="application/json")
