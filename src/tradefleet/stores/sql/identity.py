"""What users sign in with, as rows: one user's own, and found by hash over all users."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime
from typing import cast

from sqlalchemy import ColumnElement, bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tradefleet.domain.errors import ensure
from tradefleet.domain.ids import UserId
from tradefleet.domain.live import Data, SignInNews
from tradefleet.identity import (
    REUSE_GRACE,
    SESSION_LIFETIME,
    Failures,
    Link,
    LinkUse,
    Password,
    PersonalToken,
    RenewalFault,
    SecondFactor,
    Session,
)
from tradefleet.stores.sql import tables
from tradefleet.stores.sql.glance import known
from tradefleet.stores.sql.queries import WHOSE, Reading, own, rows, rows_of
from tradefleet.stores.sql.shapes import Shape
from tradefleet.stores.sql.statements import adding, insert_into, insert_missing, save

PASSWORD = Shape(Password, tables.passwords)
SESSION = Shape(Session, tables.sessions)
TOKEN = Shape(PersonalToken, tables.personal_tokens)
LINK = Shape(Link, tables.links)
FACTOR = Shape(SecondFactor, tables.second_factors)

SESSIONS, RENEWALS = tables.sessions.c, tables.renewals.c
LINKS, SPENT, FAILED = tables.links.c, tables.spent.c, tables.sign_in_failures.c
OWN_SESSIONS = own(tables.sessions, SESSIONS.created_at, SESSIONS.id)
OWN_SESSION = known(
    select(tables.sessions).where(SESSIONS.user_id == WHOSE, SESSIONS.id == bindparam("id"))
)
OWN_FACTOR = own(tables.second_factors)
REUSED = "its renewal was used twice"

Opened = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


async def spend(connection: AsyncConnection, hash: str, until: datetime) -> bool:
    return await insert_missing(connection, tables.spent, {"hash": hash, "until": until}) == 1


class SqlUserIdentity:
    """What one user signs in with, in that user's transaction."""

    def __init__(
        self, connection: Reading, user_id: UserId, news: list[Data], *, reading: bool
    ) -> None:
        self._connection = connection
        self._user_id = user_id
        self._news = news
        self._reading = reading

    @property
    def _writing(self) -> AsyncConnection:
        ensure(not self._reading, "a change in a transaction that was opened for reading")
        return cast(AsyncConnection, self._connection)

    async def password(self) -> Password | None:
        table = tables.passwords
        query = select(table).where(table.c.user_id == self._user_id)
        found = await rows(self._connection, query)
        return PASSWORD.read(found[0]) if found else None

    async def save_password(self, password: Password) -> None:
        row = {**PASSWORD.columns(password), "user_id": self._user_id}
        await save(self._writing, tables.passwords, row)

    async def sessions(self) -> Sequence[Session]:
        found = await rows_of(self._connection, OWN_SESSIONS, self._user_id)
        return [SESSION.read(row) for row in found]

    async def session(self, id: str) -> Session | None:
        given = {"whose": self._user_id, "id": id}
        found = await rows(self._connection, OWN_SESSION, given)
        return SESSION.read(found[0]) if found else None

    async def save_session(self, session: Session) -> None:
        ensure(session.user_id == self._user_id, "a row of another user")
        saved = await save(self._writing, tables.sessions, SESSION.columns(session))
        ensure(saved == 1, "a session of another user")
        if session.revoked_at is not None:
            self._news.append(SignInNews(session.id))

    async def save_renewal(self, session_id: str, hash: str, now: datetime) -> None:
        await keep_renewal(self._writing, self._user_id, session_id, hash, now)

    async def tokens(self) -> Sequence[PersonalToken]:
        table = tables.personal_tokens
        query = select(table).where(table.c.user_id == self._user_id)
        query = query.order_by(table.c.created_at, table.c.id)
        return [TOKEN.read(row) for row in await rows(self._connection, query)]

    async def save_token(self, token: PersonalToken) -> None:
        ensure(token.user_id == self._user_id, "a row of another user")
        await save(self._writing, tables.personal_tokens, TOKEN.columns(token))
        if token.revoked_at is not None:
            self._news.append(SignInNews(token.id))

    async def save_link(self, link: Link) -> None:
        ensure(link.user_id == self._user_id, "a row of another user")
        same = delete(tables.links).where(LINKS.user_id == link.user_id, LINKS.use == link.use)
        await self._writing.execute(same)
        await self._writing.execute(adding(tables.links), LINK.columns(link))

    async def second_factor(self) -> SecondFactor | None:
        found = await rows_of(self._connection, OWN_FACTOR, self._user_id)
        return FACTOR.read(found[0]) if found else None

    async def save_second_factor(self, factor: SecondFactor) -> None:
        row = {**FACTOR.columns(factor), "user_id": self._user_id}
        await save(self._writing, tables.second_factors, row)

    async def drop_second_factor(self) -> None:
        table = tables.second_factors
        await self._writing.execute(delete(table).where(table.c.user_id == self._user_id))

    async def spend(self, hash: str, until: datetime) -> bool:
        return await spend(self._writing, hash, until)


