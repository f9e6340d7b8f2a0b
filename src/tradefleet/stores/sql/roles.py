"""PostgreSQL's roles: the owner changes the schema, the service's own role owns nothing.

Who was granted the tables keeps them after an upgrade; so does a role of the usual name.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from tradefleet.domain.errors import Refused
from tradefleet.stores.sql.address import Address, read_address
from tradefleet.stores.sql.engine import make_engine
from tradefleet.stores.sql.faults import translated
from tradefleet.stores.sql.policies import at_once
from tradefleet.stores.sql.tables import METADATA
from tradefleet.stores.sql.tables.privacy import RENAMABLE

APP_ROLE = "tradefleet_app"
ROLE_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
SCHEMA_TABLE = "alembic_version"
# Who may add users, besides the owner.
GRANTED = """
SELECT DISTINCT pg_get_userbyid(acl.grantee) FROM pg_class, aclexplode(relacl) AS acl
WHERE relname = 'users' AND relnamespace = current_schema()::regnamespace
AND acl.privilege_type = 'INSERT' AND acl.grantee NOT IN (0, relowner)
"""
USUAL = "SELECT rolname FROM pg_roles WHERE rolname = :usual AND rolname <> current_user"
# Tables whose rows are never changed, by the trigger that refuses it.
APPEND_ONLY = """
SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
WHERE proname = 'refuse_change'
"""
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
VIEWS = "SELECT viewname FROM pg_views WHERE schemaname = current_schema()"
WHO = """
SELECT current_user AS role, rolsuper AS is_superuser, rolbypassrls AS bypasses,
EXISTS (SELECT FROM pg_class WHERE relnamespace = current_schema()::regnamespace
    AND relkind = 'r' AND pg_has_role(relowner, 'USAGE')) AS owns
FROM pg_roles WHERE rolname = current_user
"""
UNWALLED = """
SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace
AND relkind = 'r' AND relname <> :schema_table AND NOT (relrowsecurity AND relforcerowsecurity
    AND EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid))
