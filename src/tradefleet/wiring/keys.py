"""The vault with its master keys, from the settings or from a file made here; and key rules."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tradefleet.domain.credentials import Credentials, Secret
from tradefleet.domain.errors import Refused
from tradefleet.domain.user import Mode
from tradefleet.engine.key_guard import KeyRules
from tradefleet.operations.audit.keys import begin, chain_keys, keep_keys
from tradefleet.settings import KEY_FILE, Settings, read_encryption_keys
from tradefleet.store import Store
from tradefleet.vault import Vault, new_master

READABLE_BY_OTHERS = 0o077
LOOKED_AT = 20  # users' keys, at start
MOCKED = "Live trading is switched off on this service (MOCK_TRADING=true)."
DISABLED = "Trading is disabled. Set TRADING_ENABLED=True to enable."
WRONG_MASTER = (
    "The users' keys in the database were sealed under another key than {source}: bring that one "
    "back. Several are written into ENCRYPTION_KEY with commas, the newest first."
)


@dataclass(frozen=True, slots=True)
class Masters:
    """The master keys, and where they are from, for people."""

    keys: tuple[Secret, ...]
    source: str


def masters_of(settings: Settings) -> Masters:
    """Return the master keys; without any, one is made and kept in a file nobody else can read."""
    keys = settings.encryption_keys()
    if keys:
        more = f", {len(keys) - 1} older for opening" if len(keys) > 1 else ""
        return Masters(keys, f"ENCRYPTION_KEY{more}")
    file = settings.data_dir / KEY_FILE
    made = not file.exists()
    if made:
        make_key_file(file)
    how = "made now: keep a copy of it" if made else "a file of this machine's own"
    return Masters(read_key_file(file), f"{file} ({how})")


def make_key_file(file: Path) -> None:
    """Write a fresh key, whole or not at all; another process may do the same just now."""
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as writing:
            writing.write(new_master().reveal() + "\n")
            writing.flush()
            os.fsync(writing.fileno())
        with suppress(FileExistsError):  # the other one's is as good
            os.link(draft, file)
    except OSError as error:
        raise Refused(
            f"{file} cannot be written ({error.strerror}): set ENCRYPTION_KEY, or DATA_DIR to a "
            "folder of the user of this process."
        ) from None
    finally:
        with suppress(OSError):
            draft.unlink()


def read_key_file(file: Path) -> tuple[Secret, ...]:
    """Return the keys in a file of ours; Refused when others can read it, or it holds none."""
    try:
        if os.name == "posix" and file.stat().st_mode & READABLE_BY_OTHERS:
            raise Refused(f"{file} can be read by others: chmod 600 {file}")
        return read_encryption_keys(file.read_text(encoding="ascii").strip())
    except (OSError, UnicodeDecodeError):
        raise Refused(f"{file} cannot be read by the user of this process.") from None


async def open_vault(masters: Masters, store: Store) -> Vault:
    """Return the vault, without looking whether it opens what the store holds."""
    return Vault(masters.keys, await store.secret("key_fingerprints"))


async def check_masters(vault: Vault, masters: Masters, store: Store) -> None:
    """Refuse to go on with master keys that open nothing of what the store holds."""
    found = await store.wrapped_keys(limit=LOOKED_AT)
    if found and not any(vault.opens(user_id, wrapped) for user_id, wrapped in found):
        raise Refused(WRONG_MASTER.format(source=masters.source))


async def bind_audit(store: Store, vault: Vault, masters: Sequence[Secret]) -> None:
    """Give the store the key its audit lines are bound under, and keep the keys of before."""
    await keep_keys(store, vault, masters)
    store.audits.keys = await chain_keys(store, vault, masters)
    await begin(store)


def key_rules(settings: Settings) -> KeyRules:
    """Return which keys the operator allows."""
    ban = MOCKED if settings.mock_trading else "" if settings.trading_enabled else DISABLED
    return KeyRules(live_ban=ban, withdraw_on_testnet=settings.allow_withdraw_keys_on_testnet)


def operator_credentials(settings: Settings) -> tuple[Credentials, Mode] | None:
    """Return the operator's own keys for Binance and what they are for, None without any."""
    if settings.binance_use_testnet:
        key, api_secret = settings.rbs_binance_api_key_test, settings.rbs_binance_secret_key_test
    else:
        key, api_secret = settings.rbs_binance_api_key_prod, settings.rbs_binance_secret_key_prod
    if key is None or api_secret is None:
        return None
    credentials = Credentials(
        api_key=Secret(key.get_secret_value().strip()),
        api_secret=Secret(api_secret.get_secret_value().strip()),
    )
    return credentials, Mode.TESTNET if settings.binance_use_testnet else Mode.LIVE
