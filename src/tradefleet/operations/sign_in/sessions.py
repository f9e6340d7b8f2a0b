"""Sessions: opened by whatever signs somebody in, renewed, ended; and whose a request is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from tradefleet import second_factor
from tradefleet.clock import Clock, Ids
from tradefleet.domain.audit import Acting
from tradefleet.domain.credentials import Secret
from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.errors import NeedsProof, NotSignedIn, Refused, TooMany
from tradefleet.domain.ids import UserId
from tradefleet.domain.user import Role, User
from tradefleet.identity import (
    SESSION_LIFETIME,
    SESSIONS_MAX,
    TOKEN_PREFIX,
    Link,
    LinkUse,
    Password,
    RenewalFault,
    Right,
    Session,
    all_rights,
    drawn,
    hash_of,
    seconds_locked,
)
from tradefleet.keyring import user_key
from tradefleet.operations.sign_in.access import LIFETIME, NOT_VALID, AccessTokens
from tradefleet.operations.sign_in.passwords import Passwords, check_new
from tradefleet.operations.sign_in.telegram import Telling, read_mini_app, read_widget
from tradefleet.operations.sign_in.throttle import Throttle
from tradefleet.store import Store, UserStore, acting
from tradefleet.vault import CannotOpen, Vault

STRONG_FOR = timedelta(minutes=5)
RENEWAL_PREFIX = "tfr_"
SHOWN_MAX = 512  # characters of anything that is shown to sign in
WRONG = "Name or password is wrong."
NO_TELEGRAM = "This service has no Telegram bot, so nobody signs in with Telegram here."
NOT_REGISTERED = "You are not registered yet; send /start to the bot first."
LINK_CLOSED = "This link was used already or is too old; ask the bot for a new one."
RENEWAL_REUSED = (
    "What renews your session was used twice, so somebody may have a copy of it: the session was "
    "ended. Sign in again."
)
NEW_SIGN_IN = (
    "🔐 Somebody signed in as you by {how}, from {place}. If that was not you: /signout all ends "
    "every session, and /password sets a new password."
)
NEW_PASSWORD = (
    "🔐 Your password was changed, and all your sessions were ended. If that was not you: "
    "/password sets another one."
)
TOO_MANY_DIGITS = "Too many wrong digits; try again in {seconds:.0f} s."


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What somebody has who signed in: for an hour, and to renew that."""

    access: Secret
    renewal: Secret
    session: Session
    seconds: int = int(LIFETIME.total_seconds())


