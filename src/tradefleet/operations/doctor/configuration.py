"""What is not safe about settings with which the service starts all the same."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tradefleet.operations.doctor.finding import Finding, ok, problem, warning
from tradefleet.settings import (
    KEY_FILE,
    Environment,
    Fault,
    Inspection,
    Settings,
    is_near,
    user_and_password,
)

CHECK = "configuration"
EVERYWHERE = ("0.0.0.0", "::", "")
MEANT = "or leave it so, if it is meant"


def warnings_of(settings: Settings) -> list[Fault]:
    """Return what may be wrong, each with what to do; in development most things are fine."""
    found = list(_of_any(settings))
    if settings.environment is Environment.PRODUCTION:
        found += _of_production(settings)
    return found


def _of_any(settings: Settings) -> Iterator[Fault]:
    is_sqlite = settings.database_url.get_secret_value().startswith("sqlite")
    if is_sqlite and settings.redis_url.get_secret_value():
        yield Fault(
            "DATABASE_URL",
            "REDIS_URL is for several processes, and SQLite is for those of one machine only: use "
            f"PostgreSQL for several machines, {MEANT}",
        )
    said = settings.backup_dir != settings.data_dir / "backups"
    if said and (settings.backup_keep_daily or settings.backup_keep_weekly):
        if not settings.backup_dir.is_dir():
            yield Fault("BACKUP_DIR", "is not there: make it, or mount what belongs there")
        elif not os.access(settings.backup_dir, os.W_OK):
            yield Fault("BACKUP_DIR", "cannot be written by this user: chown it")


def _of_production(settings: Settings) -> Iterator[Fault]:
    if settings.log_level == "DEBUG":
        yield Fault("LOG_LEVEL", "DEBUG tells more than anybody needs, at length: say INFO")
    if settings.http_host in EVERYWHERE:
        if not settings.trusted_proxies:
            yield Fault(
                "TRUSTED_PROXIES",
                "HTTP_HOST lets others in, and behind a proxy every request then seems to come "
                "from the proxy: write its address, or let HTTP_HOST be 127.0.0.1",
            )
        if settings.metrics_token is None:
            yield Fault(
                "METRICS_TOKEN",
                "without one every private address may read /metrics, a proxy's among them: "
                f"say one, {MEANT}",
            )
    if not settings.public_url:
        yield Fault("PUBLIC_URL", "is empty: links for signing in lead to this machine alone")
    if settings.allow_withdraw_keys_on_testnet:
        yield Fault("ALLOW_WITHDRAW_KEYS_ON_TESTNET", "true is for development: remove it")
    if not (settings.backup_keep_daily or settings.backup_keep_weekly):
        yield Fault(
            "BACKUP_KEEP_DAILY",
            f"no backups are made: say how many are kept, {MEANT} since the database has its own",
        )
    told = (
        settings.admin_telegram_ids, settings.webhook_url, settings.slack_webhook_url,
        settings.discord_webhook_url, settings.apprise_urls,
    )  # fmt: skip
    if not any(told):
        yield Fault(
            "ADMIN_TELEGRAM_IDS", "nobody is told of trouble: say whom, or where to send alerts"
        )
    redis = settings.redis_url.get_secret_value()
    is_far = urlsplit(redis).scheme in ("redis", "rediss") and not is_near(redis)
    if is_far and user_and_password(redis)[1] is None:
        yield Fault("REDIS_URL", "has no password: whoever reaches it may reset all limits")


def look(inspection: Inspection) -> list[Finding]:
    """Return what `config check` would say."""
    found = [problem(CHECK, fault.name, fault.text) for fault in inspection.faults]
    found += [warning(CHECK, each.name, each.text) for each in warnings_of(inspection.settings)]
    found += [warning(CHECK, hint, "correct or remove it") for hint in inspection.hints]
    if not found:
        said = sum(not each.source.startswith("default") for each in inspection.variables)
        text = f"{inspection.settings.environment}; {said} of {len(inspection.variables)} said"
        found.append(ok(CHECK, text))
    return found


def secret_files(settings: Settings, env_file: Path) -> list[Path]:
    """Return the files that nobody else should read."""
    database = settings.database_url.get_secret_value().partition("sqlite:///")[2]
    files = [settings.data_dir / KEY_FILE, env_file, settings.backup_dir]
    return files + [Path(f"{database}{suffix}") for suffix in ("", "-wal", "-shm") if database]
