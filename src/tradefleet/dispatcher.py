"""Run any command, for any user, from any surface, in one transaction."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from difflib import get_close_matches
from functools import cache, cached_property, wraps
from hashlib import sha256
from hmac import compare_digest
from math import ceil
from types import NoneType
from typing import Any, Concatenate, ParamSpec, cast, get_args, get_origin, get_type_hints

import orjson
from structlog.contextvars import bind_contextvars, get_contextvars, reset_contextvars

from tradefleet import second_factor
from tradefleet.clock import Clock, Ids
from tradefleet.command import (
    BY_NAME,
    LONGEST,
    REST,
    SECRET,
    AnyCommand,
    Catalog,
    Context,
    Reply,
    VenueDesk,
)
from tradefleet.domain.audit import Acting
from tradefleet.domain.chart import Chart, Theme
from tradefleet.domain.credentials import Credentials, KeyReport, Secret
from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.errors import (
    Conflict,
    NeedsProof,
    NotAllowed,
    NotThere,
    Refused,
    StoreError,
    StoreUnavailable,
    TooMany,
    VenueError,
    VenueUnavailable,
)
from tradefleet.domain.ids import UserId
from tradefleet.domain.limits import RequestLimits
from tradefleet.domain.market import Bar, Stream, Symbol
from tradefleet.domain.money import money_context, parse_amount
from tradefleet.domain.tally import CommandTally
from tradefleet.domain.user import Mode, Role, User
from tradefleet.drawing import as_json
from tradefleet.identity import seconds_locked
from tradefleet.quota import Quotas
from tradefleet.store import ANSWERS_KEPT, Answer, Store, UserStore, acting
from tradefleet.vault import CannotOpen, Vault

VALUE_LENGTH_MAX = 200  # of a value that is no secret; a refusal may repeat it
NOT_REGISTERED = "You are not registered yet; send /start first."
NO_ANSWER = "❌ The exchange cannot be reached now; nothing was changed. Try again in a minute."
QUESTION_SECONDS = 30.0  # a command's question to venues may take; above each venue's own limit
OTHER_REQUEST = "This Idempotency-Key named another request before; give each one its own."
TOLD_ONCE = "This was done already; its answer held a secret, which is told once only."
BANNED = (
    "⛔ You may not use this service any more: {reason}\n"
    "You may still close positions, /export what is yours, and write to /support."
)
OPERATOR_ACCESS = "operator_access"  # the line in a user's own log that an operator looked
NO_REASON = "Say why: the user reads it in their own log."
READ_NOTICE = (
    "Read the risk notice first, and agree to it: /risk shows it, /risk accept agrees. "
    "What is open keeps its stops and targets."
)
NO_ROOM = "There is no room for another user now; please ask the operator of this service."


class NoDesk:
    """Stands where no venue can be asked."""

    async def check_key(self, venue: str, credentials: Credentials, mode: Mode) -> KeyReport:
        raise VenueUnavailable("no venue can be asked here")

    async def bars(self, stream: Stream, *, before: datetime, count: int) -> Sequence[Bar]:
        raise VenueUnavailable("no venue can be asked here")

    async def draw(self, chart: Chart, theme: Theme) -> bytes:
        raise Refused("No pictures are drawn here.")


P = ParamSpec("P")
Run = Callable[Concatenate["Dispatcher", UserId, str, P], Coroutine[Any, Any, Reply]]


def counted(run: Run[P]) -> Run[P]:
    """Count what becomes of commands; a name that is none counts as unknown."""

    @wraps(run)
    async def counting(
        self: "Dispatcher", user_id: UserId, name: str, *words: P.args, **named: P.kwargs
    ) -> Reply:
        outcome = "broken"
        try:
            reply = await run(self, user_id, name, *words, **named)
            outcome = "refused" if reply.refused else "done"
            return reply
        except Refused:
            outcome = "refused"
            raise
        except (StoreError, VenueError):
            outcome = "unavailable"
            raise
        finally:
            command = self.find(name)
            self.tally.outcomes["unknown" if command is None else command.name, outcome] += 1

    return cast(Run[P], counting)


@dataclass(frozen=True, kw_only=True)
class Dispatcher:
    """The one door through which every user request comes in.

    desk answers what commands ask of venues; vault seals the keys they bring. quotas: how often
    users may start bots, None: as often as they like; users_max how many may be registered.
    operator_ids: the operator's people on Telegram, who hear what users write to support.
    """

    catalog: Catalog
    store: Store
    clock: Clock
    ids: Ids
    desk: VenueDesk = field(default_factory=NoDesk)
    vault: Vault | None = None
    quotas: Quotas | None = None
    users_max: int = 1_000_000
    operator_ids: Sequence[int] = ()
    tally: CommandTally = field(default_factory=CommandTally, compare=False)

    @property
    def request_limits(self) -> RequestLimits:
        """How often anybody may ask, for surfaces that count themselves."""
        return RequestLimits() if self.quotas is None else self.quotas.limits

    @counted
    async def run(
        self,
        user_id: UserId,
        name: str,
        words: Sequence[str] | Mapping[str, object] = (),
        *,
        username: str = "",
        telegram_id: int | None = None,
        key: str = "",
        proof: str = "",
        proven: bool = False,
        surface: str = "",
        address: str = "",
    ) -> Reply:
        """Run the named command for a user; raise Refused with a text for that user.

        words: what was typed after the command, or its request as JSON. username and
        telegram_id: the caller as the surface knows them, for /start. key: a name the user
        gave this request; one that changes something is done once for each, and answered
        alike when it comes again (Conflict: with another content). What was refused by an
        error did nothing, and may be tried again under the same key. surface and address: where the
        user speaks from, for the audit log. proof: the digits of the
        user's second factor, where the command needs it (NeedsProof says so); proven: the
        surface has taken them lately.
        """
        command = self.find(name)
        meant = command or self.meant(name)
        whose = bind_contextvars(user=user_id, command=command.name if command else "")
        try:
            if command is None:
                raise NotThere(self.suggestion(name))
            request = read_request(command, words)
            if command.starts_bots and self.quotas is not None:
                (await self.quotas.bot_start(user_id)).check()
            caller = User(
                id=user_id,
                username=await self._free_name(user_id, username if command.registers else ""),
                created_at=self.clock.now(),
                telegram_id=telegram_id,
            )
            once = Once(key, fingerprint_of(command, request)) if key and command.changes else None
            given = None if proven else Proof(proof)
            with acting(who_asks(user_id, command, surface, address, key)):
                if once and command.asks and (known := await self._known(user_id, once)):
                    return known
                answer = await self._ask(command, request, caller)
                async with self.store.open(user_id, reading=not command.changes) as store:
                    reply = await self._handle(command, request, store, caller, answer, once, given)
            if given and given.was_right:
                await self.store.identity.forget_failures(second_factor.name_of(user_id))
        except NeedsProof:
            await self._count(user_id, proof)
            raise
        except (Refused, StoreUnavailable, VenueError) as refusal:
            if not words or meant is None or not meant.takes_secrets:
                raise
            text = NO_ANSWER if isinstance(refusal, VenueError) else str(refusal)
            return Reply(text=text, refused=True, delete_request=True)
        finally:
            reset_contextvars(**whose)
        return replace(reply, delete_request=reply.delete_request or holds_secret(request))

    async def _free_name(self, user_id: UserId, username: str) -> str:
        """Return the name a user may have: the id when somebody else has the one they bring."""
        owner = await self.store.find_user(username=username) if username else None
        return username if username and (owner is None or owner.id == user_id) else user_id

    async def _ask(self, command: AnyCommand, request: Any, caller: User) -> object:
        """Put the command's question to the venues, while no transaction is open."""
        if command.asks is None:
            return None
        async with self.store.open(caller.id, reading=True) as store:
            context = await self._admit(command, store, caller)
            context = replace(context, tell_operator=self.tell_operator)
            if command.role is Role.ADMIN:
                context = replace(context, everybody=self.store)
            with money_context():
                question = await command.asks(request, context)
        await self._note_access(command, request)
        if question is None:
            return None
        try:
            async with asyncio.timeout(QUESTION_SECONDS):
                return await question(self.desk)
        except TimeoutError:
            raise VenueUnavailable(f"no answer within {QUESTION_SECONDS:.0f} s") from None

    async def _note_access(self, command: AnyCommand, request: Any) -> None:
        """Write into a user's own audit log that an operator looks at what is theirs, and why.

        It stands there before anything is read or changed; Refused without a reason.
        """
        if command.concerns is None:
            return
        whose = await command.concerns(request, self.store)
        if whose is None:
            return
        if not (reason := request.reason.strip()):
            raise Refused(f"{NO_REASON}\n{usage_of(command)}")
        async with self.store.open(whose) as theirs:
            detail = {"command": command.name, "reason": reason, "asked": audited(request)}
            await theirs.audit(OPERATOR_ACCESS, detail)

    async def tell_operator(self, text: str) -> int:
        """Put a text into the outbox of each of the operator's people; return how many they are."""
        told, now = 0, self.clock.now()
        for telegram_id in self.operator_ids:
            admin = await self.store.find_user(telegram_id=telegram_id)
            if admin is not None:
                async with self.store.open(admin.id) as store:
                    await store.notify(Notify(admin.id, Topic.SYSTEM, text, now, priority=1))
                told += 1
        return told

    async def _known(self, user_id: UserId, once: "Once") -> Reply | None:
        """Return what the request was answered before, so that no venue is asked again."""
        async with self.store.open(user_id, reading=True) as store:
            return await once.known(store, self.clock.now())

    async def _handle(
        self,
        command: AnyCommand,
        request: Any,
        store: UserStore,
        caller: User,
        answer: object,
        once: "Once | None",
        proof: "Proof | None",
    ) -> Reply:
        """Run the handler inside the user's transaction, and note what changes something."""
        context = replace(await self._admit(command, store, caller), answer=answer)
        if once and (known := await once.known(store, self.clock.now())):
            return known
        if proof and command.needs_proof and await command.needs_proof(request, context):
            await self._check(proof, store)
        with money_context():
            reply = await command.handler(request, context)
        if command.changes:
            await store.audit(command.name, audited(request))
        if once:
            await store.save_answer(once.answer(reply, self.clock.now()))
        return reply

    async def _check(self, proof: "Proof", store: UserStore) -> None:
        """Raise NeedsProof when the user has a second factor and these are not its digits."""
        if not await second_factor.is_on(store):
            return
        if self.vault is None:
            raise Refused(second_factor.NO_VAULT)
        now = self.clock.now()
        failures = await self.store.identity.failures(second_factor.name_of(store.user_id))
        if proof.digits and (seconds := seconds_locked(failures, now)) > 0:
            raise TooMany(f"Too many wrong digits; try again in {ceil(seconds)} s.", seconds)
        try:
            await second_factor.prove(store, self.vault, proof.digits, now)
            proof.was_right = True
        except CannotOpen:
            raise Refused(second_factor.NO_VAULT) from None

    async def _count(self, user_id: UserId, proof: str) -> None:
        """Note that wrong digits were given, outside of the transaction that was lost with them."""
        if proof:
            name = second_factor.name_of(user_id)
            await self.store.identity.note_failure(name, self.clock.now())

    async def _admit(self, command: AnyCommand, store: UserStore, caller: User) -> Context:
        """Return what the command may touch; raise Refused when the caller may not run it."""
        user = await store.user()
        if user is None and not command.registers:
            raise Refused(NOT_REGISTERED)
        if user is None and command.changes and len(await self.store.user_ids()) >= self.users_max:
            raise Refused(NO_ROOM)
        if command.role is Role.ADMIN and (user is None or user.role is not Role.ADMIN):
            raise NotThere(self.suggestion(command.name))  # as if it did not exist
        if user is not None and user.banned_at is not None and not may_leave(command):
            raise NotAllowed(BANNED.format(reason=user.banned_because))
        if command.opens and (notice := self.catalog.notice) is not None:
            agreed = await store.consents()
            if not any(each.version >= notice.version for each in agreed):
                raise NotAllowed(READ_NOTICE)
        return Context(
            store=store,
            clock=self.clock,
            ids=self.ids,
            catalog=self.catalog,
            user=user or caller,
            registered=user is not None,
            vault=self.vault,
            quotas=self.quotas,
        )

    @cached_property
    def _names(self) -> Mapping[str, AnyCommand]:
        commands = self.catalog.commands.values()
        return {
            name.lower(): command
            for command in commands
            for name in (command.name, *command.aliases)
        }

    def find(self, name: str) -> AnyCommand | None:
        """Return the command of a name or alias, in any case, with or without the slash."""
        return self._names.get(name.removeprefix("/").lower())

    def meant(self, name: str) -> AnyCommand | None:
        """Return the command a mistyped name comes closest to, if it comes close to any."""
        close = get_close_matches(name.removeprefix("/").lower(), self._names, n=1, cutoff=0.6)
        return self._names[close[0]] if close else None

    def suggestion(self, name: str) -> str:
        """Return what an unknown command is answered with; it never repeats the words."""
        meant = self.meant(name)
        known = meant is not None and meant.role is Role.USER
        hint = f"Did you mean /{meant.name}? " if meant is not None and known else ""
        return f"I do not know that command. {hint}/help lists all."


