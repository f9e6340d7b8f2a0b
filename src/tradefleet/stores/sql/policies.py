"""PostgreSQL's second wall: which rows a transaction sees and writes, said for every table.

The first wall is a user store that knows one user only. This one stands under it, in the database:
a transaction that names its user sees and writes that user's rows; one that says that it works for
the system sees all; one that says neither sees nothing. Both settings end with the transaction.

Policies are made anew by every upgrade, as views are, for every table there is: a new one needs
no line here unless transactions of users have business in it without a user_id.
"""

from sqlalchemy import Connection, Table, text

from tradefleet.stores.sql.tables import METADATA

USER_SETTING, SCOPE_SETTING = "tradefleet.user_id", "tradefleet.scope"
SYSTEM = "system"
# Asked once for a statement, not once for a row: that is what the subqueries are for.
TENANT = f"(SELECT NULLIF(current_setting('{USER_SETTING}', true), ''))"
IN_SYSTEM = f"(SELECT current_setting('{SCOPE_SETTING}', true)) = '{SYSTEM}'"
EVERYBODY = "true"

# What is no user's own, and what users' transactions read in it nevertheless ...
READ_BY_ALL = {
    "signals": EVERYBODY,  # what strategies said of markets
    "switches": "user_id IS NULL",  # the operator's, over everybody
}
# ... and write: hashes of what is of one use, so that nothing is used twice.
USED_BY_ALL = {"spent": EVERYBODY}


def is_mine(table: Table) -> str | None:
    """Return which rows are a user's own; None: the table is of no user."""
    if table.name == "users":
        return f"id = {TENANT}"
    return f"user_id = {TENANT}" if "user_id" in table.c else None


def policies(table: Table) -> list[str]:
    """Return the statements that say who sees and writes what; several are joined by OR."""
    mine = USED_BY_ALL.get(table.name) or is_mine(table)
    rule = f"{IN_SYSTEM} OR {mine}" if mine else IN_SYSTEM
    found = [f"CREATE POLICY tenant ON {table.name} USING ({rule}) WITH CHECK ({rule})"]
    if which := READ_BY_ALL.get(table.name):
        found.append(f"CREATE POLICY everybody ON {table.name} FOR SELECT USING ({which})")
    return found


KNOWN = "SELECT tablename, policyname FROM pg_policies WHERE schemaname = current_schema()"
STATES = (
    "SELECT relname, relrowsecurity AND relforcerowsecurity FROM pg_class"
    " WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
)


def build_all(connection: Connection) -> None:
    """Put up the wall before every table; on SQLite there is none to put up."""
    if connection.dialect.name != "postgresql":
        return
    known = {(row[0], row[1]) for row in connection.execute(text(KNOWN))}
    walled = {row[0]: row[1] for row in connection.execute(text(STATES))}
    statements = [f"DROP POLICY {policy} ON {table}" for table, policy in sorted(known)]
    for table in filter(lambda table: table.name in walled, METADATA.sorted_tables):
        if not walled[table.name]:
            statements.append(f"ALTER TABLE {table.name} ENABLE ROW LEVEL SECURITY")
            statements.append(f"ALTER TABLE {table.name} FORCE ROW LEVEL SECURITY")
        statements += policies(table)
    at_once(connection, statements)


def at_once(connection: Connection, statements: list[str]) -> None:
    """Run statements without values, in one round trip."""
    connection.exec_driver_sql(f"DO $all$ BEGIN {'; '.join(statements)}; END $all$")


def say_system(connection: Connection) -> None:
    """Let the rest of a transaction see all rows."""
    if connection.dialect.name == "postgresql":
        connection.execute(FOR_SYSTEM)


FOR_SYSTEM = text(f"SELECT set_config('{SCOPE_SETTING}', '{SYSTEM}', true)")
SESSION_FOR_SYSTEM = {SCOPE_SETTING: SYSTEM}  # of a connection that is no pool's and no user's
# The scope is taken away again where a role has it by default, as an owner's may be.
NAMED = f"set_config('{USER_SETTING}', :user_id, true), set_config('{SCOPE_SETTING}', '', true)"
FOR_USER = text(f"SELECT {NAMED}")
# The lock lets a user's transactions run one after the other.
FOR_USER_ALONE = text(f"SELECT {NAMED}, pg_advisory_xact_lock(hashtextextended(:user_id, 0))")
