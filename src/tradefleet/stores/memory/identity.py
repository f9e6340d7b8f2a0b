"""What users sign in with, in memory: one user's own, and found by hash over all users."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from tradefleet.domain.errors import ensure
from tradefleet.domain.ids import UserId
from tradefleet.domain.live import SignInNews
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
from tradefleet.stores.memory.rows import Draft, Renewal, Rows
from tradefleet.stores.memory.shared import Shared

K = TypeVar("K")
V = TypeVar("V")
REUSED = "its renewal was used twice"


class MemoryUserIdentity:
    """What one user signs in with, in that user's transaction."""

    def __init__(self, user_id: UserId, draft: Draft) -> None:
        self._user_id = user_id
        self._draft = draft

    def _check_owner(self, user_id: UserId) -> None:
        ensure(user_id == self._user_id, "a row of another user")

    async def password(self) -> Password | None:
        return self._draft.passwords.get(self._user_id)

    async def save_password(self, password: Password) -> None:
        self._draft.passwords[self._user_id] = password

    async def sessions(self) -> Sequence[Session]:
        return sorted(self._draft.sessions.values(), key=lambda each: (each.created_at, each.id))

    async def session(self, id: str) -> Session | None:
        return self._draft.sessions.get(id)

    async def save_session(self, session: Session) -> None:
        self._check_owner(session.user_id)
        self._draft.sessions[session.id] = session
        if session.revoked_at is not None:
            self._draft.news.append(SignInNews(session.id))

    async def save_renewal(self, session_id: str, hash: str, now: datetime) -> None:
        ensure(session_id in self._draft.sessions, "a session of another user")
        self._draft.renewals[hash] = Renewal(session_id)

    async def tokens(self) -> Sequence[PersonalToken]:
        return sorted(self._draft.tokens.values(), key=lambda each: (each.created_at, each.id))

    async def save_token(self, token: PersonalToken) -> None:
        self._check_owner(token.user_id)
        self._draft.tokens[token.id] = token
        if token.revoked_at is not None:
            self._draft.news.append(SignInNews(token.id))

    async def save_link(self, link: Link) -> None:
        self._check_owner(link.user_id)
        self._draft.links[link.use] = link

    async def second_factor(self) -> SecondFactor | None:
        return self._draft.factors.get(self._user_id)

    async def save_second_factor(self, factor: SecondFactor) -> None:
        self._draft.factors[self._user_id] = factor

    async def drop_second_factor(self) -> None:
        self._draft.factors[self._user_id] = None

    async def spend(self, hash: str, until: datetime) -> bool:
        if hash in self._draft.spent:
            return False
        self._draft.spent[hash] = until
        return True


@dataclass(frozen=True, slots=True)
class MemoryIdentityStore:
    """Who signs in, over all users."""

    rows: Mapping[UserId, Rows]
    shared: Shared

    def _everybody(self) -> Iterator[Rows]:
        return iter(self.rows.values())

    async def session(self, id: str) -> Session | None:
        found = (rows.sessions.get(id) for rows in self._everybody())
        return next(filter(None, found), None)

    async def token(self, hash: str) -> PersonalToken | None:
        tokens = (token for rows in self._everybody() for token in rows.tokens.values())
        return next((token for token in tokens if token.hash == hash), None)

    async def renew(self, old: str, new: str, now: datetime) -> Session | RenewalFault:
        rows = next((rows for rows in self._everybody() if old in rows.renewals), None)
        if rows is None:
            return RenewalFault.UNKNOWN
        renewal = rows.renewals[old]
        session = rows.sessions[renewal.session_id]
        if not session.is_open(now):
            return RenewalFault.ENDED
        if renewal.used_at is not None:
            if now - renewal.used_at <= REUSE_GRACE:
                return RenewalFault.USED
            ended = replace(session, revoked_at=now, revoked_because=REUSED)
            rows.sessions[session.id] = ended
            return RenewalFault.STOLEN
        rows.renewals[old] = replace(renewal, used_at=now)
        session = replace(session, seen_at=now, expires_at=now + SESSION_LIFETIME)
        rows.sessions[session.id] = session
        rows.renewals[new] = Renewal(session.id)
        return session

    def _link(self, hash: str, use: LinkUse, now: datetime) -> tuple[Rows, Link] | None:
        for rows in self._everybody():
            link = rows.links.get(use)
            if link is not None and link.hash == hash and link.expires_at > now:
                return rows, link
        return None

    async def link(self, hash: str, use: LinkUse, now: datetime) -> Link | None:
        found = self._link(hash, use, now)
        return found[1] if found else None

    async def open_link(self, hash: str, use: LinkUse, now: datetime) -> Link | None:
        found = self._link(hash, use, now)
        if found is None:
            return None
        rows, link = found
        rows.links[use] = None
        return link

    async def spend(self, hash: str, until: datetime) -> bool:
        if hash in self.shared.spent:
            return False
        self.shared.spent[hash] = until
        return True

    async def failures(self, name: str) -> Failures:
        return self.shared.failures.get(name, Failures())

    async def note_failure(self, name: str, now: datetime) -> Failures:
        before = await self.failures(name)
        self.shared.failures[name] = Failures(count=before.count + 1, last_at=now)
        return self.shared.failures[name]

    async def forget_failures(self, name: str) -> None:
        self.shared.failures.pop(name, None)

    async def forget_old(self, now: datetime) -> int:
        long_ago = now - SESSION_LIFETIME
        shared = self.shared
        late = {name for name, e in shared.failures.items() if (e.last_at or now) <= long_ago}
        dropped = drop(shared.failures, late) + drop(shared.spent, past(shared.spent, now))
        for rows in self._everybody():
            links = {hash: link.expires_at for hash, link in rows.links.items() if link is not None}
            dropped += drop(rows.spent, past(rows.spent, now))
            dropped += drop(rows.links, past(links, now))
            ended = {id for id, each in rows.sessions.items() if each.expires_at <= long_ago}
            renewals = {hash for hash, r in rows.renewals.items() if r.session_id in ended}
            dropped += drop(rows.renewals, renewals) + drop(rows.sessions, ended)
        return dropped


def past(ends: Mapping[K, datetime], now: datetime) -> set[K]:
    return {key for key, end in ends.items() if end <= now}


def drop(table: dict[K, V], old: Collection[K]) -> int:
    """Remove what is old; return how many they were."""
    for key in old:
        del table[key]
    return len(old)
