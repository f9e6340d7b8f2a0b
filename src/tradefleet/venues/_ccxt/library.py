"""ccxt, as far as we use it: its knowledge of markets, symbols and addresses.

Everything else of it stays off: it signs nothing here, sends nothing, waits for nothing and
judges nothing. Its import is slim where that works: of its 400 modules we need a dozen.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import localcontext
from importlib import import_module, util
from threading import Lock
from types import ModuleType
from typing import Any

import orjson

from tradefleet.domain.errors import VenueUnavailable

PACKAGES = ("ccxt", "ccxt.async_support")
Get = Callable[[str], Awaitable[bytes]]  # fetch a public address; VenueUnavailable

_importing = Lock()
_known: dict[str, tuple[Any, type[Exception]]] = {}
_kept: dict[str, ModuleType] = {}  # what slim imports have in common

for _noisy in ("ccxt", "aiohttp", "aiohttp.client", "asyncio"):
    if logging.getLogger(_noisy).level == logging.NOTSET:
        logging.getLogger(_noisy).setLevel(logging.WARNING)  # below it stand headers and bodies


def exchange_class(name: str) -> tuple[Any, type[Exception]]:
    """Return ccxt's class for an exchange and what it raises; slow the first time (seconds)."""
    with _importing, localcontext():
        if name not in _known:
            _known[name] = _slim(name) or _of(name)
        return _known[name]


def _of(name: str) -> tuple[Any, type[Exception]]:
    kind = getattr(import_module(f"ccxt.async_support.{name}"), name)
    return kind, import_module("ccxt.base.errors").BaseError


def _slim(name: str) -> tuple[Any, type[Exception]] | None:
    """Import one exchange without its package's own code, which imports all of them.

    What this leaves in sys.modules would mislead whoever imports ccxt in full: it is taken out
    again, the class keeps its own copies alive. None when ccxt is in use already, or is not
    built as we know it.
    """
    if any(package in sys.modules for package in PACKAGES):
        return None
    try:
        with _stand_ins():
            return _of(name)
    except (ImportError, AttributeError, KeyError):
        return None


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Put empty packages in ccxt's place, and leave nothing of it behind."""
    if not _kept:
        found = util.find_spec("ccxt")
        places = list(found.submodule_search_locations or ()) if found is not None else []
        for package in PACKAGES:
            module = ModuleType(package)
            inside = package.partition(".")[2]
            module.__path__ = [f"{place}/{inside}" if inside else place for place in places]
            _kept[package] = module
    sys.modules.update(_kept)
    try:
        for asked_for in ("ccxt.base.errors", "ccxt.base.exchange"):  # of the package itself
            names = vars(import_module(asked_for)).items()
            vars(_kept["ccxt"]).update({k: v for k, v in names if not k.startswith("__")})
        yield
    finally:
        for name in [each for each in sys.modules if each.split(".")[0] == "ccxt"]:
            _kept[name] = sys.modules.pop(name)


def load_markets(
    name: str,
    options: Mapping[str, Any],
    rest: Mapping[str, str],
    get: Get,
    loop: asyncio.AbstractEventLoop,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return ccxt's markets of an exchange by symbol, and its names of assets by the venue's.

    Runs in a thread of its own, for parsing takes most of a second; what it wants to be fetched
    is fetched on the loop. VenueUnavailable when that fails.
    """
    kind, raised = exchange_class(name)

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        asked = asyncio.run_coroutine_threadsafe(_bytes(get, url), loop)
        answer: bytes = await asyncio.wrap_future(asked)
        return orjson.loads(answer)

    try:
        with localcontext():
            exchange = kind({"enableRateLimit": False, "options": dict(options)})
            exchange.fetch = fetch  # the only way out: all it can do is read what it is given
            return asyncio.run(_markets(exchange, rest))
    except (raised, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        kind_of = type(error).__name__
        raise VenueUnavailable(f"{name}: its list of markets is unreadable ({kind_of})") from None


async def _bytes(get: Get, url: str) -> bytes:
    return await get(url)


async def _markets(exchange: Any, rest: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    exchange.enableLastHttpResponse = False
    exchange.enableLastJsonResponse = False
    exchange.urls["api"] = {**exchange.urls["api"], **rest}
    markets = await exchange.load_markets()
    by_id = exchange.currencies_by_id or {}
    assets = {code: found["code"] for code, found in by_id.items() if code != found["code"]}
    return markets, {**exchange.commonCurrencies, **assets}