def who_asks(user_id: UserId, command: AnyCommand, surface: str, address: str, key: str) -> Acting:
    """Return whom audit lines name for a request; the log's number of it leads to its lines."""
    number = get_contextvars().get("request") or key
    return Acting(
        actor=user_id,
        role=command.role.value,
        surface=surface,
        address=address,
        request_id=str(number),
    )


def may_leave(command: AnyCommand) -> bool:
    """Say whether one who was banned may use a command: to take risk away, and what is theirs."""
    return command.for_banned or command.is_exit


@dataclass(slots=True)
class Proof:
    """The digits that were given as a second factor, "" for none, and whether they were right."""

    digits: str = field(repr=False)
    was_right: bool = False


# ---- requests that are done once


@dataclass(frozen=True, slots=True)
class Once:
    """A request with a key of its own: done once, and answered alike for a day."""

    key: str
    fingerprint: str

    async def known(self, store: UserStore, now: datetime) -> Reply | None:
        """Return what it was answered before; raise Conflict when the key names another."""
        answer = await store.answer(self.key)
        if answer is None or now - answer.answered_at >= ANSWERS_KEPT:
            return None
        if not compare_digest(answer.fingerprint, self.fingerprint):
            raise Conflict(OTHER_REQUEST)
        if not answer.reply:
            raise Conflict(TOLD_ONCE)
        return Reply(**orjson.loads(answer.reply))

    def answer(self, reply: Reply, now: datetime) -> Answer:
        """Return what is kept of a reply: all a program reads of it, but no secret."""
        told = {
            "text": reply.text,
            "columns": reply.columns,
            "rows": reply.rows,
            "data": reply.data,
            "delete_request": reply.delete_request,
            "refused": reply.refused,
        }
        text = "" if reply.holds_secret else as_json(told).decode()
        return Answer(key=self.key, fingerprint=self.fingerprint, reply=text, answered_at=now)