ORDER BY relname
"""
CURE = (
    "let the service use a role that owns nothing (`tradefleet db roles`, docs/how-to/postgres.md)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wall:
    """How the second wall between users stands for one role of a PostgreSQL database."""

    role: str
    is_superuser: bool
    bypasses: bool
    owns: bool
    open_tables: Sequence[str]

    def problems(self) -> list[str]:
        """Say what is wrong with it, and the cure; [] when all is well."""
        if self.is_superuser or self.bypasses:
            what = "is a superuser" if self.is_superuser else "has BYPASSRLS"
            found = [
                f"The database role {self.role} {what}: row-level security does not bind it, and "
                f"the second wall between users does not stand; {CURE}."
            ]
        elif self.owns:
            found = [
                f"The database role {self.role} owns the tables: row-level security binds it, but "
                f"it may take the wall down; {CURE}."
            ]
        else:
            found = []
        if self.open_tables:
            names = ", ".join(self.open_tables)
            found.append(f"No row-level security before {names}: run `tradefleet db upgrade`.")
        return found


async def look_at_wall(url: str) -> Wall | None:
    """Look how the second wall stands for who connects by an address; None: SQLite has none."""
    address = read_address(url)
    if address.is_sqlite:
        return None
    engine = make_engine(address)
    try:
        with translated(address):
            async with engine.connect() as connection:
                who = (await connection.execute(text(WHO))).mappings().one()
                given = {"schema_table": SCHEMA_TABLE}
                unwalled = await connection.scalars(text(UNWALLED), given)
                return Wall(**who, open_tables=tuple(unwalled))
    finally:
        await engine.dispose()


# ---- granting


def grant_again(connection: Connection, more: Sequence[str] = ()) -> None:
    """Grant every application role what there is now; nothing to do on SQLite.

    Those are who was granted it before, more, and a role of the usual name.
    """
    if connection.dialect.name != "postgresql":
        return
    usual = connection.scalars(text(USUAL), {"usual": APP_ROLE})
    for role in sorted({*connection.scalars(text(GRANTED)), *usual, *more}):
        grant(connection, role)


def grant(connection: Connection, role: str) -> None:
    """Let a role read and write rows, and only add them where nothing is ever changed."""
    frozen = set(connection.scalars(text(APPEND_ONLY)))
    views = list(connection.scalars(text(VIEWS)))
    names = sorted(set(connection.scalars(text(TABLES))) & METADATA.tables.keys())
    to = f"TO {quoted(role)}"
    at_once(
        connection,
        [
            f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {quoted(role)}",
            f"GRANT USAGE ON SCHEMA public {to}",
            f"GRANT SELECT, INSERT ON {', '.join(names)} {to}",
            f"GRANT UPDATE, DELETE ON {', '.join(n for n in names if n not in frozen)} {to}",
            *(  # for an erasure; a trigger lets nothing else through
                f"GRANT UPDATE ({', '.join(columns)}) ON {name} {to}"
                for name, columns in RENAMABLE.items()
                if name in names
            ),
            f"GRANT SELECT ON {', '.join([SCHEMA_TABLE, *views])} {to}",
            f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public {to}",
        ],
    )


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


async def set_up_role(url: str, role: str, password: str | None) -> list[str]:
    """Make an application role when there is none, and grant it what it needs; return what to tell.

    The address is the owner's. Refused says what a superuser has to do first.
    """
    address = read_address(url)
    if address.is_sqlite:
        raise Refused("SQLite has no roles: name the address of a PostgreSQL database.")
    if not ROLE_NAME.fullmatch(role):
        raise Refused("A role's name is small letters, digits and _.")
    engine = make_engine(address)
    try:
        with translated(address):
            async with engine.begin() as connection:
                return await connection.run_sync(made_and_granted, role, password, address)
    except ProgrammingError as error:
        raise Refused(f"The database refuses: {error.orig}") from None
    finally:
        await engine.dispose()


def made_and_granted(
    connection: Connection, role: str, password: str | None, address: Address
) -> list[str]:
    who = connection.execute(text(WHO)).mappings().one()
    if who["role"] == role:
        raise Refused(f"{role} is the role of this address: name the owner's, with --db.")
    if connection.scalar(text("SELECT to_regclass('users')")) is None:
        raise Refused(f"There are no tables in {address} yet: run `tradefleet db upgrade` first.")
    lines = []
    found = connection.execute(
        text("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = :role"), {"role": role}
    ).first()
    if found is None:
        make(connection, role, password, who)
        login = "with the password given" if password else "without a password"
        lines.append(f"Made the role {role}, {login}.")
    elif any(found):
        raise Refused(f"{role} is a superuser or has BYPASSRLS: no wall binds it; name another.")
    elif password:
        connection.execute(text(f"ALTER ROLE {quoted(role)} PASSWORD {literal(password)}"))
        lines.append(f"Set the password of {role}.")
    grant(connection, role)
    with suppress(ProgrammingError), connection.begin_nested():  # where it may
        # so that restore sees who is connected, and can turn them out
        connection.execute(text(f"GRANT {quoted(role)} TO CURRENT_USER"))
    frozen = ", ".join(sorted(connection.scalars(text(APPEND_ONLY))))
    lines.append(f"Granted {role} the rows of {len(METADATA.tables)} tables; it owns none of them.")
    lines.append(f"It can add to {frozen}, and change or remove nothing there.")
    return lines


def make(connection: Connection, role: str, password: str | None, who: Any) -> None:
    secret = f" PASSWORD {literal(password)}" if password else ""
    may = text("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")
    if not connection.scalar(may):
        raise Refused(
            f"{who['role']} may not make roles. Let a superuser say CREATE ROLE {role} LOGIN "
            "PASSWORD '…'; and run this again."
        )
    connection.execute(text(f"CREATE ROLE {quoted(role)} LOGIN{secret}"))


def literal(value: str) -> str:
    """Quote a value where none can be bound; text() would take a colon for a parameter."""
    return ("'" + value.replace("'", "''") + "'").replace(":", "\\:")
