"""Receivers that are told by one POST: Slack, Discord, and any program by signed JSON.

Their addresses are secrets: none is ever part of an error, a log line or a name.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import orjson

from tradefleet.alert import AlertChange
from tradefleet.clock import Clock
from tradefleet.domain.credentials import Secret
from tradefleet.operations.alert_delivery.receiver import NotTaken
from tradefleet.operations.alert_delivery.words import told_together
from tradefleet.operations.webhooks.courier import cause_of
from tradefleet.webhook import signature

AGENT = "Tradefleet-Alert/1"
SEND_SECONDS = 10.0
SLACK_MAX = 4_000  # characters, as Slack advises
DISCORD_MAX = 2_000  # characters, as Discord demands
ANSWER_MAX = 100  # bytes of an answer that are looked at
WORD = re.compile(rb"[a-z]+(_[a-z]+)*")  # how Slack says what is wrong
TOO_MANY = 429
COME_BACK = (408, 425, TOO_MANY)  # client errors that another time may not be
WAIT_MAX = 3600.0  # seconds a receiver may ask for

Body = Callable[[Sequence[AlertChange]], dict[str, Any]]


def slack_body(changes: Sequence[AlertChange]) -> dict[str, Any]:
    """Return what a Slack incoming webhook takes; &, < and > mean something there."""
    text = told_together(changes, SLACK_MAX)
    for letter, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(letter, written)
    return {"text": text}


def discord_body(changes: Sequence[AlertChange]) -> dict[str, Any]:
    """Return what a Discord webhook takes; nobody is called by what a text says."""
    return {"content": told_together(changes, DISCORD_MAX), "allowed_mentions": {"parse": []}}


def program_body(changes: Sequence[AlertChange]) -> dict[str, Any]:
    """Return changes for a program."""
    return {"type": "alerts", "alerts": [as_json(change) for change in changes]}


def as_json(change: AlertChange) -> dict[str, Any]:
    return {
        "id": change.id,
        "rule": change.rule,
        "state": change.state.value,
        "level": change.level.value,
        "metric": change.metric,
        "value": change.value,
        "unit": change.unit,
        "text": change.text,
        "cure": change.cure,
        "at": change.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class PostReceiver:
    """Posts JSON. secret: signs it as users' webhooks are signed."""

    name: str
    url: Secret
    body: Body
    clock: Clock
    secret: Secret | None = None

    async def send(self, changes: Sequence[AlertChange]) -> str:
        body = orjson.dumps(self.body(changes))
        timeout = aiohttp.ClientTimeout(total=SEND_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
                session.post(
                    self.url.reveal(),
                    data=body,
                    headers=self._headers(body),
                    allow_redirects=False,
                ) as answer,
            ):
                said = await answer.content.read(ANSWER_MAX)
                return self._judged(answer.status, answer.headers, said)
        except TimeoutError:
            raise NotTaken(f"no answer within {SEND_SECONDS:.0f} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotTaken(cause_of(error)) from None

    def _headers(self, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": AGENT}
        if self.secret is not None:
            at = int(self.clock.now().timestamp())
            headers["Tradefleet-Timestamp"] = str(at)
            headers["Tradefleet-Signature"] = signature(self.secret.reveal(), at, body)
        return headers

    def _judged(self, status: int, headers: Mapping[str, str], said: bytes) -> str:
        """Return what was answered; NotTaken unless it is a success."""
        word = said.strip()
        text = f"it answered {status}"
        if WORD.fullmatch(word):
            text += f" {word.decode()}"
        if 200 <= status < 300:
            return text
        refuses = 300 <= status < 500 and status not in COME_BACK
        raise NotTaken(text, wait=self._wait(headers), is_refusal=refuses)

    def _wait(self, headers: Mapping[str, str]) -> float | None:
        """Return the seconds a receiver asks for, as a number or as a date."""
        said = headers.get("Retry-After", "")
        if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", said, re.ASCII):
            return min(float(said), WAIT_MAX)
        try:
            seconds = (parsedate_to_datetime(said) - self.clock.now()).total_seconds()
        except (ValueError, TypeError):
            return None
        return min(max(seconds, 0.0), WAIT_MAX)
