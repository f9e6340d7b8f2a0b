"""Keys, a vault and an exchange that says of keys what a test wants."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tests.doors import BYBIT, PAPER, Door
from tests.makers import START
from tradefleet.domain.credentials import Credentials, KeyReport, Secret
from tradefleet.domain.ids import AccountId, UserId
from tradefleet.domain.user import Account, AccountKey, Mode
from tradefleet.engine.key_guard import KeyRules
from tradefleet.vault import Vault

MASTERS = [Secret(letter * 43 + "=") for letter in "AQg"]  # 32 bytes each, as Fernet writes them
FINGERPRINTS = b"f" * 32
GOOD = KeyReport(
    can_read=True,
    can_trade=True,
    can_withdraw=False,
    ip_restricted=True,
    balances={"USDT": Decimal(1000)},
)
LIVE_ALLOWED = KeyRules(live_ban="")
DAY = timedelta(days=1)


def vault_under(*numbers: int) -> Vault:
    """Return a vault with these master keys, the first of which wraps."""
    return Vault([MASTERS[number] for number in numbers or (0,)], FINGERPRINTS)


def pair(key: str = "key-of-alice-0123456789", api_secret: str = "secret-of-alice") -> Credentials:
    return Credentials(api_key=Secret(key), api_secret=Secret(api_secret))


def keyed(user_id: UserId, mode: Mode = Mode.TESTNET, venue: str = "bybit", **key: Any) -> Account:
    """Return a user's account with a key."""
    given = {"masked": "key-…6789 (23 characters)", "connected_at": START, "checked_at": START}
    return Account(
        id=AccountId(f"{user_id}:{venue}:{mode.value}"),
        user_id=user_id,
        venue=venue,
        mode=mode,
        created_at=START,
        key=AccountKey(**{**given, **key}),
    )


class Exchange:
    """Answers what a key may do; asked remembers venue, key and mode of each question.

    watched, when given, is called with each question: a test looks at the service meanwhile.
    """

    def __init__(self, answer: KeyReport | Exception = GOOD) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, Mode]] = []
        self.watched: Callable[[], Any] | None = None

    async def check_key(self, venue: str, credentials: Credentials, mode: Mode) -> KeyReport:
        self.asked.append((venue, credentials.api_key.reveal(), mode))
        if self.watched is not None:
            await self.watched()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class KeyDoor(Door):
    """A service that paper and bybit can be connected to, with alice registered."""

    def __init__(self, *, rules: KeyRules = LIVE_ALLOWED, **parts: object) -> None:
        self.exchange = Exchange()
        given = {"desk": self.exchange, "vault": vault_under(), "key_rules": rules, **parts}
        super().__init__(PAPER, BYBIT, **given)

    async def account(self, id: str) -> Account:
        async with self.store.open(UserId(id.partition(":")[0]), reading=True) as store:
            return next(account for account in await store.accounts() if account.id == id)


async def key_door(**parts: object) -> KeyDoor:
    door = KeyDoor(**parts)
    await door.ask("/start")
    return door