def fingerprint_of(command: AnyCommand, request: Any) -> str:
    """Return what tells one request from another; of secrets only which were given."""
    given: dict[str, object] = {}
    for each in fields(request):
        value = getattr(request, each.name)
        if isinstance(value, Mapping):
            given[each.name] = dict(value)
        else:
            given[each.name] = str(value) if is_public(each) else bool(value)
    return sha256(orjson.dumps([command.name, given], option=orjson.OPT_SORT_KEYS)).hexdigest()


def name_and_words(message: str) -> tuple[str, list[str]]:
    """Split a chat message into a command's name and its words: "/status@MyBot X" → status, X."""
    first, *words = message.split() or [""]
    return first.removeprefix("/").partition("@")[0].lower(), words


def usage_of(command: AnyCommand) -> str:
    """Return how to write a command."""
    options = f"Also: {command.options}\n" if command.options else ""
    return f"Usage: {command.usage}\n{options}Example: {command.example}"


# ---- from words, or from JSON, to a typed request


def read_request(command: AnyCommand, words: Sequence[str] | Mapping[str, object]) -> Any:
    """Build the request of command; Refused says what is wrong, or how to write it.

    A command that takes secrets is refused with its usage alone, whatever is wrong.
    """
    try:
        named = words if isinstance(words, Mapping) else named_words(command, words)
        return request_from(command, named)
    except Refused:
        if command.takes_secrets:
            raise Refused(usage_of(command)) from None
        raise


