"""Where a venue is reached: its own addresses, its testnet's, or one given by the operator."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from tradefleet.domain.errors import Refused
from tradefleet.domain.user import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOptions:
    """What the operator chose for a venue.

    url and ws_url replace scheme, host and port of every address ("" leaves the venue's own);
    a path in them stands before the venue's. mode: whose public market is followed.
    """

    url: str = ""
    ws_url: str = ""
    mode: Mode = Mode.LIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """One environment of a venue: where each kind of request goes.

    rest: by the name calls use ("public", "private", …); an empty one does not exist there.
    """

    rest: Mapping[str, str]
    public_stream: str
    private_stream: str


def placed(addresses: Addresses, options: VenueOptions) -> Addresses:
    """Return the addresses at the host the operator gave, their paths kept."""
    checked("url", options.url, ("http", "https"))
    checked("ws_url", options.ws_url, ("ws", "wss"))
    return Addresses(
        rest={name: moved(url, options.url) for name, url in addresses.rest.items()},
        public_stream=moved(addresses.public_stream, options.ws_url),
        private_stream=moved(addresses.private_stream, options.ws_url),
    )


def moved(url: str, to: str) -> str:
    """Return a URL at another scheme, host and port."""
    if not url or not to:
        return url
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return to.rstrip("/") + parts.path + query


def checked(name: str, url: str, schemes: tuple[str, ...]) -> None:
    if not url:
        return
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname or parts.query or parts.username:
        raise Refused(f"The venue's {name} must look like {schemes[-1]}://host:port.")
