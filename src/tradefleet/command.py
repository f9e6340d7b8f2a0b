"""What a command is. One per file in commands/, named COMMAND."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from tradefleet.clock import Clock, Ids
from tradefleet.domain.market import Symbol, TradingRules
from tradefleet.domain.user import Role
from tradefleet.store import UserStore
from tradefleet.strategy import StrategySpec
from tradefleet.venue import VenueSpec

RequestT = TypeVar("RequestT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the user is told: a text, a table if useful, and the same as data for programs.

    data is a frozen dataclass (or None): JSON in the API, cards on the web.
    """

    text: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    data: Any = None
    delete_request: bool = False  # the message held a secret: the surface must delete it


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """What there is to choose from: strategies, venues, and the rules of a venue's symbol."""

    strategies: Mapping[str, StrategySpec]
    venues: Mapping[str, VenueSpec]
    commands: Mapping[str, "AnyCommand"]
    rules: Callable[[str, Symbol], Awaitable[TradingRules]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """All a handler may touch: the caller's own store, the time, new ids and the catalog."""

    store: UserStore
    clock: Clock
    ids: Ids
    catalog: Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec(Generic[RequestT]):
    """How to list, read and run a command.

    usage is what a wrong call is answered with; example a call that works; group orders
    /help. registers: may be used before /start. dangerous: surfaces ask for confirmation.
    """

    name: str
    summary: str
    usage: str
    example: str
    request: type[RequestT]
    handler: Callable[[RequestT, Context], Awaitable[Reply]]
    group: str = "Info"
    aliases: tuple[str, ...] = ()
    role: Role = Role.USER
    registers: bool = False
    dangerous: bool = False


AnyCommand: TypeAlias = CommandSpec[Any]