def named_words(command: AnyCommand, words: Sequence[str]) -> dict[str, object]:
    """Give each word the name of its field: name=value words first, the others by position."""
    wanted = {f.name: f for f in fields(command.request)}
    types = types_of(command.request)
    texts = next((name for name in wanted if get_origin(types[name]) is Mapping), None)
    named: dict[str, object] = {}
    extra: dict[str, str] = {}
    positional: list[str] = []
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key.lower() in wanted and key.lower() != texts:
            named[key.lower()] = value
        elif equals and texts and key.isidentifier():
            extra[key] = value
        else:
            positional.append(word)
    given = {name for name, field in wanted.items() if field.metadata.get(BY_NAME)} | {
        *named,
        texts,
    }
    places = [name for name in wanted if name not in given]
    if places and wanted[places[-1]].metadata.get(REST):
        head = len(places) - 1
        positional = [*positional[:head], *filter(None, [" ".join(positional[head:])])]
    if len(positional) > len(places):
        raise Refused(usage_of(command))
    named |= dict(zip(places, positional, strict=False))
    return named | ({texts: extra} if texts and extra else {})


def request_from(command: AnyCommand, named: Mapping[str, object]) -> Any:
    """Build the request from values by field name; None stands for the default."""
    wanted = {f.name: f for f in fields(command.request)}
    for name in named:
        if name not in wanted:
            raise Refused(
                f"There is no field {name[:40]!r}; there is: {', '.join(wanted) or 'none'}."
            )
    given = {name: value for name, value in named.items() if value is not None}
    if any(is_required(f) and f.name not in given for f in wanted.values()):
        raise Refused(usage_of(command))
    for name, value in given.items():
        if holds_nul(value):
            raise Refused(f"{name} must not hold a NUL character.")  # PostgreSQL keeps none
    if not command.takes_secrets:
        for name, value in given.items():
            if len(str(value)) > (most := length_max(wanted[name])):
                raise Refused(f"{name} is too long; the most is {most} characters.")
    types = types_of(command.request)
    return command.request(**{name: read(types[name], name, given[name]) for name in given})


