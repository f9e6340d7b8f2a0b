"""The register of users, for the operator at the machine: the first admin is made here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tradefleet.clock import Clock
from tradefleet.domain.credentials import Secret
from tradefleet.domain.errors import NotThere, Refused
from tradefleet.domain.ids import UserId
from tradefleet.domain.user import Role, User
from tradefleet.operations.sign_in.passwords import Passwords, check_new
from tradefleet.operations.sign_in.sessions import keep_password
from tradefleet.store import Store, UserStore

ALREADY = (
    "There is a user {user} already; `tradefleet users admin {user}` makes them an admin, "
    "`tradefleet users password {user}` sets their password."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Adds and changes users; nobody has a password before one was set."""

    store: Store
    clock: Clock
    passwords: Passwords
    users_max: int

    async def users(self) -> Sequence[User]:
        found = []
        for user_id in await self.store.user_ids():
            async with self.store.open(user_id, reading=True) as store:
                user = await store.user()
            found += [] if user is None else [user]
        return found

    async def add(self, user_id: UserId, username: str, role: Role) -> User:
        """Register a user; Refused when there is one of that name."""
        if len(await self.store.user_ids()) >= self.users_max:
            raise Refused("There is no room for another user: raise MAX_CONCURRENT_USERS.")
        user = User(id=user_id, username=username, created_at=self.clock.now(), role=role)
        async with self.store.open(user_id) as store:
            if await store.user() is not None:
                raise Refused(ALREADY.format(user=user_id))
            await store.save_user(user)
            await store.audit("registered", {"role": role.value})
        return user

    async def set_role(self, user_id: UserId, role: Role) -> User:
        async with self.store.open(user_id) as store:
            user = replace(await there(store), role=role)
            await store.save_user(user)
            await store.audit("role_changed", {"role": role.value})
        return user

    async def set_password(self, user_id: UserId, password: Secret) -> User:
        """Set a password, and end all sessions of the user's."""
        async with self.store.open(user_id, reading=True) as store:
            user = await there(store)
        check_new(password, (user.id, user.username))
        await keep_password(self.store, self.clock, user_id, await self.passwords.hash(password))
        return user


async def there(store: UserStore) -> User:
    user = await store.user()
    if user is None:
        raise NotThere(f"There is no user {store.user_id}; `tradefleet users list` shows them.")
    return user
