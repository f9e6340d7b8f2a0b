"""What the command line runs on; the wiring gives it, so that no surface knows a concrete class."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeAlias

import typer

from tradefleet.command import Reply
from tradefleet.dispatcher import Dispatcher
from tradefleet.domain.ids import UserId
from tradefleet.operations.doctor.finding import Check
from tradefleet.operations.sign_in.register import Register
from tradefleet.operations.single_user.importing import Choices
from tradefleet.operations.single_user.shapes import OldBot
from tradefleet.surfaces.cli.play_request import PlayRequest

DatabaseOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--db", help="Address of the database. [default: DATABASE_URL]", metavar="URL"),
]


@dataclass(frozen=True, slots=True)
class VaultReport:
    """What is told of the vault, and whether all is well with it."""

    lines: tuple[str, ...]
    is_well: bool


class StatementTold(Protocol):
    """A statement as it is printed, and as JSON; is_well: nothing in it is wrong."""

    @property
    def reply(self) -> Reply: ...
    @property
    def data(self) -> dict[str, Any]: ...
    @property
    def is_well(self) -> bool: ...


class AuditTold(Protocol):
    """What looking the audit log through came to, for people and for programs."""

    def told(self) -> list[str]: ...
    def data(self) -> dict[str, Any]: ...
    @property
    def is_well(self) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Each takes the address of a database; None stands for the one in the settings.

    upgrade_database and check_database return what to tell; they raise Refused or
    StoreUnavailable, with the cure, when the database is not as it should be.
    """

    open_door: Callable[[str | None], AbstractAsyncContextManager[Dispatcher]]
    upgrade_database: Callable[[str | None], Awaitable[str]]
    check_database: Callable[[str | None], Awaitable[str]]
    reopen_database: Callable[[str | None], Awaitable[str]]
    set_up_role: Callable[[str | None, str, str | None], Coroutine[Any, Any, Sequence[str]]]
    import_single_user: Callable[
        [str | None, UserId, OldBot, Choices, bool], Coroutine[Any, Any, Sequence[str]]
    ]
    move_database: Callable[[str, str, Callable[[str], None]], Coroutine[Any, Any, None]]
    rotate_vault: Callable[[str | None], Awaitable[VaultReport]]
    check_vault: Callable[[str | None], Awaitable[VaultReport]]
    verify_audit: Callable[[str | None, str | None, Path | None], Coroutine[Any, Any, AuditTold]]
    open_register: Callable[[str | None], AbstractAsyncContextManager[Register]]
    make_backup: Callable[[str | None, Callable[[str], None]], Coroutine[Any, Any, None]]
    list_backups: Callable[[str | None, Callable[[str], None]], None]
    restore: Callable[
        [str | None, str, bool, bool, Callable[[str], None]], Coroutine[Any, Any, None]
    ]
    drill: Callable[[str | None, Callable[[str], None]], Coroutine[Any, Any, None]]
    export_user: Callable[
        [str | None, UserId, Path, str, Callable[[str], None]], Coroutine[Any, Any, None]
    ]
    erase_user: Callable[
        [str | None, UserId, str, Callable[[str], None]], Coroutine[Any, Any, None]
    ]
    retain: Callable[[str | None, bool, Callable[[str], None]], Coroutine[Any, Any, None]]
    list_erasures: Callable[[str | None, Callable[[str], None]], Coroutine[Any, Any, None]]
    scrub: Callable[[str | None, Callable[[str], None]], Coroutine[Any, Any, None]]
    serve: Callable[[str | None, bool, bool, Callable[[str], None]], Coroutine[Any, Any, None]]
    statement: Callable[[str | None, str, datetime | None], Coroutine[Any, Any, StatementTold]]
    doctor: Callable[[str | None, Path], AbstractAsyncContextManager[Sequence[Check]]]
    check_connections: Callable[[str | None, Callable[[str], None]], Coroutine[Any, Any, int]]
    check_alerts: Callable[[str | None, Callable[[str], None]], Coroutine[Any, Any, int]]
    replay: Callable[[PlayRequest, Callable[[int, int], None]], Coroutine[Any, Any, dict[str, Any]]]
    backtest: Callable[[PlayRequest], dict[str, Any]]
    bench_hot_path: Callable[[int, int, int], dict[str, Any]]
    bench_journal: Callable[[int, int], dict[str, Any]]
    bench_backtest: Callable[[int], dict[str, Any]]
    bench_accounts: Callable[[int, int, int], dict[str, Any]]
    bench_latency: Callable[[int, int, bool], dict[str, Any]]
    bench_orders: Callable[[int], dict[str, Any]]
    bench_api: Callable[[int, int, float], dict[str, Any]]
    bench_live: Callable[[int], dict[str, Any]]
