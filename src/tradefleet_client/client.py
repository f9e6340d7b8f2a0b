"""Every command as a method, and what it answers; written by scripts/client_code.py."""

from collections.abc import Mapping
from typing import Any, TypedDict

from tradefleet_client.talk import Answer, Talk


class PairStatus(TypedDict):
    symbol: str
    exchange: str
    status: str
    note: str
    balance: str
    equity: str
    pnl: str
    has_position: bool
    universe: str


class UniverseStatus(TypedDict):
    name: str
    exchange: str
    asset: str
    balance: str
    equity: str
    pnl: str
    free: str
    positions: int
    positions_max: int | None


class Overview(TypedDict):
    pairs: list[PairStatus]
    halts: list[str]
    universes: list[UniverseStatus]


class PairConfig(TypedDict):
    symbol: str
    account: str
    strategy: str
    timeframe: str
    balance: str
    params: dict[str, str]
    universe: str


class Configuration(TypedDict):
    tier: str
    limits: dict[str, str]
    pairs: list[PairConfig]


class QuoteStats(TypedDict):
    quote: str
    trades: int
    winners: int
    losers: int
    win_rate: str
    profit_factor: str | None
    pnl: str
    gross_pnl: str
    fees: str
    expectancy: str
    best: str
    worst: str
    max_drawdown: str
    max_drawdown_share: str


class Stats(TypedDict):
    quotes: list[QuoteStats]


class OpenPosition(TypedDict):
    symbol: str
    exchange: str
    opened_at: str
    quantity: str
    entry_price: str
    last_price: str
    stop: str
    stop_kind: str
    targets: list[list[str]]
    pnl: str


class Positions(TypedDict):
    positions: list[OpenPosition]


class AssetBalance(TypedDict):
    account: str
    asset: str
    total: str | None
    in_pairs: str
    unallocated: str | None
    kept: str


class AccountBalances(TypedDict):
    balances: list[AssetBalance]


class Candle(TypedDict):
    opened_at: str
    open: str
    high: str
    low: str
    close: str
    volume: str


class Marked(TypedDict):
    kind: str
    at: str
    price: str


class MarkedLevel(TypedDict):
    kind: str
    name: str
    price: str


class EquityPoint(TypedDict):
    at: str
    equity: str


class ChartData(TypedDict):
    title: str
    candles: list[Candle]
    marks: list[Marked]
    levels: list[MarkedLevel]
    equity: list[EquityPoint]


class ChartsData(TypedDict):
    charts: list[ChartData]


class AccountLine(TypedDict):
    account_id: str
    exchange: str
    mode: str
    key: str
    rights: str
    since: str | None
    checked: str | None
    state: str
    halted: str
    warnings: list[str]


class AccountList(TypedDict):
    accounts: list[AccountLine]


class PeriodProfit(TypedDict):
    period: str
    quote: str
    trades: int
    win_rate: str
    pnl: str
    fees: str


class Profits(TypedDict):
    periods: list[PeriodProfit]
    open: dict[str, str]


class DayProfit(TypedDict):
    day: str
    quote: str
    trades: int
    pnl: str
    fees: str


class Days(TypedDict):
    days: list[DayProfit]


class MonthProfit(TypedDict):
    month: str
    quote: str
    trades: int
    win_rate: str
    pnl: str
    fees: str


class Months(TypedDict):
    months: list[MonthProfit]


class PairPerformance(TypedDict):
    symbol: str
    quote: str
    trades: int
    win_rate: str
    pnl: str
    expectancy: str
    fees: str


class PairPerformances(TypedDict):
    pairs: list[PairPerformance]


class WeekProfit(TypedDict):
    week: str
    quote: str
    trades: int
    win_rate: str
    pnl: str
    fees: str


class Weeks(TypedDict):
    weeks: list[WeekProfit]


class ClosedTrade(TypedDict):
    id: str
    symbol: str
    side: str
    opened_at: str
    closed_at: str
    quantity: str
    entry_price: str
    exit_price: str
    gross_pnl: str
    fees: str
    pnl: str
    pnl_percentage: str
    exit_reason: str


