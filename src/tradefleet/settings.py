"""Every setting: read from the environment and .env, checked, and explained when wrong."""

import base64
import binascii
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from importlib import import_module
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote, urlsplit, urlunsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tradefleet import alerts
from tradefleet.alert import AlertSpec, with_thresholds
from tradefleet.domain.credentials import Secret
from tradefleet.domain.errors import Refused
from tradefleet.domain.limits import TIERS, RequestLimits, Tier
from tradefleet.domain.market import Symbol
from tradefleet.domain.tiers import WronglyWritten, requests_from, tiers_from

Network: TypeAlias = IPv4Network | IPv6Network

ENV_FILE = Path(".env")
DATABASES = ("sqlite", "postgresql", "postgres")
REDIS_SCHEMES = ("redis", "rediss", "unix")
KRAKEN_SYMBOLS = "BTC/USD,ETH/USD,SOL/USD,XRP/USD,ADA/USD,DOGE/USD,LTC/USD,LINK/USD"
FAMILY = re.compile(r"KRAKEN_(MASTER|USER_[A-Z0-9]+)_API_(KEY|SECRET)")  # read by domain/family.py
REAL_VENUES = ("binance", "bybit", "kraken")
NO_FALLBACK = (
    "must stay false: a key belongs to one user, whose lease fences every order it signs; whoever"
    " has no account of their own trades on paper"
)
ADMIN_IDS = re.compile(r"( *\d{1,15} *(,|$))*")
ADDRESS = re.compile(r"https?://[^\s/]+\S*")
ADDRESSES = (
    "TELEGRAM_API_URL",
    "TELEGRAM_WEBHOOK_URL",
    "WEBHOOK_URL",
    "SLACK_WEBHOOK_URL",
    "DISCORD_WEBHOOK_URL",
    "PUBLIC_URL",
)
SHORTEST_TOKEN = 16  # characters of what programs of the operator's are known by
TOKEN_CURE = "say 16 characters or more, for example the output of `openssl rand -hex 32`"
NO_APPRISE = (
    "needs what is not installed here: pip install 'tradefleet[apprise]'; or remove this setting"
)
TOKEN = re.compile(r"\d+:[A-Za-z0-9_-]+")
WEBHOOK_SECRET = re.compile(r"[A-Za-z0-9_-]{16,256}")
WEBHOOK_SECRET_CURE = (
    "say 16 to 256 letters, digits, _ or -, for example the output of `openssl rand -hex 32`"
)
FERNET_KEY_LENGTH = 44  # in characters
KEY_MATERIAL_LENGTH = 32
DIFFERENT_LETTERS_MIN = 8  # in a key that was drawn, not thought of
ENCRYPTION_KEY_CURE = (
    "say a Fernet key of 44 characters, or exactly 32 characters of key material, drawn at random, "
    "for example the output of `openssl rand -hex 16`; to rotate, the new one, a comma, the old one"
)
NO_ENCRYPTION_KEY = (
    "production keeps users' exchange keys, so it does not start without one: "
    + ENCRYPTION_KEY_CURE
)
TWO_ENCRYPTION_KEYS = "say it once: it differs from ENCRYPTION_KEY"
JWT_SECRET_LENGTH_MIN = 32
JWT_SECRET_CURE = (
    "say at least 32 characters drawn at random, for example the output of `openssl rand -hex 32`; "
    "to rotate, the new one, a comma, the old one"
)
NO_JWT_SECRET = "production signs people in, so it does not start without one: " + JWT_SECRET_CURE
OPERATOR = re.compile(r"[a-z0-9][a-z0-9_.:-]{0,63}")
# What stands in examples, or is tried first by whoever guesses.
GUESSED = frozenset(
    {
        "", "admin", "change-me", "change_me", "changeme", "default", "demo", "example", "letmein",
        "pass", "passwd", "password", "password1", "postgres", "postgresql", "qwerty", "redis",
        "replace-me", "replace_me", "replaceme", "root", "secret", "test", "tradefleet", "trading",
        "user", "your-password", "your_password", "yourpassword",
    }
)  # fmt: skip
GUESSED_PASSWORD = (
    "its password is one that is guessed first; draw another, for example by `openssl rand -hex 24`"
)
NOT_IN_THE_CLEAR = (
    "what is sent there can be read on the way, so in production it is {scheme}://"
    " (this machine alone may be spoken to in the clear)"
)
LOCAL_WEBHOOKS = (
    "true lets every user send requests to what listens on this machine; it is for development"
)
READABLE_ENV = "everybody on this machine can read the secrets in it: chmod 600 {file}"
BY_EVERYBODY = 0o004  # among the bits of a file's mode
SENT_IN_THE_CLEAR = {"http": "https", "ws": "wss"}
# Names that others, or we in other days, gave to what we have.
FORMER = {
    "API_PORT": "HTTP_PORT",
    "BACKUP_PATH": "BACKUP_DIR",
    "BOT_TOKEN": "TELEGRAM_BOT_TOKEN",
    "DB_URL": "DATABASE_URL",
    "ENV": "ENVIRONMENT",
    "JWT_SECRET_KEY": "JWT_SECRET",
    "LOG_PATH": "LOG_DIR",
    "LOGLEVEL": "LOG_LEVEL",
    "MASTER_KEY": "ENCRYPTION_KEY",
    "PORT": "HTTP_PORT",
    "SECRET_KEY": "JWT_SECRET",
    "TELEGRAM_ADMIN_IDS": "ADMIN_TELEGRAM_IDS",
    "TELEGRAM_TOKEN": "TELEGRAM_BOT_TOKEN",
}
COMMON_ELSEWHERE = ("ENV", "PORT")  # set by many a platform, and no mistake
ALIASES = {"RBS_CREDENTIAL_ENCRYPTION_KEY": "ENCRYPTION_KEY"}
# Variables of the product that this version has no use for.
LATER = frozenset(
    {
        "FREE_TIER", "MAX_CONCURRENT_BOTS", "MAX_CPU_PER_BOT_PERCENT", "METAAPI_TOKEN",
        "PREMIUM_TIER", "REQUIRE_USER_METAAPI",
    }
)  # fmt: skip
MOCKED_PRODUCTION = (
    "true means that nobody ever trades for real, and ENVIRONMENT is production; "
    "remove it, or set ENVIRONMENT=staging"
)


