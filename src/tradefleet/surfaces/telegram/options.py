"""How the bot is reached: its token, where the Bot API is, and polling or webhook."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

BOT_API = "https://api.telegram.org"
SECRET_MIN = 16  # shorter ones can be guessed
SECRET_MAX = 256  # Telegram's own limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """The public address Telegram sends updates to, and where our own server listens for them.

    secret comes with every update in a header; letters, digits, "_" and "-" only.
    """

    url: str
    secret: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 8443

    def __post_init__(self) -> None:
        if not re.fullmatch(rf"[A-Za-z0-9_-]{{{SECRET_MIN},{SECRET_MAX}}}", self.secret):
            raise ValueError(
                f"The Telegram webhook secret must have {SECRET_MIN} to {SECRET_MAX} letters, "
                "digits, '_' or '-'."
            )

    @property
    def path(self) -> str:
        """Return the path of the address, under which our server answers too."""
        return urlsplit(self.url).path or "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramOptions:
    """What the surface and the notifier need to know; without a webhook, updates are polled."""

    token: str = field(repr=False)
    api_url: str = BOT_API
    webhook: Webhook | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\d+:[A-Za-z0-9_-]+", self.token):
            raise ValueError("The Telegram bot token looks like 123456:ABC…; ask BotFather for it.")