class TradeList(TypedDict):
    trades: list[ClosedTrade]
    next: str


class TradeLine(TypedDict):
    number: int
    symbol: str
    base: str
    quote: str
    quantity: str
    entry_price: str
    exit_price: str
    gross_pnl: str
    fees: str
    pnl: str
    pnl_percentage: str
    is_winner: bool
    is_closed: bool
    hours: str


class Trades(TypedDict):
    trades: list[TradeLine]
    closed: int
    open: int
    pnl: str
    gross_pnl: str
    fees: str
    winners: int
    losers: int
    win_rate: str


class Step(TypedDict):
    at: str
    kind: str
    text: str


class Explanation(TypedDict):
    symbol: str
    trade_id: str
    steps: list[Step]


class CommandHelp(TypedDict):
    name: str
    group: str
    summary: str
    usage: str
    options: str
    example: str
    aliases: list[str]
    dangerous: bool


class Commands(TypedDict):
    commands: list[CommandHelp]


class OrderLine(TypedDict):
    id: str
    bot_id: str
    account_id: str
    symbol: str
    side: str
    kind: str
    purpose: str
    quantity: str
    price: str | None
    filled: str
    state: str
    is_final: bool
    reason: str
    note: str
    decided_at: str
    sent_at: str | None
    venue_order_id: str


class OrderPage(TypedDict):
    orders: list[OrderLine]
    next: str


class Result(TypedDict):
    period: str
    trades: int
    winners: int
    losers: int
    win_rate: str
    pnl: str
    gross_pnl: str
    fees: str
    cumulative_pnl: str
    volume: str


class Results(TypedDict):
    period_type: str
    periods: list[Result]
    overall: Result


class Channel(TypedDict):
    name: str


class ChannelList(TypedDict):
    channels: list[Channel]
    allowed: int
    available: bool


class Part(TypedDict):
    id: str
    quantity: str
    price: str
    cost: str
    fee: str
    fee_asset: str
    filled_at: str


class OrderTold(TypedDict):
    id: str
    bot_id: str
    account_id: str
    symbol: str
    side: str
    kind: str
    purpose: str
    quantity: str
    price: str | None
    filled: str
    state: str
    is_final: bool
    reason: str
    note: str
    decided_at: str
    sent_at: str | None
    venue_order_id: str
    fills: list[Part]


class Signal(TypedDict):
    at: str
    symbol: str
    exchange: str
    strategy: str
    kind: str
    text: str


class SignalList(TypedDict):
    signals: list[Signal]


class FillLine(TypedDict):
    id: str
    order_id: str
    symbol: str
    side: str
    quantity: str
    price: str
    cost: str
    fee: str
    fee_asset: str
    fee_quote: str
    filled_at: str


class FillPage(TypedDict):
    fills: list[FillLine]
    next: str


class Exported(TypedDict):
    name: str
    trades: int
    csv: str


class SupportAsked(TypedDict):
    reached: int


class MyDataGiven(TypedDict):
    stage: str
    name: str
    size: int
    rows: int
    tables: int
    sha256: str
    fetch: str
    minutes: int


class WebhookLine(TypedDict):
    id: str
    url: str
    events: list[str]
    state: str
    reason: str
    failures: int
    last: int
    created_at: str
    next_try_at: str | None


class DeliveryLine(TypedDict):
    event: int
    type: str
    at: str
    tries: int
    status: int | None
    error: str
    outcome: str


class WebhookList(TypedDict):
    webhooks: list[WebhookLine]
    deliveries: list[DeliveryLine]


class WebhookMade(TypedDict):
    id: str
    url: str
    events: list[str]
    secret: str


class WebhookRemoved(TypedDict):
    id: str
    url: str


class WebhookResumed(TypedDict):
    id: str
    url: str
    last: int


class Registered(TypedDict):
    user_id: str
    username: str
    tier: str
    is_new: bool
    notice: str
    notice_version: int