def holds_nul(value: object) -> bool:
    """Say whether a NUL character stands in a value, or in an object's names and values."""
    texts = [*value.keys(), *value.values()] if isinstance(value, Mapping) else [value]
    return any("\0" in str(text) for text in texts)


def length_max(wanted: "Field[Any]") -> int:
    """Return how many characters a field that is no secret may have."""
    return int(wanted.metadata.get(LONGEST, VALUE_LENGTH_MAX))


def types_of(request: Any) -> Mapping[str, Any]:
    """Return the types of the fields of a kind of request."""
    return found_types(request)


found_types = cache(get_type_hints)  # as many as there are commands


def is_required(wanted: "Field[Any]") -> bool:
    return wanted.default is MISSING and wanted.default_factory is MISSING


def read(kind: Any, name: str, value: object) -> object:
    """Return value as the field's type."""
    if get_origin(kind) is Mapping:
        if not isinstance(value, Mapping):
            raise Refused(f"{name} must be an object of names and values.")
        return {str(key): str(item) for key, item in value.items()}
    if isinstance(value, Mapping | list | tuple):
        raise Refused(f"{name} must be a single value.")
    inner = next((k for k in get_args(kind) if k is not NoneType), kind)
    if isinstance(value, bool) is not (inner is bool) and not isinstance(value, str):
        raise Refused(f"{name} must not be {value}.")
    return READERS[inner](str(value), name)


def read_bool(text: str, name: str) -> bool:
    word = text.strip().lower()
    if word not in TRUE | FALSE:
        raise Refused(f"{name} must be true or false, not {text!r}.")
    return word in TRUE


def read_time(text: str, name: str) -> datetime:
    """Read 2026-01-31 or 2026-01-31T12:00:00Z; without a zone it is UTC."""
    try:
        at = datetime.fromisoformat(text.strip())
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refused(
            f"{name} must be a time like 2026-01-31 or 2026-01-31T12:00:00Z, not {text!r}."
        ) from None


INT_MAX = 999_999_999  # fits any column


def read_int(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise Refused(f"{name} must be a whole number from 0 to {INT_MAX}, not {text!r}.")
    return int(text)


TRUE = frozenset({"true", "yes", "on", "1"})
FALSE = frozenset({"false", "no", "off", "0"})
READERS: Mapping[Any, Callable[[str, str], object]] = {
    str: lambda text, name: text,
    Secret: lambda text, name: Secret(text),
    Decimal: parse_amount,
    Symbol: lambda text, name: Symbol.parse(text),
    bool: read_bool,
    int: read_int,
    datetime: read_time,
}


# ---- what may be written down of a request


def holds_secret(request: Any) -> bool:
    """Say whether a secret was given."""
    return any(getattr(request, f.name) for f in fields(request) if not is_public(f))


def audited(request: Any) -> dict[str, object]:
    """Return what the audit log keeps of a request: everything given but secrets."""
    values = {f.name: getattr(request, f.name) for f in fields(request) if is_public(f)}
    given = {name: value for name, value in values.items() if value not in (None, "", {})}
    return {n: dict(v) if isinstance(v, Mapping) else str(v) for n, v in given.items()}


def is_public(wanted: "Field[Any]") -> bool:
    return not wanted.metadata.get(SECRET)
