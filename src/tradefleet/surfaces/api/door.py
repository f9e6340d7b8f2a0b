"""The door of the API: turns an Authorization header into a caller, or nobody."""

from dataclasses import dataclass

from tradefleet.domain.errors import NotSignedIn
from tradefleet.operations.sign_in.sessions import Known, SignIn
from tradefleet.surfaces.api.caller import Caller

SCHEME = "bearer"
HOW_TO_SIGN_IN = (
    "Sign in first, by POST /api/v1/auth/password or a link of the bot's (/web), and send the "
    "header Authorization: Bearer <token>; a program brings a personal token (/token)."
)


def shown_in(authorization: str) -> str:
    """Return the token a header brings; raise NotSignedIn when it brings none."""
    scheme, _, shown = authorization.partition(" ")
    if scheme.lower() != SCHEME or not shown.strip():
        raise NotSignedIn(HOW_TO_SIGN_IN)
    return shown.strip()


@dataclass(frozen=True, slots=True)
class SignInDoor:
    """Knows sessions and personal tokens; both are looked up at each request."""

    sign_in: SignIn

    async def caller(self, authorization: str, address: str) -> Caller:
        return caller_of(await self.sign_in.known(shown_in(authorization)))


def caller_of(known: Known) -> Caller:
    return Caller(
        user_id=known.user.id,
        rights=known.rights,
        session=known.session,
        strong=known.strong,
        in_person=known.in_person,
        tier=known.user.tier,
        overrides=known.user.overrides,
    )