class Connected(TypedDict):
    account_id: str
    exchange: str
    mode: str
    key: str
    warnings: list[str]
    confirmed: bool


class ConnectLink(TypedDict):
    link: str
    expires_at: str


class PairAdded(TypedDict):
    bot_id: str
    symbol: str
    exchange: str
    mode: str
    balance: str
    strategy: str
    timeframe: str
    params: dict[str, str]


class Pair(TypedDict):
    symbol: str
    exchange: str
    status: str
    balance: str
    universe: str


class SharedBalance(TypedDict):
    name: str
    asset: str
    balance: str
    positions_max: int | None
    pairs: int


class Pairs(TypedDict):
    pairs: list[Pair]
    universes: list[SharedBalance]


class PairRemoved(TypedDict):
    bot_id: str
    symbol: str
    exchange: str
    returned: dict[str, str]
    universe: str


class UniverseRemoved(TypedDict):
    name: str
    exchange: str
    pairs: list[PairRemoved]
    returned: dict[str, str]


class Disconnected(TypedDict):
    account_id: str
    exchange: str
    mode: str
    pairs: list[str]


class ExternalPolicy(TypedDict):
    account_id: str
    exchange: str
    policy: str


class UniverseAdded(TypedDict):
    universe_id: str
    name: str
    exchange: str
    mode: str
    asset: str
    balance: str
    positions_max: int | None
    pairs: list[str]
    added: list[str]
    strategy: str
    timeframe: str


class UserSettings(TypedDict):
    tier: str
    limits: dict[str, str]
    is_default: bool
    notice_agreed: int


class SettingChanged(TypedDict):
    name: str
    value: str


class EventLoudness(TypedDict):
    event: str
    loudness: str
    is_default: bool
    about: str


class Loudnesses(TypedDict):
    events: list[EventLoudness]


class LoudnessChanged(TypedDict):
    events: dict[str, str]


class Quota(TypedDict):
    name: str
    used: int | None
    allowed: int
    resets: str
    resets_at: str | None


class Subscription(TypedDict):
    tier: str
    quotas: list[Quota]
    overridden: list[str]
    advanced_signals: bool
    custom_strategies: bool
    priority: bool


class ConsentGiven(TypedDict):
    version: int
    notice: str
    text_hash: str
    accepted: int
    accepted_at: str


class ErasureAsked(TypedDict):
    pairs: int
    accounts: int


class WebLink(TypedDict):
    link: str
    expires_at: str


class PasswordLink(TypedDict):
    link: str
    expires_at: str
    has_password: bool


class TotpState(TypedDict):
    is_on: bool
    link: str


class OpenSession(TypedDict):
    id: str
    how: str
    address: str
    created_at: str
    seen_at: str
    expires_at: str


class OpenSessions(TypedDict):
    sessions: list[OpenSession]


class SignedOut(TypedDict):
    ended: list[str]


class ValidToken(TypedDict):
    name: str
    rights: list[str]
    created_at: str
    expires_at: str


class ValidTokens(TypedDict):
    tokens: list[ValidToken]


class TokenMade(TypedDict):
    action: str
    name: str
    value: str
    rights: list[str]
    expires_at: str | None


class Entry(TypedDict):
    number: int
    at: str
    actor: str
    role: str
    surface: str
    request_id: str
    action: str
    asked: dict[str, Any]
    changed: list[dict[str, Any]]
    address: str


class AuditLines(TypedDict):
    lines: list[Entry]
    next: int


class TradingStarted(TypedDict):
    started: list[str]
    running: int


class TradingStopped(TypedDict):
    stopped: list[str]
    open_positions: list[str]


class Paused(TypedDict):
    reason: str


class Resumed(TypedDict):
    lifted: list[str]
    still_halted: str


class ExitsAsked(TypedDict):
    symbols: list[str]


class OrderAsked(TypedDict):
    request: str
    symbol: str
    side: str
    exchange: str
    environment: str
    amount: str | None
    quantity: str | None


class EmergencyState(TypedDict):
    halt: str
    reason: str
    positions: int