@dataclass(frozen=True, slots=True)
class Known:
    """Who shows a token that is valid, and what they may do with it; session: its id."""

    user: User
    rights: frozenset[Right]
    session: str
    strong: bool
    in_person: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """The ways in; bot_token: the Telegram bot's, whose word about its users counts."""

    store: Store
    clock: Clock
    ids: Ids
    access: AccessTokens
    passwords: Passwords
    throttle: Throttle
    vault: Vault | None = None
    bot_token: Secret | None = None

    # ---- the ways in

    async def by_password(
        self, name: str, password: Secret, address: str, digits: str = ""
    ) -> SignedIn:
        """Sign a user in by id or name; how long it takes does not tell whether there is one."""
        if not name.isprintable() or max(len(name), len(password.reveal())) > SHOWN_MAX:
            raise NotSignedIn(WRONG)
        await self.throttle.admit(address, name)
        user = await self._find(name)
        kept = await self._password_of(user)
        if not await self.passwords.is_right(password, kept.hash if kept else None) or not user:
            await self.throttle.failed(name)
            raise NotSignedIn(WRONG)
        await self.throttle.succeeded(name)
        return await self._open(user.id, "password", address, digits)

    async def by_link(self, code: str, address: str) -> SignedIn:
        """Sign in whoever holds a link that their bot gave them."""
        await self.throttle.admit_from(address)
        opened = await self._open_link(code, LinkUse.SIGN_IN)
        return await self._open(opened, "link", address)

    async def by_widget(self, fields: Mapping[str, object], address: str) -> SignedIn:
        await self.throttle.admit_from(address)
        return await self._by_telegram(
            read_widget(fields, self._bot_token, self.clock.now()), "Telegram", address
        )

    async def by_mini_app(self, init_data: str, address: str) -> SignedIn:
        await self.throttle.admit_from(address)
        return await self._by_telegram(
            read_mini_app(init_data, self._bot_token, self.clock.now()), "Mini App", address
        )

    @property
    def _bot_token(self) -> Secret:
        if self.bot_token is None:
            raise Refused(NO_TELEGRAM)
        return self.bot_token

    async def _by_telegram(self, telling: Telling, how: str, address: str) -> SignedIn:
        spent = hash_of(f"telegram {telling.mark}")
        if not await self.store.identity.spend(spent, telling.until):
            raise NotSignedIn(NOT_VALID)
        user = await self.store.find_user(telegram_id=telling.telegram_id)
        if user is None:
            raise NotSignedIn(NOT_REGISTERED)
        return await self._open(user.id, how, address)

    async def _find(self, name: str) -> User | None:
        async with self.store.open(UserId(name.strip().lower()), reading=True) as store:
            user = await store.user()
        return user or await self.store.find_user(username=name.strip())

    async def _password_of(self, user: User | None) -> Password | None:
        async with self.store.open(user.id if user else UserId(""), reading=True) as store:
            return await store.identity.password()

    async def _open(self, user_id: UserId, how: str, address: str, digits: str = "") -> SignedIn:
        now = self.clock.now()
        strong = await self._strength(user_id, digits) if digits else False
        session = Session(
            id=self.ids.new(),
            user_id=user_id,
            how=how,
            address=address,
            created_at=now,
            seen_at=now,
            expires_at=now + SESSION_LIFETIME,
            strong_until=now + STRONG_FOR if strong else None,
        )
        renewal = drawn(RENEWAL_PREFIX)
        async with self.store.open(user_id) as store:
            if not await is_usual(store, session):
                await tell(store, NEW_SIGN_IN.format(how=how, place=address or "here"), now)
            await end_oldest(store, self.clock)
            await store.identity.save_session(session)
            await store.identity.save_renewal(session.id, hash_of(renewal.reveal()), now)
            with acting(themselves(user_id, address)):
                await store.audit("signed_in", {"how": how})
        return SignedIn(self.access.sign(session, now), renewal, session)

    # ---- what goes on

    async def renew(self, renewal: str) -> SignedIn:
        """Renew a session, once; a renewal that was used before ends it."""
        if len(renewal) > SHOWN_MAX or not renewal.startswith(RENEWAL_PREFIX):
            raise NotSignedIn(NOT_VALID)
        now, fresh = self.clock.now(), drawn(RENEWAL_PREFIX)
        hashes = hash_of(renewal), hash_of(fresh.reveal())
        found = await self.store.identity.renew(*hashes, now)
        match found:
            case Session():
                return SignedIn(self.access.sign(found, now), fresh, found)
            case RenewalFault.STOLEN:
                raise NotSignedIn(RENEWAL_REUSED)
            case RenewalFault.UNKNOWN | RenewalFault.ENDED | RenewalFault.USED:
                raise NotSignedIn(NOT_VALID)
            case _:
                assert_never(found)

    async def known(self, shown: str) -> Known:
        """Return whose token this is; raise NotSignedIn when it is nobody's (any more)."""
        if shown.startswith(TOKEN_PREFIX):
            return await self._by_token(shown)
        now = self.clock.now()
        said = self.access.read(shown, now)
        async with self.store.open(said.user_id, reading=True) as store:
            user = await store.user()
            session = await store.identity.session(said.session_id)
            has_factor = await second_factor.is_on(store)
        if user is None or session is None or not session.is_open(now):
            raise NotSignedIn(NOT_VALID)
        lately = session.strong_until is not None and now < session.strong_until
        rights = all_rights([Right.ADMIN], is_admin=user.role is Role.ADMIN)
        return Known(user, rights, session.id, strong=lately or not has_factor, in_person=True)

    async def _by_token(self, shown: str) -> Known:
        if len(shown) > SHOWN_MAX:
            raise NotSignedIn(NOT_VALID)
        token = await self.store.identity.token(hash_of(shown))
        if token is None or not token.is_open(self.clock.now()):
            raise NotSignedIn(NOT_VALID)
        async with self.store.open(token.user_id, reading=True) as store:
            user = await store.user()
            has_factor = await second_factor.is_on(store)
        if user is None:
            raise NotSignedIn(NOT_VALID)
        rights = all_rights(token.rights, is_admin=user.role is Role.ADMIN)
        return Known(user, rights, token.id, strong=not has_factor, in_person=False)

    async def strengthen(self, known: Known, digits: str) -> None:
        """Let a session change live trading for a while; NeedsProof when the digits are wrong."""
        if not known.in_person:
            raise Refused("A personal token brings the digits with each request that needs them.")
        if not await self._strength(known.user.id, digits):
            raise Refused("You have no second factor; /totp sets one up.")
        until = self.clock.now() + STRONG_FOR
        async with self.store.open(known.user.id) as store:
            if session := await store.identity.session(known.session):
                await store.identity.save_session(replace(session, strong_until=until))

    async def end(self, known: Known) -> None:
        """End the session somebody is signed in with."""
        async with self.store.open(known.user.id) as store:
            await end_sessions(store, self.clock, "you signed out", only=known.session)

    # ---- the second factor

    async def _strength(self, user_id: UserId, digits: str) -> bool:
        """Say whether the second factor was given; False: there is none. Raise NeedsProof."""
        async with self.store.open(user_id, reading=True) as store:
            if not await second_factor.is_on(store):
                return False
        await self._count_digits(user_id, digits)
        return True

    async def _count_digits(self, user_id: UserId, digits: str) -> None:
        name, now = second_factor.name_of(user_id), self.clock.now()
        seconds = seconds_locked(await self.store.identity.failures(name), now)
        if seconds > 0:
            raise TooMany(TOO_MANY_DIGITS.format(seconds=seconds), seconds)
        if self.vault is None:
            raise Refused(second_factor.NO_VAULT)
        try:
            async with self.store.open(user_id) as store:
                await second_factor.prove(store, self.vault, digits, now)
        except NeedsProof:
            await self.store.identity.note_failure(name, now)
            raise
        except CannotOpen:
            raise Refused(second_factor.NO_VAULT) from None
        await self.store.identity.forget_failures(name)

    async def show_second_factor(self, code: str) -> tuple[UserId, Secret]:
        """Return the secret that waits for its confirmation, made if there is none."""
        link = await self.look(code, LinkUse.SECOND_FACTOR)
        if self.vault is None:
            raise Refused(second_factor.NO_VAULT)
        async with self.store.open(link) as store:
            factor = await store.identity.second_factor()
            if factor is not None and factor.confirmed_at is not None:
                raise Refused("Your second factor is on already; /totp off takes it away first.")
            if factor is not None:
                return link, await second_factor.secret_of(store, self.vault, factor)
            wrapped = await user_key(store, self.vault)
            return link, await second_factor.seal(store, self.vault, wrapped, self.clock.now())

    async def confirm_second_factor(self, code: str, digits: str) -> None:
        """Ask for the second factor from now on; NeedsProof when the digits are wrong."""
        user_id = await self.look(code, LinkUse.SECOND_FACTOR)
        await self._count_digits(user_id, digits)
        await self._open_link(code, LinkUse.SECOND_FACTOR)
        async with self.store.open(user_id) as store:
            factor = await store.identity.second_factor()
            if factor is None:
                raise Refused(LINK_CLOSED)
            now = self.clock.now()
            await store.identity.save_second_factor(replace(factor, confirmed_at=now))
            with acting(themselves(user_id)):
                await store.audit("second_factor_on", {})

    # ---- links and passwords

    async def look(self, code: str, use: LinkUse) -> UserId:
        """Return whose link this is, without opening it; Refused when it works no more."""
        now = self.clock.now()
        link = await self.store.identity.link(hash_of(code[:SHOWN_MAX]), use, now)
        if link is None:
            raise NotSignedIn(LINK_CLOSED)
        return link.user_id

    async def _open_link(self, code: str, use: LinkUse) -> UserId:
        return (await self.take_link(code, use)).user_id

    async def take_link(self, code: str, use: LinkUse) -> Link:
        """Open a link, once; NotSignedIn when it works no more."""
        now = self.clock.now()
        link = await self.store.identity.open_link(hash_of(code[:SHOWN_MAX]), use, now)
        if link is None:
            raise NotSignedIn(LINK_CLOSED)
        return link

    async def give_link_again(self, link: Link) -> Secret:
        """Return the code of a link in place of one that was opened in vain; it ends no later."""
        code = drawn()
        async with self.store.open(link.user_id) as store:
            await store.identity.save_link(replace(link, hash=hash_of(code.reveal())))
        return code

    async def set_password_by_link(self, code: str, password: Secret) -> User:
        """Set the password of whoever holds the link, and end all their sessions."""
        user_id = await self.look(code, LinkUse.PASSWORD)
        async with self.store.open(user_id, reading=True) as store:
            user = await store.user()
        if user is None:
            raise NotSignedIn(LINK_CLOSED)
        check_new(password, (user.id, user.username))
        hash = await self.passwords.hash(password)
        await self._open_link(code, LinkUse.PASSWORD)
        with acting(themselves(user.id)):
            await keep_password(self.store, self.clock, user.id, hash)
        return user


