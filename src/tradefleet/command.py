"""What a command is. One per file in commands/, named COMMAND."""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from decimal import Decimal
from types import UnionType
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from tradefleet.clock import Clock, Ids
from tradefleet.domain.bot import BotSpec
from tradefleet.domain.chart import Chart, Theme
from tradefleet.domain.consent import RiskNotice
from tradefleet.domain.credentials import Credentials, KeyReport, Secret
from tradefleet.domain.errors import Conflict, NotThere, Refused, VenueError
from tradefleet.domain.ids import AccountId, UniverseId, UserId
from tradefleet.domain.ledger import EXTERNAL, FREE, Balances, LedgerEntry
from tradefleet.domain.limits import MAINTENANCE, TIERS, Halt, Scope, Switch, Tier
from tradefleet.domain.market import Bar, Stream, Symbol, TradingRules
from tradefleet.domain.money import ZERO
from tradefleet.domain.privacy import MyData
from tradefleet.domain.tiers import allowed_to
from tradefleet.domain.universe import UniverseSpec
from tradefleet.domain.user import Account, AccountState, Mode, Role, User
from tradefleet.engine.key_guard import KeyRules
from tradefleet.identity import LinkUse
from tradefleet.keyring import open_key
from tradefleet.quota import Quotas
from tradefleet.store import Store, UserStore, find_somebody
from tradefleet.strategy import StrategySpec
from tradefleet.vault import CannotOpen, Vault
from tradefleet.venue import VenueSpec

RequestT = TypeVar("RequestT")
T = TypeVar("T")
SECRET = "secret"  # in the metadata of a request's field: never echoed, stored or audited
PAPER = "paper"
TRADES_MAX = 100_000  # that one reply looks at
NO_PAIRS = "You have no trading pairs yet. Add one: /addpair BTC/USDT 1000"
REST = "rest"  # in the metadata of a request's last field: takes all words that are left
BY_NAME = "by name"  # in a field's metadata: it is given as name=value only
LONGEST = "longest"  # in a field's metadata: how many characters it may have


def secret() -> Secret:
    """Return a request's field for a secret; nothing but the handler ever sees its value."""
    made: Secret = field(default=Secret(""), repr=False, metadata={SECRET: True})
    return made


def rest_of_words(longest: int = 0) -> str:
    """Return a request's last field, for free text of many words; longest: 0 for the usual."""
    more = {LONGEST: longest} if longest else {}
    made: str = field(default="", metadata={REST: True, **more})
    return made


def by_name(default: T) -> T:
    """Return a request's field that is given as name=value only, whatever words stand there."""
    made: T = field(default=default, metadata={BY_NAME: True})
    return made


@dataclass(frozen=True, slots=True)
class Step:
    """What a user may want to do next: a few words for a button, and the message it stands for."""

    label: str
    message: str


# What users are led to, from the first word to a bot that trades.
FIRST_STEPS: tuple[Step, ...] = (
    Step("🧪 Try it without real money", "/connect paper"),
    Step("🔑 Connect an exchange", "/connect"),
    Step("❓ All commands", "/help"),
)
FIRST_PAIRS: tuple[Step, ...] = (
    Step("💱 BTC/USDT", "/addpair BTC/USDT 1000"),
    Step("💱 ETH/USDT", "/addpair ETH/USDT 1000"),
)
START_ALL = Step("🚀 Start trading", "/start_trading")
STATUS = Step("📊 Status", "/status")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file or a picture that comes with a reply."""

    name: str
    media_type: str  # image/png: a surface that can shows it as a picture
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the user is told: a text, a table if useful, and the same as data for programs.

    data is a frozen dataclass (or None): JSON in the API, cards on the web. Words that held a
    secret are answered with a reply even when refused, so that the surface deletes them.
    items: the entries of a list as they stand in the text, one below the other, so that a surface
    may show a few at a time, as it may of the rows. older: the word that asks for what comes
    after them. steps: what to offer as buttons, the likeliest first, and no more than that.
    """

    text: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    items: tuple[str, ...] = ()
    older: str = ""
    data: Any = None
    steps: tuple[Step, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    delete_request: bool = False  # the message held a secret: the surface must delete it
    holds_secret: bool = False  # for the asker's eyes, once: never kept for a repeated request
    refused: bool = False  # nothing was done, and the text says why


class VenueDesk(Protocol):
    """What a command may ask of venues, outside of any transaction."""

    async def check_key(self, venue: str, credentials: Credentials, mode: Mode) -> KeyReport:
        """Ask a venue what a key may do, within a time that is limited; raise KeyRefused."""

    async def bars(self, stream: Stream, *, before: datetime, count: int) -> Sequence[Bar]:
        """Ask a venue for the latest closed bars, oldest first; raise VenueUnavailable."""

    async def draw(self, chart: Chart, theme: Theme) -> bytes:
        """Return a chart as a PNG picture; raise Refused where there are no pictures."""


# How what runs in this process is: metrics by name, each with its value and status.
HealthQuestion: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]