async def keep_renewal(
    connection: AsyncConnection, user_id: UserId, session_id: str, hash: str, now: datetime
) -> None:
    row = {"hash": hash, "user_id": user_id, "session_id": session_id, "made_at": now}
    await connection.execute(adding(tables.renewals), row)


class SqlIdentityStore:
    """Who signs in, over all users."""

    def __init__(self, reading: Opened, writing: Opened) -> None:
        self._reading = reading
        self._writing = writing

    async def session(self, id: str) -> Session | None:
        async with self._reading() as connection:
            return await session_of(connection, id)

    async def token(self, hash: str) -> PersonalToken | None:
        table = tables.personal_tokens
        async with self._reading() as connection:
            found = await rows(connection, select(table).where(table.c.hash == hash))
        return TOKEN.read(found[0]) if found else None

    async def renew(self, old: str, new: str, now: datetime) -> Session | RenewalFault:
        async with self._writing() as connection:
            use = update(tables.renewals).where(RENEWALS.hash == old, RENEWALS.used_at.is_(None))
            won = (await connection.execute(use.values(used_at=now))).rowcount == 1
            query = select(tables.renewals).where(RENEWALS.hash == old)
            found = await rows(connection, query)
            session = await session_of(connection, found[0]["session_id"]) if found else None
            if session is None:
                return RenewalFault.UNKNOWN
            if not session.is_open(now):
                return RenewalFault.ENDED
            if not won:
                if now - found[0]["used_at"] <= REUSE_GRACE:
                    return RenewalFault.USED
                session = replace(session, revoked_at=now, revoked_because=REUSED)
                await save(connection, tables.sessions, SESSION.columns(session))
                return RenewalFault.STOLEN
            session = replace(session, seen_at=now, expires_at=now + SESSION_LIFETIME)
            await save(connection, tables.sessions, SESSION.columns(session))
            await keep_renewal(connection, session.user_id, session.id, new, now)
            return session

    async def link(self, hash: str, use: LinkUse, now: datetime) -> Link | None:
        async with self._reading() as connection:
            query = select(tables.links).where(*still_works(hash, use, now))
            found = await rows(connection, query)
        return LINK.read(found[0]) if found else None

    async def open_link(self, hash: str, use: LinkUse, now: datetime) -> Link | None:
        async with self._writing() as connection:
            gone = delete(tables.links).where(*still_works(hash, use, now))
            found = await rows(connection, gone.returning(*LINKS))
        return LINK.read(found[0]) if found else None

    async def spend(self, hash: str, until: datetime) -> bool:
        async with self._writing() as connection:
            return await spend(connection, hash, until)

    async def failures(self, name: str) -> Failures:
        async with self._reading() as connection:
            return await failures_of(connection, name)

    async def note_failure(self, name: str, now: datetime) -> Failures:
        table = tables.sign_in_failures
        async with self._writing() as connection:
            first = insert_into(table, connection.dialect.name).values(
                name=name, count=1, last_at=now
            )
            counted = first.on_conflict_do_update(
                index_elements=["name"], set_={"count": FAILED["count"] + 1, "last_at": now}
            )
            await connection.execute(counted)
            return await failures_of(connection, name)

    async def forget_failures(self, name: str) -> None:
        async with self._writing() as connection:
            await connection.execute(delete(tables.sign_in_failures).where(FAILED.name == name))

    async def forget_old(self, now: datetime) -> int:
        ended = select(SESSIONS.id).where(SESSIONS.expires_at <= now - SESSION_LIFETIME)
        statements = (
            delete(tables.links).where(LINKS.expires_at <= now),
            delete(tables.spent).where(SPENT.until <= now),
            delete(tables.sign_in_failures).where(FAILED.last_at <= now - SESSION_LIFETIME),
            delete(tables.renewals).where(RENEWALS.session_id.in_(ended)),
            delete(tables.sessions).where(SESSIONS.expires_at <= now - SESSION_LIFETIME),
        )
        async with self._writing() as connection:
            return sum([(await connection.execute(each)).rowcount for each in statements])


def still_works(hash: str, use: LinkUse, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return LINKS.hash == hash, LINKS.use == use.value, LINKS.expires_at > now


async def session_of(connection: AsyncConnection, id: str) -> Session | None:
    found = await rows(connection, select(tables.sessions).where(SESSIONS.id == id))
    return SESSION.read(found[0]) if found else None


async def failures_of(connection: AsyncConnection, name: str) -> Failures:
    table = tables.sign_in_failures
    found = await rows(connection, select(table).where(FAILED.name == name))
    return Failures(count=found[0]["count"], last_at=found[0]["last_at"]) if found else Failures()