def themselves(user_id: UserId, address: str = "") -> Acting:
    """Return that a user acts on our pages, or signs in by them."""
    return Acting(actor=user_id, role=Role.USER.value, surface="web", address=address)


async def is_usual(store: UserStore, session: Session) -> bool:
    """Say whether a session like this one, opened that way from there, is still open."""
    return any(
        (each.how, each.address) == (session.how, session.address)
        and each.is_open(session.created_at)
        for each in await store.identity.sessions()
    )


async def tell(store: UserStore, text: str, now: datetime) -> None:
    """Let a user hear of what somebody else may have done in their name."""
    user = await store.user()
    if user is not None:
        await store.notify(Notify(user.id, Topic.SECURITY, text, now, priority=1))


async def keep_password(store: Store, clock: Clock, user_id: UserId, hash: str) -> None:
    """Put a password in place of the one before, whose sessions end."""
    async with store.open(user_id) as own:
        if await own.identity.password() is not None:
            await tell(own, NEW_PASSWORD, clock.now())
        await own.identity.save_password(Password(hash=hash, changed_at=clock.now()))
        await end_sessions(own, clock, "your password was changed")
        await own.audit("password_changed", {})


async def end_sessions(store: UserStore, clock: Clock, why: str, *, only: str = "") -> int:
    """End a user's open sessions, or one; return how many."""
    now, ended = clock.now(), 0
    for session in await store.identity.sessions():
        if session.is_open(now) and only in ("", session.id):
            gone = replace(session, revoked_at=now, revoked_because=why)
            await store.identity.save_session(gone)
            ended += 1
    return ended


async def end_oldest(store: UserStore, clock: Clock) -> None:
    """Make room for another session: the one that was unused longest ends."""
    now = clock.now()
    there = [each for each in await store.identity.sessions() if each.is_open(now)]
    there.sort(key=lambda each: (each.seen_at, each.id))
    for session in there[: max(0, len(there) + 1 - SESSIONS_MAX)]:
        gone = replace(session, revoked_at=now, revoked_because="you have too many")
        await store.identity.save_session(gone)
