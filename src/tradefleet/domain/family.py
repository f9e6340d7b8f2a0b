"""The master account and its members, as environment variables and a users file name them.

KRAKEN_MASTER_API_KEY and KRAKEN_MASTER_API_SECRET belong to the master; a member's variables
are KRAKEN_USER_<FIRSTNAME>_API_KEY and _API_SECRET, FIRSTNAME being the user's id up to its
first underscore, in capitals.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tradefleet.domain.credentials import Credentials, Secret
from tradefleet.domain.errors import Refused
from tradefleet.domain.ids import UserId
from tradefleet.domain.limits import RiskLimits

MASTER = "master"
MASTER_LIMITS = RiskLimits.default().overridden_by(RiskLimits(open_positions_max=8))
MEMBER_LIMITS = RiskLimits.default().overridden_by(
    RiskLimits(open_positions_max=7, position_quote_max=Decimal(300), daily_loss_quote=Decimal(150))
)
MEMBER_ID = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
VARIABLE = re.compile(r"KRAKEN_USER_(?P<first>[A-Z0-9]+)_API_(KEY|SECRET)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A member as the users file lists them; limits are the defaults where it says none."""

    id: UserId
    name: str = ""
    limits: RiskLimits = MEMBER_LIMITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """The master (number 0) or a member; without credentials `missing` says what to set."""

    id: UserId
    name: str
    number: int
    limits: RiskLimits
    credentials: Credentials | None = None
    missing: str = ""

    @property
    def is_master(self) -> bool:
        return self.number == 0

    @property
    def short(self) -> str:
        """How start-up lines call them: Master, User #1."""
        return "Master" if self.is_master else f"User #{self.number}"

    @property
    def first_name(self) -> str:
        return self.name.split()[0]

    @property
    def label(self) -> str:
        """How cycle lines call them: MASTER, USER:first_user."""
        return "MASTER" if self.is_master else f"USER:{self.id}"


LIMIT_NAMES = {
    "positions": "open_positions_max",
    "position_quote": "position_quote_max",
    "daily_loss_quote": "daily_loss_quote",
}


def listed_from(table: Mapping[str, object]) -> list[Listed]:
    """Read a users file: [[users]] with id, name, positions, position_quote, daily_loss_quote.

    Refused names the entry and what is wrong with it.
    """
    entries = table.get("users", [])
    if unknown := sorted(table.keys() - {"users"}):
        raise Refused(f"the users file knows [[users]] only, not {', '.join(unknown)}.")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Refused('the users file lists users like this: [[users]] id = "first_user"')
    return [_listed(number, entry) for number, entry in enumerate(entries, start=1)]


def _listed(number: int, entry: Mapping[str, object]) -> Listed:
    where = f"user {number} of the users file"
    if unknown := sorted(entry.keys() - {"id", "name", *LIMIT_NAMES}):
        raise Refused(
            f"{where}: {', '.join(unknown)} means nothing here; there are id, name, "
            f"{', '.join(LIMIT_NAMES)}."
        )
    id, name = entry.get("id"), entry.get("name", "")
    if not isinstance(id, str) or not isinstance(name, str):
        raise Refused(f'{where}: write id = "first_user" and name = "First User".')
    own: dict[str, Any] = {}
    for said, field in LIMIT_NAMES.items():
        value = entry.get(said)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 10**9:
            raise Refused(f"{where}: {said} must be a number above zero, not {value!r}.")
        own[field] = int(value) if said == "positions" else Decimal(str(value))
    return Listed(id=UserId(id), name=name, limits=MEMBER_LIMITS.overridden_by(RiskLimits(**own)))


def first_name_of(user_id: str) -> str:
    """Return the part of a user's id that names their variables: first_user → FIRST."""
    return user_id.partition("_")[0].upper()


def family_of(variables: Mapping[str, str], listed: Sequence[Listed] = ()) -> list[Member]:
    """Return the master, when it has variables, and the members in their order.

    Listed ones come first, as listed, then those only variables name, by name. Refused: two ids
    with one FIRSTNAME, which would share their keys, or an id that cannot name variables.
    """
    _check(listed)
    firsts = {first_name_of(member.id) for member in listed}
    found = {m["first"] for name in variables if (m := VARIABLE.fullmatch(name))}
    everybody = [*listed, *(Listed(id=UserId(f.lower())) for f in sorted(found - firsts))]
    members = [
        _member(number, member, f"KRAKEN_USER_{first_name_of(member.id)}", variables)
        for number, member in enumerate(everybody, start=1)
    ]
    if any(name.startswith("KRAKEN_MASTER_API_") for name in variables):
        master = Listed(id=UserId(MASTER), name="Master", limits=MASTER_LIMITS)
        members.insert(0, _member(0, master, "KRAKEN_MASTER", variables))
    return members


def _check(listed: Sequence[Listed]) -> None:
    by_first: dict[str, list[str]] = defaultdict(list)
    for member in listed:
        if not MEMBER_ID.fullmatch(member.id) or member.id == MASTER:
            raise Refused(
                f"{member.id!r} cannot be a user id here: write it like first_user, in small "
                "letters, digits and underscores."
            )
        by_first[first_name_of(member.id)].append(member.id)
    for first, ids in by_first.items():
        if len(ids) > 1:
            raise Refused(
                f"{' and '.join(ids)} would both use KRAKEN_USER_{first}_API_KEY; "
                "give them ids that differ before the first underscore."
            )


def _member(number: int, listed: Listed, prefix: str, variables: Mapping[str, str]) -> Member:
    key, secret = (variables.get(f"{prefix}_API_{part}", "") for part in ("KEY", "SECRET"))
    return Member(
        id=listed.id,
        name=listed.name or " ".join(part.capitalize() for part in listed.id.split("_")),
        number=number,
        limits=listed.limits,
        credentials=_credentials(key, secret),
        missing=_missing(prefix, key, secret),
    )


def _credentials(key: str, secret: str) -> Credentials | None:
    if not key.strip() or not secret.strip():
        return None
    return Credentials(api_key=Secret(key.strip()), api_secret=Secret(secret.strip()))


def _missing(prefix: str, key: str, secret: str) -> str:
    """Say which variables to set; nothing when both are there."""
    unset = [f"{prefix}_API_{n}" for n, v in (("KEY", key), ("SECRET", secret)) if not v.strip()]
    return f"set {' and '.join(unset)}" if unset else ""