ERROR_LOG = "error.log"  # beside LOG_FILE
KEY_FILE = "encryption.key"  # in DATA_DIR, where ENCRYPTION_KEY says none
EMPTY_IS_SAID = ("LOG_FILE",)  # where an empty value is not the default


class Environment(StrEnum):
    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"


# What ENVIRONMENT decides where nothing else is said.
BY_ENVIRONMENT: Mapping[str, Mapping[str, object]] = {
    "development": {"log_level": "DEBUG"},
    "staging": {"max_concurrent_users": 200},
    "production": {"mock_trading": False, "max_concurrent_users": 1000, "log_format": "json"},
}


class Settings(BaseSettings):
    """The service's settings; a field is the variable of the same name in upper case."""

    model_config = SettingsConfigDict(
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    environment: Environment = Environment.DEVELOPMENT
    mock_trading: bool = True
    trading_enabled: bool = False
    max_concurrent_users: int = Field(50, ge=1, le=1_000_000)

    data_dir: Path = Path("data")
    database_url: SecretStr = SecretStr("")  # "" becomes a file in data_dir

    backup_dir: Path = Path()  # empty becomes a folder in data_dir
    backup_keep_daily: int = Field(7, ge=0, le=1000)
    backup_keep_weekly: int = Field(4, ge=0, le=1000)

    audit_checkpoint_seconds: int = Field(60, ge=5, le=3600)
    audit_checkpoint_file: Path = Path()  # empty becomes a file in data_dir
    audit_checkpoint_url: SecretStr | None = None

    http_host: str = "127.0.0.1"
    http_port: int = Field(8080, ge=1, le=65535)

    telegram_bot_token: SecretStr | None = None
    telegram_api_url: str = "https://api.telegram.org"
    telegram_mode: Literal["polling", "webhook"] = "polling"
    telegram_webhook_url: str = ""
    telegram_webhook_secret: SecretStr | None = None
    telegram_webhook_port: int = Field(8443, ge=1, le=65535)

    public_url: str = ""
    jwt_secret: SecretStr | None = None

    webhook_url: SecretStr | None = None
    webhook_secret: SecretStr | None = None
    slack_webhook_url: SecretStr | None = None
    discord_webhook_url: SecretStr | None = None
    apprise_urls: SecretStr | None = None
    metrics_token: SecretStr | None = None
    webhook_allow_local: bool = False
    admin_telegram_ids: str = ""

    encryption_key: SecretStr | None = None
    rbs_credential_encryption_key: SecretStr | None = None
    allow_withdraw_keys_on_testnet: bool = False
    keys_checked_per_minute: int = Field(10, ge=1, le=1000)

    operator_user: str = "operator"
    binance_use_testnet: bool = True
    rbs_binance_api_key_prod: SecretStr | None = None
    rbs_binance_secret_key_prod: SecretStr | None = None
    rbs_binance_api_key_test: SecretStr | None = None
    rbs_binance_secret_key_test: SecretStr | None = None
    allow_operator_fallback: bool = False

    trades_keep_days: int = Field(730, ge=0, le=36_500)
    decisions_keep_days: int = Field(365, ge=0, le=36_500)
    metrics_keep_days: int = Field(30, ge=0, le=36_500)
    notices_keep_days: int = Field(30, ge=0, le=36_500)
    alerts_keep_days: int = Field(90, ge=0, le=36_500)

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["text", "json"] = "text"
    log_dir: Path = Path("logs")
    log_file: str = "bot.log"  # "" writes none
    log_keep_days: int = Field(30, ge=1, le=10_000)
    error_log_keep_days: int = Field(90, ge=1, le=10_000)
    log_max_mb: int = Field(100, ge=1, le=100_000)

    health_seconds: int = Field(30, ge=1, le=300)
    alert_thresholds: str = ""
    watchdog_seconds: int = Field(60, ge=0, le=3600)

    venues: str = ",".join(REAL_VENUES)
    binance_url: str = ""
    binance_ws_url: str = ""
    bybit_url: str = ""
    bybit_ws_url: str = ""
    kraken_url: str = ""
    kraken_ws_url: str = ""
    users_file: Path | None = None
    kraken_symbols: str = KRAKEN_SYMBOLS

    tiers_file: Path | None = None
    rate_limit_per_minute: int | None = Field(None, ge=1, le=100_000)
    redis_url: SecretStr = SecretStr("")
    trusted_proxies: str = ""

    paper_market: str = "synthetic"
    paper_seed: int = Field(1, ge=0, lt=2**63)
    paper_fee: Decimal = Field(Decimal("0.001"), ge=0, le=Decimal("0.1"))
    paper_slippage: Decimal = Field(Decimal(0), ge=0, le=Decimal("0.1"))

    max_bots_per_server: int = Field(1000, ge=1, le=1_000_000)
    max_memory_per_bot_mb: int = Field(50, ge=1, le=100_000)
    lease_ttl: int = Field(30, ge=5, le=3600)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Put in what other settings decide."""
        filled = dict(given)
        for name, case in (("environment", str.lower), ("log_level", str.upper)):
            if isinstance(filled.get(name), str):
                filled[name] = case(filled[name])
        filled = {**BY_ENVIRONMENT.get(filled.get("environment", "development"), {}), **filled}
        if not filled.get("database_url"):
            filled["database_url"] = (
                f"sqlite:///{filled.get('data_dir', 'data')}/trading_service.db"
            )
        if not filled.get("backup_dir"):
            filled["backup_dir"] = f"{filled.get('data_dir', 'data')}/backups"
        if not filled.get("audit_checkpoint_file"):
            filled["audit_checkpoint_file"] = (
                f"{filled.get('data_dir', 'data')}/audit-checkpoints.jsonl"
            )
        return filled

    def venue_names(self) -> tuple[str, ...]:
        """Return the real venues that are switched on."""
        return tuple(name.strip().lower() for name in self.venues.split(",") if name.strip())

    def admin_ids(self) -> tuple[int, ...]:
        """Return the Telegram ids of whoever is told what goes wrong; ValueError for no numbers."""
        return tuple(int(id) for id in self.admin_telegram_ids.split(",") if id.strip())

    def tiers(self) -> Mapping[str, Tier]:
        """Return the tiers, with the operator's file in place; Refused says what is wrong in it."""
        return TIERS if self.tiers_file is None else read_tiers(self.tiers_file)[0]

    def request_limits(self) -> RequestLimits:
        """Return how often anybody may ask, by the same file and the ceiling over all tiers."""
        limits = RequestLimits() if self.tiers_file is None else read_tiers(self.tiers_file)[1]
        return replace(limits, calls_per_minute_max=self.rate_limit_per_minute)

    def proxies(self) -> tuple[Network, ...]:
        """Return the proxies whose word on where a request comes from counts; or ValueError."""
        said = self.trusted_proxies.replace(",", " ").split()
        return tuple(ip_network(each) for each in said)

    def encryption_keys(self) -> tuple[Secret, ...]:
        """Return the master keys, each as a Fernet key, the one that encrypts first.

        Empty when none is set. Refused says what they must be like, and nothing of what they are.
        """
        said = self.encryption_key or self.rbs_credential_encryption_key
        return read_encryption_keys(said.get_secret_value()) if said is not None else ()

    def jwt_secrets(self) -> tuple[Secret, ...]:
        """Return what access tokens are signed with, the one that signs first.

        Empty when none is set: then the database keeps one. Refused says what they must be like.
        """
        if self.jwt_secret is None:
            return ()
        said = [part.strip() for part in self.jwt_secret.get_secret_value().split(",")]
        for text in said:
            if len(text) < JWT_SECRET_LENGTH_MIN or len(set(text)) < DIFFERENT_LETTERS_MIN:
                raise Refused(JWT_SECRET_CURE)
        return tuple(Secret(text) for text in said)

    def alert_rules(self) -> Mapping[str, AlertSpec]:
        """Return the rules with the operator's thresholds; Refused says which of them is wrong."""
        files = sorted(each.name for each in iter_modules(alerts.__path__, f"{alerts.__name__}."))
        known = [import_module(file).ALERT for file in files]
        return with_thresholds({rule.name: rule for rule in known}, self.alert_thresholds)

    def web_url(self) -> str:
        """Return the address of our pages, as people reach it."""
        if self.public_url:
            return self.public_url.rstrip("/")
        return self.near_url()

    def near_url(self) -> str:
        """Return the address of our pages, as this machine reaches it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.http_host, self.http_host)
        return f"http://{host}:{self.http_port}"

    def faults(self) -> "list[Fault]":
        """Return what is wrong though each value by itself is well written."""
        found = [Fault(name, text) for name, text in self._fault_texts()]
        try:
            self.tiers()
        except Refused as refusal:
            found.append(Fault("TIERS_FILE", str(refusal)))
        try:
            self.alert_rules()
        except Refused as refusal:
            found.append(Fault("ALERT_THRESHOLDS", str(refusal)))
        return found

    def _fault_texts(self) -> Iterator[tuple[str, str]]:
        """Yield the variable and the cure of each rule that is broken."""
        plain = {name.upper(): _plain(value) for name, value in self}
        scheme = plain["DATABASE_URL"].partition("://")[0].partition("+")[0]
        if scheme not in DATABASES:
            yield "DATABASE_URL", "write sqlite:///data/x.db or postgresql://user:password@host/db"
        if plain["TELEGRAM_BOT_TOKEN"] and not TOKEN.fullmatch(plain["TELEGRAM_BOT_TOKEN"]):
            yield "TELEGRAM_BOT_TOKEN", "must look like 123456:ABC-def, as @BotFather says it"
        for name in ADDRESSES:
            if plain[name] and not ADDRESS.fullmatch(plain[name]):
                yield name, "must be an address like https://example.org"
        if not ADMIN_IDS.fullmatch(self.admin_telegram_ids):
            yield "ADMIN_TELEGRAM_IDS", "write Telegram ids, which are numbers, with commas between"
        markets = ("synthetic", *REAL_VENUES)
        if self.paper_market not in markets:
            yield "PAPER_MARKET", f"say one of {', '.join(markets)}"
        elif self.paper_market not in ("synthetic", *self.venue_names()):
            yield "PAPER_MARKET", f"{self.paper_market} is not among VENUES"
        if strange := [name for name in self.venue_names() if name not in REAL_VENUES]:
            yield "VENUES", f"knows {', '.join(REAL_VENUES)}, not {', '.join(strange)}"
        try:
            self.proxies()
        except ValueError as error:
            yield "TRUSTED_PROXIES", f"{error}; write addresses or networks like 10.0.0.0/8"
        if plain["REDIS_URL"] and urlsplit(plain["REDIS_URL"]).scheme not in REDIS_SCHEMES:
            yield "REDIS_URL", "must be an address like redis://:password@127.0.0.1:6379/0"
        try:
            [Symbol.parse(name) for name in self.kraken_symbols.split(",") if name.strip()]
        except Refused as refusal:
            yield "KRAKEN_SYMBOLS", str(refusal)
        for name in REAL_VENUES:
            for suffix, schemes in (("URL", ("http", "https")), ("WS_URL", ("ws", "wss"))):
                variable = f"{name.upper()}_{suffix}"
                if plain[variable] and urlsplit(plain[variable]).scheme not in schemes:
                    yield variable, f"must be an address like {schemes[0]}://127.0.0.1:9300"
        yield from self._key_faults(plain)
        yield from self._sign_in_faults(plain)
        if self.environment is Environment.PRODUCTION:
            yield from self._unsafe(plain)
        for name in ("WEBHOOK_SECRET", "METRICS_TOKEN"):
            if plain[name] and len(plain[name]) < SHORTEST_TOKEN:
                yield name, TOKEN_CURE
        if plain["APPRISE_URLS"] and find_spec("apprise") is None:
            yield "APPRISE_URLS", NO_APPRISE
        if self.log_file and (self.log_dir / self.log_file).name in ("", ".", "..", ERROR_LOG):
            yield "LOG_FILE", f"say the name of a file; errors alone are in {ERROR_LOG} beside it"
        is_production = self.environment is Environment.PRODUCTION
        if is_production and self.mock_trading:
            yield "MOCK_TRADING", MOCKED_PRODUCTION
        if self.telegram_mode == "webhook":
            if not plain["TELEGRAM_WEBHOOK_URL"]:
                yield "TELEGRAM_WEBHOOK_URL", "say the public address Telegram sends updates to"
            elif is_production and not plain["TELEGRAM_WEBHOOK_URL"].startswith("https://"):
                yield "TELEGRAM_WEBHOOK_URL", "Telegram sends updates to https:// only"
            if not WEBHOOK_SECRET.fullmatch(plain["TELEGRAM_WEBHOOK_SECRET"]):
                yield "TELEGRAM_WEBHOOK_SECRET", WEBHOOK_SECRET_CURE

    def _unsafe(self, plain: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Yield what is well written, and nothing production should be run with."""
        for name in ("DATABASE_URL", "REDIS_URL"):
            user, password = user_and_password(plain[name])
            if password is not None and password.lower() in GUESSED | {user.lower()}:
                yield name, GUESSED_PASSWORD
        for name in NAMES:
            scheme, colon, rest = plain[name].partition("://")
            if name == "PUBLIC_URL" or not colon or scheme not in SENT_IN_THE_CLEAR:
                continue
            if name != "TELEGRAM_WEBHOOK_URL" and not is_near(f"{scheme}://{rest}"):
                yield name, NOT_IN_THE_CLEAR.format(scheme=SENT_IN_THE_CLEAR[scheme])
        if self.webhook_allow_local:
            yield "WEBHOOK_ALLOW_LOCAL", LOCAL_WEBHOOKS

    def _sign_in_faults(self, plain: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with what people are signed in by."""
        is_production = self.environment is Environment.PRODUCTION
        if is_production and not plain["JWT_SECRET"]:
            yield "JWT_SECRET", NO_JWT_SECRET
        try:
            self.jwt_secrets()
        except Refused as refusal:
            yield "JWT_SECRET", str(refusal)
        if is_production and plain["PUBLIC_URL"].startswith("http://"):
            yield "PUBLIC_URL", "people sign in there, so in production it is https://"

    def _key_faults(self, plain: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with the keys that are set, or not."""
        named, alias = plain["ENCRYPTION_KEY"], plain["RBS_CREDENTIAL_ENCRYPTION_KEY"]
        if named and alias and named != alias:
            yield "RBS_CREDENTIAL_ENCRYPTION_KEY", TWO_ENCRYPTION_KEYS
        if not named and not alias and self.environment is Environment.PRODUCTION:
            yield "ENCRYPTION_KEY", NO_ENCRYPTION_KEY
        try:
            self.encryption_keys()
        except Refused as refusal:
            yield ("ENCRYPTION_KEY" if named else "RBS_CREDENTIAL_ENCRYPTION_KEY"), str(refusal)
        for place in ("PROD", "TEST"):
            names = (f"RBS_BINANCE_API_KEY_{place}", f"RBS_BINANCE_SECRET_KEY_{place}")
            for missing, other in (names, names[::-1]):
                if plain[other] and not plain[missing]:
                    yield missing, f"{other} is set, and is of no use without it"
        if self.allow_operator_fallback:
            yield "ALLOW_OPERATOR_FALLBACK", NO_FALLBACK
        if not OPERATOR.fullmatch(plain["OPERATOR_USER"]):
            yield "OPERATOR_USER", "say the user's id, in small letters and digits, like operator"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a variable, with the cure; it never holds the value of a secret."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """One variable as it is used; source: default, default of an ENVIRONMENT, .env, environment."""

    name: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """All variables, and what is wrong; a value that cannot be read is shown by its default."""

    settings: Settings
    variables: tuple[Resolved, ...]
    faults: tuple[Fault, ...]
    hints: tuple[str, ...]


NAMES = {name.upper(): field for name, field in Settings.model_fields.items()}


def load_settings(env_file: Path = ENV_FILE) -> Settings:
    """Return the settings; Refused lists every problem with its cure."""
    inspection = inspect_settings(env_file)
    if inspection.faults:
        lines = [f"{fault.name}: {fault.text}" for fault in inspection.faults]
        raise Refused("The configuration has problems:\n" + "\n".join(f"- {x}" for x in lines))
    return inspection.settings


def raw_variables(env_file: Path = ENV_FILE) -> Mapping[str, str]:
    """Return everything in the environment and in .env, for names that are not known before."""
    return {**_in_file(env_file), **_in_environment()}


def _in_file(env_file: Path) -> dict[str, str]:
    return {k.upper(): v or "" for k, v in dotenv_values(env_file).items()}


def _in_environment() -> dict[str, str]:
    return {k.upper(): v for k, v in os.environ.items()}


def inspect_settings(env_file: Path = ENV_FILE) -> Inspection:
    """Read all settings and say where each comes from and what is wrong."""
    in_file, in_environment = _in_file(env_file), _in_environment()
    settings, faults = _read(env_file)
    if settings.environment is Environment.PRODUCTION and is_open_to_everybody(env_file):
        faults.append(Fault(str(env_file), READABLE_ENV.format(file=env_file)))
    by_environment = BY_ENVIRONMENT[settings.environment]
    variables = []
    for name in NAMES:
        if _is_said(name, in_environment):
            source = "environment"
        elif _is_said(name, in_file):
            source = ".env"
        else:
            of = f" of {settings.environment}" if name.lower() in by_environment else ""
            source = f"default{of}"
        variables.append(Resolved(name, shown(name, getattr(settings, name.lower())), source))
    hints = (*_unused(in_file, cutoff=0.6, all_of_them=True), *_unused(in_environment, cutoff=0.88))
    return Inspection(settings, tuple(variables), tuple(faults), tuple(dict.fromkeys(hints)))


def _is_said(name: str, given: Mapping[str, str]) -> bool:
    return bool(given.get(name)) or (name in EMPTY_IS_SAID and name in given)


def _read(env_file: Path) -> tuple[Settings, list[Fault]]:
    """Return the settings and all faults; in place of what cannot be read stands its default."""
    raw = raw_variables(env_file)
    given: dict[str, Any] = {name.lower(): "" for name in EMPTY_IS_SAID if raw.get(name) == ""}
    given["_env_file"] = env_file
    faults: list[Fault] = []
    try:
        settings = Settings(**given)
    except ValidationError as error:
        faults = [_fault(each["loc"], each["msg"]) for each in error.errors()]
        given |= {fault.name.lower(): NAMES[fault.name].default for fault in faults}
        settings = Settings(**given)
    return settings, faults + settings.faults()


def _fault(where: tuple[int | str, ...], text: str) -> Fault:
    """Put pydantic's words beside a value that would do."""
    name = str(where[0]).upper()
    return Fault(name, f"{text[0].lower()}{text[1:]}; for example {_plain(NAMES[name].default)}")


def _unused(given: Mapping[str, str], *, cutoff: float, all_of_them: bool = False) -> list[str]:
    """Name variables that look like ours and are not; of a file, all that are not."""
    hints = []
    for name, value in given.items():
        if name in ALIASES and value:
            hints.append(f"{name} is another name of {ALIASES[name]}, which is better said")
        if name in NAMES or FAMILY.fullmatch(name):
            continue
        if name in FORMER and (all_of_them or name not in COMMON_ELSEWHERE):
            hints.append(f"{name} is not a setting: here it is called {FORMER[name]}")
            continue
        if name in LATER:
            hints.append(f"{name} is not used by this version")
            continue
        close = get_close_matches(name, NAMES, n=1, cutoff=cutoff)
        if close and close[0] not in given:
            hints.append(f"{name} is not a setting; did you mean {close[0]}?")
        elif all_of_them:
            hints.append(f"{name} is not used by this version")
    return hints


def user_and_password(url: str) -> tuple[str, str | None]:
    """Return the name and the password in an address, None for no password."""
    try:
        parts = urlsplit(url)
        return unquote(parts.username or ""), parts.password and unquote(parts.password)
    except ValueError:
        return "", None


def is_near(url: str) -> bool:
    """Say whether an address is one of this very machine."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_open_to_everybody(file: Path) -> bool:
    """Say whether any user of this machine can read a file; what is not there nobody can."""
    try:
        return os.name == "posix" and bool(file.stat().st_mode & BY_EVERYBODY)
    except OSError:
        return False


def read_encryption_keys(said: str) -> tuple[Secret, ...]:
    """Read master keys as they are written into ENCRYPTION_KEY, comma separated."""
    return tuple(_fernet_key(part.strip()) for part in said.split(","))


def _fernet_key(text: str) -> Secret:
    """Return a Fernet key, or the one that 32 characters of key material stand for."""
    if len(text) == FERNET_KEY_LENGTH:
        key = text
    elif len(text) == len(text.encode()) == KEY_MATERIAL_LENGTH:
        key = base64.urlsafe_b64encode(text.encode()).decode()
    else:
        raise Refused(ENCRYPTION_KEY_CURE)
    try:
        material = base64.b64decode(key, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Refused(ENCRYPTION_KEY_CURE) from None
    if len(material) != KEY_MATERIAL_LENGTH or len(set(text)) < DIFFERENT_LETTERS_MIN:
        raise Refused(ENCRYPTION_KEY_CURE)
    return Secret(key)


def read_tiers(path: Path) -> tuple[Mapping[str, Tier], RequestLimits]:
    """Read a tiers file, TOML or JSON by its suffix; Refused names the line and the cure."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise Refused(f"{path} cannot be read; check the path and its permissions") from None
    try:
        written = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise Refused(f"{path} is not {kind}: {error}") from None
    try:
        return tiers_from(written), requests_from(written)
    except WronglyWritten as wrong:
        line = line_of(text, wrong.section, wrong.field)
        raise Refused(f"{path}, line {line}: {wrong}" if line else f"{path}: {wrong}") from None


def line_of(text: str, section: str, field: str) -> int | None:
    """Return the line that a field of a section stands in, or else its section, if it is found.

    Names are looked for as TOML and JSON write them, each at the beginning of a line or after the
    one before.
    """
    found = _place(text, rf'^[ \t]*\[?[ \t]*"?{re.escape(section)}"?[ \t]*[].=:]', 0)
    if not section or found is None:
        return None
    after = text.rfind("\n", 0, found) + 1
    of_field = _place(text, rf'(^|[.{{,])[ \t]*"?{re.escape(field)}"?[ \t]*[:=]', after)
    return text.count("\n", 0, found if not field or of_field is None else of_field) + 1


def _place(text: str, pattern: str, start: int) -> int | None:
    """Return where the last character of a pattern's first match stands."""
    found = re.compile(pattern, re.MULTILINE).search(text, start)
    return found.end() - 1 if found else None


# ---- how values are shown


def is_secret(name: str) -> bool:
    return "SecretStr" in str(NAMES[name].annotation)


def shown(name: str, value: object) -> str:
    """Write a value for people: of a secret only that there is one, and how long it is."""
    text = _plain(value)
    if name in ("DATABASE_URL", "REDIS_URL"):
        return hide_password(text)
    return mask(text) if is_secret(name) and text else text


def mask(secret: str) -> str:
    """Return what may be told of a secret: how long it is."""
    return f"set, {len(secret)} characters"


def hide_password(url: str) -> str:
    """Return a database address without its password, also when it stands in the query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return mask(url)
    user, at, host = parts.netloc.rpartition("@")
    if parts.netloc and url.count("@") > parts.netloc.count("@"):
        return mask(url)  # a password with a slash, say: not to be read; paths have none
    name, colon, _ = user.partition(":")
    netloc = f"{name}:***{at}{host}" if colon else parts.netloc
    query = re.sub(r"(?i)(password|passwd)=[^&]*", r"\1=***", parts.query)
    return (
        url
        if netloc == parts.netloc and query == parts.query
        else urlunsplit(parts._replace(netloc=netloc, query=query))
    )


def _plain(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
