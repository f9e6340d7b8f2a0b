"""The second factor: six digits from an authenticator, by time (RFC 6238), each good for once.

The authenticator's secret is sealed by the user's own key, like what opens exchanges.
"""

import base64
import secrets
from datetime import datetime, timedelta
from hmac import compare_digest
from urllib.parse import quote

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from tradefleet.domain.credentials import Secret
from tradefleet.domain.errors import NeedsProof
from tradefleet.domain.ids import UserId
from tradefleet.identity import SecondFactor, hash_of
from tradefleet.store import UserStore
from tradefleet.vault import Vault

DIGITS = 6
STEP = 30  # seconds
STEPS_AROUND = 1  # a clock may be so many steps off, before or after
SECRET_BYTES = 20
USE = "second factor"
SEND_DIGITS = (
    "🔐 This needs your second factor: send the six digits that your authenticator shows now."
)
WRONG_DIGITS = (
    "🔐 These digits are wrong, too old or were used already. Send the six digits that your "
    "authenticator shows now."
)
NO_VAULT = "🔐 This service cannot open its vault now; tell its operator. Nothing was changed."


def new_secret() -> Secret:
    """Return an authenticator's secret as it is typed in."""
    return Secret(base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode())


def address_of(secret: Secret, user_id: UserId) -> Secret:
    """Return the address by which an authenticator takes the secret."""
    label = quote(f"Tradefleet:{user_id}")
    return Secret(f"otpauth://totp/{label}?secret={secret.reveal()}&issuer=Tradefleet")


def name_of(user_id: UserId) -> str:
    """Return the name under which wrong digits of a user are counted."""
    return hash_of(f"second factor of {user_id}")


def digits_at(secret: Secret, step: int) -> str:
    key = base64.b32decode(secret.reveal())
    totp = TOTP(key, DIGITS, SHA1(), STEP, enforce_key_length=False)
    return totp.generate(step * STEP).decode()


def step_of(secret: Secret, digits: str, now: datetime) -> int | None:
    """Return the step of time these digits are of, None when they are of none around now."""
    said = "".join(digits.split())
    if len(said) != DIGITS or not (said.isascii() and said.isdigit()):
        return None
    here = int(now.timestamp()) // STEP
    steps = range(here - STEPS_AROUND, here + STEPS_AROUND + 1)
    right = [step for step in steps if compare_digest(digits_at(secret, step), said)]
    return right[0] if right else None


async def is_on(store: UserStore) -> bool:
    """Say whether the user is asked for a second factor."""
    factor = await store.identity.second_factor()
    return factor is not None and factor.confirmed_at is not None


async def seal(store: UserStore, vault: Vault, wrapped: bytes, now: datetime) -> Secret:
    """Give the user a new secret; nothing is asked of them until they confirmed it."""
    secret = new_secret()
    sealed = vault.seal_text(wrapped, store.user_id, USE, secret)
    await store.identity.save_second_factor(SecondFactor(sealed=sealed, made_at=now))
    return secret


async def secret_of(store: UserStore, vault: Vault, factor: SecondFactor) -> Secret:
    """Return the authenticator's secret; CannotOpen when it was tampered with."""
    wrapped = await store.wrapped_key()
    return vault.open_text(wrapped or b"", store.user_id, USE, factor.sealed)


async def prove(store: UserStore, vault: Vault, digits: str, now: datetime) -> None:
    """Take the digits; raise NeedsProof when they are missing, wrong or were used already."""
    factor = await store.identity.second_factor()
    if not digits or factor is None:
        raise NeedsProof(SEND_DIGITS)
    step = step_of(await secret_of(store, vault, factor), digits, now)
    if step is None:
        raise NeedsProof(WRONG_DIGITS)
    used = hash_of(f"second factor {store.user_id} {step}")
    until = now + timedelta(seconds=STEP * 2 * (STEPS_AROUND + 1))
    if not await store.identity.spend(used, until):
        raise NeedsProof(WRONG_DIGITS)