class Outcome(TypedDict):
    request: str
    status: str
    symbol: str
    side: str
    environment: str
    reason: str
    first: bool
    number: int
    order_id: str
    venue_order_id: str
    quantity: str
    price: str
    cost: str
    fee: str
    at: str | None


class AssetFunds(TypedDict):
    environment: str
    asset: str
    free: str
    locked: str


class TradingState(TypedDict):
    trading_enabled: bool
    environment: str
    has_credentials: bool
    can_trade: bool
    user: str


class Client(Talk):
    """A service, as one user is served by it."""

    async def status(self, *, symbol: str | None = None) -> Answer[Overview]:
        """Check status (all pairs or specific).

        In chat: /status [symbol]
        """
        return await self._read("status", symbol=symbol)

    async def config(self, *, symbol: str | None = None) -> Answer[Configuration]:
        """View configuration.

        In chat: /config [symbol]
        """
        return await self._read("config", symbol=symbol)

    async def mystats(self) -> Answer[Stats]:
        """View your trading statistics.

        In chat: /mystats
        """
        return await self._read("mystats")

    async def position(self, *, symbol: str | None = None) -> Answer[Positions]:
        """See current position.

        In chat: /position [symbol]
        """
        return await self._read("position", symbol=symbol)

    async def balance(self) -> Answer[AccountBalances]:
        """What your accounts hold.

        In chat: /balance
        """
        return await self._read("balance")

    async def chart(
        self,
        *,
        symbol: str | None = None,
        timeframe: str | None = None,
        bars: int | None = None,
        theme: str | None = None,
    ) -> Answer[ChartsData]:
        """Draw a pair, or your equity.

        In chat: /chart [symbol] [timeframe]
        """
        return await self._read("chart", symbol=symbol, timeframe=timeframe, bars=bars, theme=theme)

    async def accounts(self) -> Answer[AccountList]:
        """Your exchange accounts and their keys.

        In chat: /accounts
        """
        return await self._read("accounts")

    async def profit(self) -> Answer[Profits]:
        """Profit by period.

        In chat: /profit
        """
        return await self._read("profit")

    async def daily(self, *, days: int | None = None) -> Answer[Days]:
        """Profit day by day.

        In chat: /daily [days]
        """
        return await self._read("daily", days=days)

    async def monthly(self, *, months: int | None = None) -> Answer[Months]:
        """Profit month by month.

        In chat: /monthly [months]
        """
        return await self._read("monthly", months=months)

    async def performance(self) -> Answer[PairPerformances]:
        """Profit pair by pair.

        In chat: /performance
        """
        return await self._read("performance")

    async def weekly(self, *, weeks: int | None = None) -> Answer[Weeks]:
        """Profit week by week.

        In chat: /weekly [weeks]
        """
        return await self._read("weekly", weeks=weeks)

    async def trades(
        self,
        *,
        limit: int | None = None,
        symbol: str | None = None,
        since: str | None = None,
        cursor: str | None = None,
    ) -> Answer[TradeList]:
        """Your latest closed trades.

        In chat: /trades [number] [symbol]
        """
        return await self._read("trades", limit=limit, symbol=symbol, since=since, cursor=cursor)

    async def history(
        self, *, days: int | None = None, limit: int | None = None, symbol: str | None = None
    ) -> Answer[Trades]:
        """Trades of the last days and their result.

        In chat: /history [days] [limit] [symbol]
        """
        return await self._read("history", days=days, limit=limit, symbol=symbol)

    async def why(self, target: str) -> Answer[Explanation]:
        """Why a pair traded, or did not.

        In chat: /why <symbol|trade>
        """
        return await self._read("why", target=target)

    async def help(self, *, command: str | None = None) -> Answer[Commands]:
        """Show help message.

        In chat: /help [command]
        """
        return await self._read("help", command=command)

    async def orders(
        self,
        *,
        symbol: str | None = None,
        state: str | None = None,
        since: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Answer[OrderPage]:
        """Your orders.

        In chat: /orders [symbol]
        """
        return await self._read(
            "orders", symbol=symbol, state=state, since=since, limit=limit, cursor=cursor
        )

    async def pnl(self, *, period: str | None = None, months: int | None = None) -> Answer[Results]:
        """Profit by day, week, month or year.

        In chat: /pnl [period] [months]
        """
        return await self._read("pnl", period=period, months=months)

    async def channels(self) -> Answer[ChannelList]:
        """The signal channels you follow.

        In chat: /channels
        """
        return await self._read("channels")

    async def order(self, order: str) -> Answer[OrderTold]:
        """One order and its fills.

        In chat: /order <order>
        """
        return await self._read("order", order=order)

    async def signals(
        self, *, symbol: str | None = None, kind: str | None = None, limit: int | None = None
    ) -> Answer[SignalList]:
        """What the strategies of your pairs said lately.

        In chat: /signals [symbol]
        """
        return await self._read("signals", symbol=symbol, kind=kind, limit=limit)

    async def fills(
        self,
        *,
        symbol: str | None = None,
        since: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Answer[FillPage]:
        """What was bought and sold.

        In chat: /fills [symbol]
        """
        return await self._read("fills", symbol=symbol, since=since, limit=limit, cursor=cursor)

    async def export(self, *, since: str | None = None) -> Answer[Exported]:
        """Your closed trades as a file.

        In chat: /export [since]
        """
        return await self._read("export", since=since)

    async def support(
        self, *, message: str | None = None, key: str | None = None
    ) -> Answer[SupportAsked]:
        """Write to the operator of this service.

        In chat: /support [message]
        """
        return await self._write("support", key, message=message)

    async def mydata(self) -> Answer[MyDataGiven]:
        """All that is kept of you, as one archive.

        In chat: /mydata
        """
        return await self._read("mydata")

    async def webhooks(self, *, webhook: str | None = None) -> Answer[WebhookList]:
        """Where your events are sent, and what became of it.

        In chat: /webhooks [webhook]
        """
        return await self._read("webhooks", webhook=webhook)

    async def addwebhook(
        self, url: str, *, events: str | None = None, key: str | None = None
    ) -> Answer[WebhookMade]:
        """Have your events sent to an address of yours.

        In chat: /addwebhook <https address> [events]
        """
        return await self._write("addwebhook", key, url=url, events=events)

    async def removewebhook(
        self, webhook: str, *, key: str | None = None
    ) -> Answer[WebhookRemoved]:
        """Send nothing to an address any more.

        In chat: /removewebhook <webhook>
        """
        return await self._write("removewebhook", key, webhook=webhook)

    async def resumewebhook(
        self, webhook: str, *, key: str | None = None
    ) -> Answer[WebhookResumed]:
        """Send to an address again that was given up.

        In chat: /resumewebhook <webhook>
        """
        return await self._write("resumewebhook", key, webhook=webhook)

    async def start(
        self, *, payload: str | None = None, key: str | None = None
    ) -> Answer[Registered]:
        """Register in the system.

        In chat: /start
        """
        return await self._write("start", key, payload=payload)

    async def connect(
        self,
        *,
        exchange: str | None = None,
        api_key: str | None = None,
        api_secret: str | None = None,
        testnet: bool | None = None,
        key: str | None = None,
    ) -> Answer[Connected | ConnectLink]:
        """Connect exchange.

        In chat: /connect <exchange> <api_key> <secret> [testnet]
        """
        return await self._write(
            "connect",
            key,
            exchange=exchange,
            api_key=api_key,
            api_secret=api_secret,
            testnet=testnet,
        )

    async def addpair(
        self,
        symbol: str,
        balance: str | int | float,
        *,
        exchange: str | None = None,
        strategy: str | None = None,
        timeframe: str | None = None,
        params: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Answer[PairAdded]:
        """Add trading pair.

        In chat: /addpair <symbol> <balance> [exchange]
        """
        return await self._write(
            "addpair",
            key,
            symbol=symbol,
            balance=balance,
            exchange=exchange,
            strategy=strategy,
            timeframe=timeframe,
            params=params,
        )

    async def listpairs(self) -> Answer[Pairs]:
        """Show all your pairs.

        In chat: /listpairs
        """
        return await self._read("listpairs")

    async def removepair(
        self,
        *,
        symbol: str | None = None,
        exchange: str | None = None,
        universe: str | None = None,
        key: str | None = None,
    ) -> Answer[PairRemoved | UniverseRemoved]:
        """Remove trading pair.

        In chat: /removepair <symbol> [exchange]
        """
        return await self._write(
            "removepair", key, symbol=symbol, exchange=exchange, universe=universe
        )

    async def disconnect(self, exchange: str, *, key: str | None = None) -> Answer[Disconnected]:
        """Disconnect an exchange and destroy its keys here.

        In chat: /disconnect <exchange>
        """
        return await self._write("disconnect", key, exchange=exchange)

    async def external(
        self, exchange: str, *, policy: str | None = None, key: str | None = None
    ) -> Answer[ExternalPolicy]:
        """What to do about trades and deposits of your own.

        In chat: /external <exchange> [ignore|adopt|ask]
        """
        return await self._write("external", key, exchange=exchange, policy=policy)

    async def adduniverse(
        self,
        symbols: str,
        *,
        balance: str | int | float | None = None,
        exchange: str | None = None,
        name: str | None = None,
        positions: int | None = None,
        strategy: str | None = None,
        timeframe: str | None = None,
        params: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Answer[UniverseAdded]:
        """Let several pairs share one balance, the best signals first.

        In chat: /adduniverse <symbols> <balance> [exchange]
        """
        return await self._write(
            "adduniverse",
            key,
            symbols=symbols,
            balance=balance,
            exchange=exchange,
            name=name,
            positions=positions,
            strategy=strategy,
            timeframe=timeframe,
            params=params,
        )

    async def settings(self) -> Answer[UserSettings]:
        """Your risk limits.

        In chat: /settings
        """
        return await self._read("settings")

    async def set(
        self, name: str, *, value: str | None = None, key: str | None = None
    ) -> Answer[SettingChanged]:
        """Change one of your risk limits.

        In chat: /set <name> <value>
        """
        return await self._write("set", key, name=name, value=value)

    async def notifications(self) -> Answer[Loudnesses]:
        """What you are told, and how loud.

        In chat: /notifications
        """
        return await self._read("notifications")

    async def notify(
        self, event: str, loudness: str, *, key: str | None = None
    ) -> Answer[LoudnessChanged]:
        """Be told of an event loud, silent or not.

        In chat: /notify <event> <on|silent|off>
        """
        return await self._write("notify", key, event=event, loudness=loudness)

    async def subscription(self) -> Answer[Subscription]:
        """Your tier and what is used of it.

        In chat: /subscription
        """
        return await self._read("subscription")

    async def risk(
        self, *, answer: str | None = None, key: str | None = None
    ) -> Answer[ConsentGiven]:
        """Read the risk notice, and agree to it.

        In chat: /risk [accept]
        """
        return await self._write("risk", key, answer=answer)

    async def deleteme(self, *, key: str | None = None) -> Answer[ErasureAsked]:
        """Be erased, with all that is kept of you.

        In chat: /deleteme
        """
        return await self._write("deleteme", key)

    async def web(self, *, key: str | None = None) -> Answer[WebLink]:
        """Get a one-time link to sign in on the web.

        In chat: /web
        """
        return await self._write("web", key)

    async def password(self, *, key: str | None = None) -> Answer[PasswordLink]:
        """Get a one-time link to set your password.

        In chat: /password
        """
        return await self._write("password", key)

    async def totp(self, *, action: str | None = None, key: str | None = None) -> Answer[TotpState]:
        """Set up or take away a second factor for live trading.

        In chat: /totp [on|off]
        """
        return await self._write("totp", key, action=action)

    async def sessions(self) -> Answer[OpenSessions]:
        """Show where you are signed in.

        In chat: /sessions
        """
        return await self._read("sessions")

    async def signout(self, id: str, *, key: str | None = None) -> Answer[SignedOut]:
        """End a session, or all of them.

        In chat: /signout <id|all>
        """
        return await self._write("signout", key, id=id)

    async def tokens(self) -> Answer[ValidTokens]:
        """Show the tokens of your programs.

        In chat: /tokens
        """
        return await self._read("tokens")

    async def token(
        self,
        action: str,
        *,
        name: str | None = None,
        rights: str | None = None,
        days: int | None = None,
        key: str | None = None,
    ) -> Answer[TokenMade]:
        """Make a token for a program of yours, or take one back.

        In chat: /token <create|revoke|list> [name] [rights] [days]
        """
        return await self._write("token", key, action=action, name=name, rights=rights, days=days)

    async def audit(
        self, *, limit: int | None = None, before: int | None = None
    ) -> Answer[AuditLines]:
        """What was done in your name.

        In chat: /audit
        """
        return await self._read("audit", limit=limit, before=before)

    async def start_trading(
        self, *, symbol: str | None = None, key: str | None = None
    ) -> Answer[TradingStarted]:
        """Start trading (all pairs or specific).

        In chat: /start_trading [symbol]
        """
        return await self._write("start_trading", key, symbol=symbol)

    async def stop_trading(
        self, *, symbol: str | None = None, key: str | None = None
    ) -> Answer[TradingStopped]:
        """Stop trading (all pairs or specific).

        In chat: /stop_trading [symbol]
        """
        return await self._write("stop_trading", key, symbol=symbol)

    async def pause(self, *, reason: str | None = None, key: str | None = None) -> Answer[Paused]:
        """No new entries on any pair until /resume.

        In chat: /pause [reason]
        """
        return await self._write("pause", key, reason=reason)

    async def resume(self, *, reason: str | None = None, key: str | None = None) -> Answer[Resumed]:
        """Allow new entries again.

        In chat: /resume [reason]
        """
        return await self._write("resume", key, reason=reason)

    async def forceexit(self, target: str, *, key: str | None = None) -> Answer[ExitsAsked]:
        """Close a position at the market now.

        In chat: /forceexit <symbol|all>
        """
        return await self._write("forceexit", key, target=target)

    async def buy(
        self,
        symbol: str,
        *,
        amount: str | int | float | None = None,
        exchange: str | None = None,
        quantity: str | int | float | None = None,
        key: str | None = None,
    ) -> Answer[OrderAsked]:
        """Buy now at the market.

        In chat: /buy <symbol> [amount] [exchange]
        """
        return await self._write(
            "buy", key, symbol=symbol, amount=amount, exchange=exchange, quantity=quantity
        )

    async def emergency(
        self, *, action: str | None = None, reason: str | None = None, key: str | None = None
    ) -> Answer[EmergencyState]:
        """Stop all entries, or close everything.

        In chat: /emergency [stop|flatten] [reason]
        """
        return await self._write("emergency", key, action=action, reason=reason)

    async def sell(
        self,
        symbol: str,
        *,
        quantity: str | int | float | None = None,
        exchange: str | None = None,
        amount: str | int | float | None = None,
        key: str | None = None,
    ) -> Answer[OrderAsked]:
        """Sell now at the market.

        In chat: /sell <symbol> [quantity] [exchange]
        """
        return await self._write(
            "sell", key, symbol=symbol, quantity=quantity, exchange=exchange, amount=amount
        )

    async def ordered(self, *, request: str | None = None) -> Answer[Outcome]:
        """What became of your order by hand.

        In chat: /ordered [request]
        """
        return await self._read("ordered", request=request)

    async def funds(
        self, *, asset: str | None = None, exchange: str | None = None
    ) -> Answer[AssetFunds]:
        """What is free to trade by hand.

        In chat: /funds [asset] [exchange]
        """
        return await self._read("funds", asset=asset, exchange=exchange)

    async def trade_status(self) -> Answer[TradingState]:
        """Whether you can trade now.

        In chat: /trade_status
        """
        return await self._read("trade_status")
