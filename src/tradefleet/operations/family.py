"""Connect the master and the members one after the other, and say how each of them fared.

One that fails never stops another: its line says what is wrong and the cure.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tradefleet.domain.credentials import Credentials, KeyFault, KeyRefused, KeyReport
from tradefleet.domain.errors import Refused
from tradefleet.domain.family import Member
from tradefleet.domain.money import ZERO
from tradefleet.domain.user import Mode
from tradefleet.engine.key_guard import KeyAnswer, KeyDenied, KeyRules, KeyUnclear, judge

RULE = "=" * 70
BROKER = "Kraken"
DOLLARS = ("USD", "USDT", "USDC")
FUNDED_LEAST = Decimal(1)
FUNDED_WELL = Decimal(25)

PERMISSIONS = (
    "Kraken → Security → API → edit the key → enable Query Funds, Query Open Orders & Trades, "
    "Query Closed Orders & Trades, Create & Modify Orders and Cancel/Close Orders; not Withdraw."
)

Ask = Callable[[Credentials], Awaitable[KeyReport]]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How one account fared: connected, with its money, or what is wrong and the cure.

    answer is what the venue said of the key. passes: the fault may pass by itself, so that it is
    worth trying again later.
    """

    member: Member
    answer: KeyAnswer | None = None
    fault: str = ""
    cure: str = ""
    passes: bool = False

    @property
    def connected(self) -> bool:
        return not self.fault

    @property
    def dollars(self) -> Decimal:
        return sum((self.holds(asset) for asset in DOLLARS), ZERO)

    def holds(self, asset: str) -> Decimal:
        balances = self.answer.balances if isinstance(self.answer, KeyReport) else {}
        return balances.get(asset, ZERO)


async def connect_one(member: Member, ask: Ask, rules: KeyRules, now: datetime) -> Connection:
    """Ask the venue about a member's key; every outcome is a Connection."""
    if member.credentials is None:
        cure = f"{member.missing[:1].upper()}{member.missing[1:]}, then restart."
        return Connection(member=member, fault=f"{BROKER} credentials not configured", cure=cure)
    try:
        answer: KeyAnswer = await ask(member.credentials)
    except KeyRefused as refusal:
        answer = refusal
    except Refused as refusal:
        return Connection(member=member, fault=f"{BROKER} connection refused: {refusal}")
    return judged(member, answer, rules, now)


def judged(member: Member, answer: KeyAnswer, rules: KeyRules, now: datetime) -> Connection:
    """Say whether an account may trade with what its venue says of the key."""
    verdict = judge(answer, venue=BROKER, mode=Mode.LIVE, rules=rules, now=now)
    if isinstance(verdict, KeyDenied):
        return Connection(
            member=member,
            answer=answer,
            fault=f"{BROKER} connection failed: {verdict.said or verdict.what}",
            cure=PERMISSIONS if verdict.fault is KeyFault.PERMISSION else verdict.cure,
            passes=isinstance(verdict, KeyUnclear),
        )
    return Connection(member=member, answer=answer)


async def connect_family(
    members: Sequence[Member], connect: Callable[[Member], Awaitable[Connection]], say: Say
) -> list[Connection]:
    """Connect the master first, then the members in their order; every line is said as it comes."""
    found: list[Connection] = []
    for member in members:
        if member.is_master:
            for line in (RULE, "👑 CONNECTING MASTER ACCOUNT", RULE):
                say(line)
        elif not found or found[-1].member.is_master:
            for line in (RULE, "👤 CONNECTING USER ACCOUNTS", RULE):
                say(line)
        say(f"📊 Attempting to connect {titled(member)} - {BROKER}...")
        connection = await connect(member)
        for line in connection_lines(connection):
            say(f"   {line}")
        say("")
        found.append(connection)
    return found


def titled(member: Member) -> str:
    return "Master account" if member.is_master else f"{member.short} ({member.name})"


def connection_lines(connection: Connection) -> list[str]:
    """Return what the start-up log says below an attempt."""
    who = f"{connection.member.short} {BROKER}"
    if not connection.connected:
        lines = [f"❌ {connection.member.short}: {connection.fault}"]
        return [*lines, f"💡 {connection.cure}"] if connection.cure else lines
    lines = [f"✅ {who} connected", f"💰 {who} balance: ${connection.dollars:,.2f}"]
    return [*lines, *funding_lines(connection.dollars)]


def funding_lines(dollars: Decimal) -> list[str]:
    """Say plainly when there is too little money to trade with."""
    if dollars < FUNDED_LEAST:
        return [
            f"⚠️  No balance to trade with: deposit at least ${FUNDED_LEAST:.2f} "
            f"(recommended ${FUNDED_WELL:.2f} or more), wait until it is confirmed, then restart."
        ]
    if dollars < FUNDED_WELL:
        return [
            f"⚠️  Below ${FUNDED_WELL:.2f}: most orders would be under the venue's minimum order, "
            "and fees may consume the profits."
        ]
    return []


def summary_lines(connections: Sequence[Connection]) -> list[str]:
    """Return the status summary that ends the start-up."""
    lines = [RULE, "📊 ACCOUNT TRADING STATUS SUMMARY", RULE]
    for connection in connections:
        member = connection.member
        who = "MASTER ACCOUNT" if member.is_master else f"USER #{member.number} ({member.name})"
        broker = BROKER.lower() if member.is_master else BROKER
        if connection.connected:
            lines.append(f"✅ {who}: TRADING (Broker: {broker})")
        else:
            lines.append(f"❌ {who}: NOT TRADING ({connection.fault})")
    return [*lines, RULE]


def check_lines(connections: Sequence[Connection]) -> list[str]:
    """Return what `tradefleet check connections` prints."""
    lines = ["🔍 KRAKEN CONNECTION TEST - MASTER + ALL USERS"]
    for connection in connections:
        member = connection.member
        who = "Master account" if member.is_master else f"{member.short} ({member.first_name})"
        if connection.connected:
            lines.append(f"✅ {who}: CONNECTED")
            lines += [f"   {line}" for line in funding_lines(connection.dollars)]
        else:
            lines.append(f"❌ {who}: NOT CONNECTED - {connection.fault}")
            lines += [f"   💡 {connection.cure}"] if connection.cure else []
    return [*lines, verdict_line(connections)]


def verdict_line(connections: Sequence[Connection]) -> str:
    connected = sum(connection.connected for connection in connections)
    if not connections:
        return "❌ NO ACCOUNTS CONFIGURED - set KRAKEN_MASTER_API_KEY and KRAKEN_MASTER_API_SECRET"
    if connected == len(connections):
        return "🎉 ALL ACCOUNTS CONNECTED - Ready for multi-account trading!"
    if connected:
        return f"⚠️  {connected} OF {len(connections)} ACCOUNTS CONNECTED - the others do not trade"
    return "❌ NO ACCOUNT CONNECTED"


def exit_code(connections: Sequence[Connection]) -> int:
    """Return 0 when all are connected, 1 when some are, 2 when none is."""
    connected = sum(connection.connected for connection in connections)
    if not connected:
        return 2
    return 0 if connected == len(connections) else 1


def cycle_line(member: Member, number: int) -> str:
    """Return the line that begins a scan cycle of an account."""
    return f"🔄 {BROKER.lower()} ({member.label}) - Cycle #{number}"