# Makes the archive of all that is kept of a user, or says where the making stands.
MyDataQuestion: TypeAlias = Callable[[UserId], Awaitable[MyData]]

# Sends a test to everybody alerts go to: the receiver, whether it took it, what it answered.
AlertTest: TypeAlias = Callable[[], Awaitable[Sequence[tuple[str, bool, str]]]]

# What a command wants to know before its handler runs: asked of the desk, answered to the handler.
Question: TypeAlias = Callable[[VenueDesk], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """What there is to choose from: strategies, venues, and the rules of a venue's symbol.

    rules raises Refused for a symbol the venue does not trade; key_rules says which keys the
    operator allows. web_url: the address of our pages for people, "" when there are none.
    health: asks what runs how it is, None where that is out of reach; so does alert_test.
    """

    strategies: Mapping[str, StrategySpec]
    venues: Mapping[str, VenueSpec]
    commands: Mapping[str, "AnyCommand"]
    rules: Callable[[str, Symbol], Awaitable[TradingRules]]
    tiers: Mapping[str, Tier] = field(default_factory=lambda: TIERS)
    key_rules: KeyRules = KeyRules()
    web_url: str = ""
    local_webhooks: bool = False  # this machine may be sent webhooks: for development
    health: HealthQuestion | None = None
    alert_test: AlertTest | None = None
    my_data: MyDataQuestion | None = None  # makes a user's archive, None where there are none
    notice: RiskNotice | None = None  # what users agree to before something new is opened

    def check_strategy(self, name: str, params: Mapping[str, str]) -> None:
        """Refuse a strategy there is not, or parameters it does not allow."""
        if name not in self.strategies:
            choices = ", ".join(sorted(self.strategies))
            raise Refused(f"There is no strategy {name!r}; choose one of: {choices}.")
        self.strategies[name].build(params)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """All a handler may touch: the caller's own store, the time, new ids and the catalog.

    user is the caller as stored or, when registered is false, as /start would store them.
    answer is what the command's question came to, None when it asked nothing. everybody is the
    whole store, for the questions of admins' commands alone: they are put in no transaction.
    tell_operator, for questions too, tells the operator's people and says how many those are.
    """

    store: UserStore
    clock: Clock
    ids: Ids
    catalog: Catalog
    user: User
    registered: bool
    vault: Vault | None = None
    answer: object = None
    everybody: Store | None = None
    tell_operator: Callable[[str], Awaitable[int]] | None = None
    quotas: Quotas | None = None

    @property
    def tier(self) -> Tier:
        """What the caller may do; by the free tier when theirs is no longer there."""
        return allowed_to(self.user, self.catalog.tiers) or self.catalog.tiers["free"]

    async def open_account(self, venue: VenueSpec) -> Account:
        """Return the caller's account at a venue that needs no keys, opened if there is none."""
        id = AccountId(f"{self.user.id}:{venue.name}")
        known = [account for account in await self.store.accounts() if account.id == id]
        account = (
            known[0]
            if known
            else Account(
                id=id,
                user_id=self.user.id,
                venue=venue.name,
                mode=Mode.PAPER,
                created_at=self.clock.now(),
            )
        )
        if not known or not account.is_active:
            account = replace(account, state=AccountState.ACTIVE)
            await self.store.save_account(account)
        return account

    async def own_switch(self) -> Switch | None:
        """Return the switch over all of the caller's trading; Refused when the operator set it."""
        for switch in await self.store.switches():
            if switch.scope is Scope.USER:
                if switch.by_operator and switch.halt is not Halt.RUN:
                    raise Refused(f"⛔ The operator has stopped your trading: {switch.reason}")
                return switch
        return None

    async def accounts(self, name: str = "") -> Sequence[Account]:
        """Return the caller's connected accounts: all, or those called binance or binance:live."""
        connected = [account for account in await self.store.accounts() if account.is_active]
        return [account for account in connected if is_called(account, name)]

    async def universes(self) -> Mapping[UniverseId | None, UniverseSpec]:
        """Return the caller's universes by id; a bot that is in none finds none by its None."""
        return {universe.id: universe for universe in await self.store.universes()}

    async def account_for(self, exchange: str) -> tuple[Account, bool]:
        """Return the account to trade in, and whether it was opened for this.

        Nobody who did not connect an exchange is sent away: paper needs no keys.
        """
        venues, kind = self.catalog.venues, exchange.partition(":")[0]
        if exchange and kind not in venues:
            choices = ", ".join(sorted(venues))
            raise Refused(f"I do not know the exchange {exchange!r}; choose one of: {choices}.")
        found = await self.accounts(exchange)
        if len(found) == 1:
            return found[0], False
        if found:
            names = " or ".join(names_of(found))
            raise Refused(f"You are connected to several exchanges; add {names} at the end.")
        venue = venues.get(kind or PAPER)
        if venue is None or venue.needs_keys:
            name = kind or "<exchange>"
            raise Refused(f"Connect the exchange first: /connect {name} <api_key> <secret>")
        return await self.open_account(venue), True

    async def check_place(self, symbols: Sequence[Symbol], account: Account) -> None:
        """Refuse a pair that is there already, and more of them than the tier allows."""
        for switch in await self.store.switches():
            if switch.scope_id == MAINTENANCE and switch.halt is not Halt.RUN:
                raise Refused(f"🛠️ {switch.reason} No new pairs now; exits go on.")
        bots, tier = await self.store.bots(), self.tier
        taken = {bot.symbol for bot in bots if bot.account_id == account.id}
        for symbol in symbols:
            if symbol in taken:
                raise Conflict(f"You already have {symbol} on {account.venue}; remove it first.")
        if len(bots) + len(symbols) > tier.bots:
            allowed = "1 trading pair" if tier.bots == 1 else f"{tier.bots} trading pairs"
            raise Refused(
                f"Your {tier.name} tier allows {allowed}, and you have {len(bots)}. "
                f"Remove one with /removepair first.{tier.more_of('bots')}"
            )

    async def allocate(
        self, account: Account, place: str, asset: str, amount: Decimal, cause: str
    ) -> None:
        """Book money of an account to a place in it; a paper account is given it first.

        cause names the entries: booked once for each.
        """
        moves = [("allocation", FREE, place)]
        if account.mode is Mode.PAPER:
            moves.insert(0, ("deposit", EXTERNAL, FREE))
        for kind, source, target in moves:
            entry = LedgerEntry.of_transfer(
                id=f"{kind}:{cause}",
                user_id=self.user.id,
                account_id=account.id,
                kind=kind,
                at=self.clock.now(),
                asset=asset,
                amount=amount,
                source=source,
                target=target,
            )
            await self.store.book(entry)

    async def question_of_money(self, exchange: str) -> "Question | None":
        """Return the question what a real account holds; None for one on paper, or for no one."""
        found = await self.accounts(exchange)
        if len(found) != 1 or found[0].key is None or self.vault is None:
            return None
        (account,), vault = found, self.vault
        try:
            credentials = await open_key(self.store, vault, account)
        except CannotOpen:
            return None

        async def put(desk: VenueDesk) -> Mapping[str, Decimal] | None:
            try:
                report = await desk.check_key(account.venue, credentials, account.mode)
            except VenueError:
                return None
            return report.balances if report.can_read else None

        return put

    async def check_money(self, account: Account, asset: str, amount: Decimal) -> Decimal | None:
        """Return what of an asset no pair owns after this; Refused when there is less than amount.

        None on paper, where whatever is asked for is given. It needs `question_of_money` answered.
        """
        if account.key is None:
            return None
        if not isinstance(self.answer, Mapping):
            raise Refused(f"❌ {account.venue} does not say now what it holds; try again later.")
        books = Balances()
        for entry in await self.store.entries(account.id):
            books.book(entry)
        owned = books.account_totals().get(asset, ZERO) - books.of(FREE, asset)
        there: Mapping[str, Decimal] = self.answer
        left = there.get(asset, ZERO) - owned - amount
        if left < ZERO:
            raise Refused(
                f"❌ {account.venue} holds {max(left + amount, ZERO).normalize():f} {asset} that no"
                f" pair owns; you asked for {amount.normalize():f}."
            )
        return left

    async def bots(self, symbol: Symbol | None = None, exchange: str = "") -> Sequence[BotSpec]:
        """Return the caller's bots, or those named; raise Refused when there is none."""
        everything = await self.store.bots()
        if not everything:
            raise NotThere(NO_PAIRS)
        there = {a.id for a in await self.store.accounts() if is_called(a, exchange)}
        found = [
            bot for bot in everything if symbol in (None, bot.symbol) and bot.account_id in there
        ]
        if not found:
            pairs = ", ".join(dict.fromkeys(str(bot.symbol) for bot in everything))
            raise NotThere(f"You have no such pair. Your pairs: {pairs}.")
        return found


async def always(request: object, context: Context) -> bool:
    """Say that each request of a command needs the second factor."""
    return True


async def is_live(accounts: Collection[AccountId], context: Context) -> bool:
    """Say whether real money is in any of these accounts of the caller's."""
    known = await context.store.accounts()
    return any(each.mode is Mode.LIVE and each.is_active and each.id in accounts for each in known)


def is_called(account: Account, name: str) -> bool:
    """Say whether an account is meant by a name: "", its venue, venue:mode or its id."""
    names = ("", account.venue, f"{account.venue}:{account.mode.value}", account.id)
    return name.lower() in names


def names_of(accounts: Sequence[Account]) -> list[str]:
    """Return what accounts are called, with the mode only where it is needed."""
    venues = Counter(account.venue for account in accounts)
    return [a.venue if venues[a.venue] == 1 else f"{a.venue}:{a.mode.value}" for a in accounts]


@dataclass(frozen=True, slots=True)
class Route:
    """Where programs find a command besides its name: a method and a path below /api/v1.

    Parts of the path in braces are fields of the request: GET /bots/{symbol}. without: fields
    that cannot be given at this place. fixed: fields that are what this place stands for.
    is_picture: the answer is the reply's picture. or_file: the media type of the reply's file,
    which is the answer for whoever accepts that rather than JSON.
    """

    method: str
    path: str
    without: tuple[str, ...] = ()
    fixed: tuple[tuple[str, str], ...] = ()
    is_picture: bool = False
    or_file: str = ""


class NamesUser(Protocol):
    """A request about one user, or with "" about nobody alone."""

    @property
    def user(self) -> str: ...


async def named_user(request: NamesUser, store: Store) -> UserId | None:
    """Return whom a request names: what such an operator's command concerns."""
    found = await find_somebody(store, request.user) if request.user else None
    return None if found is None else found.id


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec(Generic[RequestT]):
    """How to list, read and run a command.

    usage is what a wrong call is answered with, options the name=value words it takes as
    well; example a call that works; group and place order /help. registers: may be used
    before /start. dangerous: surfaces ask for confirmation; dangerous_if: of such requests.
    changes: it changes something of the user's, and is audited. refreshes: its reply may be
    asked for again and put in place of the old one. limit_max: its rows are the newest of a list,
    as many as its request's limit says, up to this; 0: it has no such list.
    for_banned: one who was banned may still use it. form: the one-time link whose page takes
    its request.
    needs_proof: says, of a request that changes live trading or how its user signs in, that it
    needs the second factor of a user who has one. in_person: not for a personal token.
    asks: what it asks venues before the handler's transaction is opened. It is called in a
    transaction for reading, which is closed before the question it returns is put; None: no
    question. It raises Refused for what the handler would refuse anyway.
    concerns: for an operator's command, returns the one user whose data such a request reads or
    changes, None: nobody's alone. Its request has a reason then, which that user reads in their own
    audit log; without one it is refused.
    is_exit: it only takes risk away, so that no limit of requests refuses it. starts_bots: it is
    counted among the starts of a minute. opens: it leads to new entries, so that whoever has not
    agreed to the risk notice is asked to before.
    route: its place among the API's resources, and more_routes others; data: the class of its
    reply's data, or several.
    """

    name: str
    summary: str
    usage: str
    example: str
    request: type[RequestT]
    handler: Callable[[RequestT, Context], Awaitable[Reply]]
    asks: Callable[[RequestT, Context], Awaitable[Question | None]] | None = None
    group: str = "Info"
    place: int = 50
    options: str = ""
    aliases: tuple[str, ...] = ()
    role: Role = Role.USER
    registers: bool = False
    dangerous: bool = False
    dangerous_if: Callable[[RequestT], bool] | None = None
    changes: bool = False
    refreshes: bool = False
    limit_max: int = 0
    for_banned: bool = False
    form: LinkUse | None = None
    needs_proof: Callable[[RequestT, Context], Awaitable[bool]] | None = None
    in_person: bool = False
    concerns: Callable[[RequestT, Store], Awaitable[UserId | None]] | None = None
    is_exit: bool = False
    starts_bots: bool = False
    opens: bool = False
    route: Route | None = None
    more_routes: tuple[Route, ...] = ()
    data: type | UnionType | None = None

    @property
    def routes(self) -> tuple[Route, ...]:
        """Every place among the API's resources."""
        return (*filter(None, [self.route]), *self.more_routes)

    def asks_first(self, request: RequestT) -> bool:
        """Whether a surface has the user confirm this request before it is run."""
        return self.dangerous or (self.dangerous_if is not None and self.dangerous_if(request))

    @property
    def takes_secrets(self) -> bool:
        """Whether its words may hold a secret: such a message is to be deleted at once."""
        request: Any = self.request
        return any(f.metadata.get(SECRET) for f in fields(request))


AnyCommand: TypeAlias = CommandSpec[Any]
