"""What a key must be like: judged when it is connected, and every day as long as it is.

A key that may withdraw is refused, and a live one that does not say so, too. A connected key that
lost what it needs, or got what it must not have, stops the entries of its account; exits go on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from tradefleet.domain.credentials import KeyFault, KeyRefused, KeyReport
from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.limits import Halt, Scope, Switch
from tradefleet.domain.user import Account, AccountKey, Mode

CHECK_EVERY = timedelta(days=1)
CHECK_AGAIN = timedelta(hours=1)  # after a check that told nothing
EXPIRES_SOON = timedelta(days=7)  # from here on the user is warned
EXPIRES_NOW = timedelta(days=1)  # from here on what is opened could not be closed any more
CLOCK_OFFSET_MAX = timedelta(milliseconds=500)

KeyAnswer: TypeAlias = KeyReport | KeyRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRules:
    """What the operator allows; live_ban is why no live account may trade, "" when it may."""

    live_ban: str = "Live trading is switched off on this service."
    withdraw_on_testnet: bool = False


@dataclass(frozen=True, slots=True)
class KeyAccepted:
    """The key may be used; warnings are for its user."""

    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyDenied:
    """The key may not be used: what is wrong, and the cure; said: the same in its venue's words."""

    fault: KeyFault
    what: str
    cure: str
    said: str = ""

    @property
    def text(self) -> str:
        return self.said or f"{self.what}\n{self.cure}"


@dataclass(frozen=True, slots=True)
class KeyUnclear(KeyDenied):
    """The venue could not be asked, so nothing is known of the key."""


KeyVerdict: TypeAlias = KeyAccepted | KeyDenied

# Each fault with its cure; the last four tell nothing of the key itself.
TEXTS: Mapping[KeyFault, tuple[str, str]] = {
    KeyFault.INVALID: (
        "{venue} does not know this key.",
        "Copy key and secret from {venue}'s API page once more; a key that was deleted there has "
        "to be made anew.",
    ),
    KeyFault.SIGNATURE: (
        "The secret does not belong to this key.",
        "Copy the secret once more. {venue} shows it only once: if it is lost, make a new key.",
    ),
    KeyFault.WRONG_MODE: (
        "This is not a {mode} key.",
        "Keys of the testnet and of the real exchange are different: say testnet=true or "
        "testnet=false, whichever the key is for.",
    ),
    KeyFault.PERMISSION: (
        "This key lacks a right.",
        "At {venue}, allow it to read balances and orders and to place and cancel spot orders, but "
        "not to withdraw.",
    ),
    KeyFault.ADDRESS: (
        "This key may not be used from the address of this service.",
        "At {venue}, add this service's address to those the key may be used from; its operator "
        "knows it.",
    ),
    KeyFault.EXPIRED: ("This key has expired.", "Make a new one at {venue} and connect it."),
    KeyFault.CLOCK: (
        "The clocks of {venue} and of this service differ too much.",
        "Nothing is wrong with your key: the operator must set the service's clock. Try again "
        "later.",
    ),
    KeyFault.RATE_LIMIT: (
        "{venue} wants fewer requests from us now.",
        "Nothing is wrong with your key: try again in a minute.",
    ),
    KeyFault.NETWORK: (
        "{venue} could not be reached.",
        "Nothing is known of your key: try again in a minute.",
    ),
    KeyFault.MAINTENANCE: (
        "{venue} is closed for maintenance.",
        "Nothing is known of your key: try again when it is open.",
    ),
}
UNCLEAR = frozenset({KeyFault.CLOCK, KeyFault.RATE_LIMIT, KeyFault.NETWORK, KeyFault.MAINTENANCE})
LACKING = "This key lacks a right: {}."
MAY_WITHDRAW = "This key may withdraw."
MAYBE_WITHDRAW = "{venue} does not say whether this key may withdraw."
NO_WITHDRAW = (
    "At {venue}, take the right to withdraw away from it, or make a key without it: whoever gets "
    "hold of such a key can take everything."
)
NO_LEDGER = (
    "This key lacks a right: {}. It can trade without it, but the daily statement is not possible: "
    "that holds this service's books against {venue}'s own, to the last unit."
)
EXPIRING = "This key is about to expire."
ANY_ADDRESS = (
    "This key works from any address. At {venue}, let only this service's address use it; its "
    "operator knows it."
)


def judge(
    answer: KeyAnswer, *, venue: str, mode: Mode, rules: KeyRules, now: datetime
) -> KeyVerdict:
    """Say whether a key may be used in a mode at a venue."""
    if isinstance(answer, KeyRefused):
        return refused(answer, venue, mode)
    missing = answer.missing or _rights_said_no(answer)
    if missing:
        _, cure = _texts(KeyFault.PERMISSION, venue, mode)
        return KeyDenied(KeyFault.PERMISSION, LACKING.format(", ".join(missing)), cure)
    if answer.expires_at is not None and answer.expires_at <= now:
        return KeyDenied(KeyFault.EXPIRED, *_texts(KeyFault.EXPIRED, venue, mode))
    if answer.can_withdraw and not (mode is Mode.TESTNET and rules.withdraw_on_testnet):
        return KeyDenied(KeyFault.PERMISSION, MAY_WITHDRAW, NO_WITHDRAW.format(venue=venue))
    if answer.can_withdraw is None and mode is Mode.LIVE:
        what, cure = MAYBE_WITHDRAW.format(venue=venue), NO_WITHDRAW.format(venue=venue)
        return KeyDenied(KeyFault.PERMISSION, what, cure)
    return KeyAccepted(tuple(_warnings(answer, venue, now)))


def refused(refusal: KeyRefused, venue: str, mode: Mode) -> KeyDenied:
    """Return the venue's refusal with its cure."""
    kind = KeyUnclear if refusal.fault in UNCLEAR else KeyDenied
    return kind(refusal.fault, *_texts(refusal.fault, venue, mode), str(refusal))


def _texts(fault: KeyFault, venue: str, mode: Mode) -> tuple[str, str]:
    what, cure = TEXTS[fault]
    return what.format(venue=venue, mode=mode.value), cure.format(venue=venue, mode=mode.value)


def _rights_said_no(report: KeyReport) -> tuple[str, ...]:
    """Return the rights that a report says are not there, without the venue's own words."""
    rights = (("reading", report.can_read), ("trading", report.can_trade))
    return tuple(name for name, allowed in rights if allowed is False)


def _warnings(report: KeyReport, venue: str, now: datetime) -> Sequence[str]:
    found = []
    if report.can_withdraw:
        found.append(MAY_WITHDRAW)
    if report.can_trade is None:
        found.append(f"{venue} does not say whether this key may trade.")
    if report.advised:
        found.append(NO_LEDGER.format(", ".join(report.advised), venue=venue))
    if report.ip_restricted is False:
        found.append(ANY_ADDRESS.format(venue=venue))
    if report.expires_at is not None and report.expires_at - now <= EXPIRES_SOON:
        day = f"{report.expires_at:%Y-%m-%d}"
        found.append(f"This key expires on {day}: connect a new one before then.")
    if abs(report.clock_offset) > CLOCK_OFFSET_MAX:
        found.append(
            f"The clocks of {venue} and of this service differ; its operator can set ours."
        )
    return found


# ---- a key that is connected


def key_of(report: KeyReport, verdict: KeyAccepted, masked: str, now: datetime) -> AccountKey:
    """Return what is kept in the clear of a key that was accepted."""
    key = AccountKey(masked=masked, connected_at=now, checked_at=now)
    return _told(key, report, verdict, now)


def _told(
    key: AccountKey, report: KeyReport | None, verdict: KeyVerdict, now: datetime
) -> AccountKey:
    """Return a key with what the venue says of it; its fault is why nothing more is opened."""
    after = replace(key, checked_at=now, warnings=(), fault="")
    if report is not None:
        after = replace(
            after,
            can_read=report.can_read,
            can_trade=report.can_trade,
            can_withdraw=report.can_withdraw,
            ip_restricted=report.ip_restricted,
            expires_at=report.expires_at,
        )
    if isinstance(verdict, KeyDenied):
        return replace(after, fault=verdict.what)
    is_ending = after.expires_at is not None and after.expires_at - now <= EXPIRES_NOW
    return replace(after, warnings=verdict.warnings, fault=EXPIRING if is_ending else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check came to: the account as it is now, and what to set and to tell, if anything."""

    account: Account
    again_at: datetime
    switch: Switch | None = None
    notice: Notify | None = None
    verdict: KeyVerdict | None = None


def checked(
    account: Account,
    answer: KeyAnswer,
    switches: Sequence[Switch],
    rules: KeyRules,
    now: datetime,
) -> Checked:
    """Say what the venue's answer on a connected key means for its account."""
    key = account.key
    if key is None:
        return Checked(account=account, again_at=now + CHECK_EVERY)
    verdict = judge(answer, venue=account.venue, mode=account.mode, rules=rules, now=now)
    if isinstance(verdict, KeyUnclear):
        return Checked(account=account, again_at=now + CHECK_AGAIN, verdict=verdict)
    report = None if isinstance(answer, KeyRefused) else answer
    after = _told(key, report, verdict, now)
    account, switch = obeying(replace(account, key=after), switches, rules, now)
    return Checked(
        account=account,
        again_at=now + CHECK_EVERY,
        switch=switch,
        notice=_notice(account, key, after, verdict, now),
        verdict=verdict,
    )


def obeying(
    account: Account, switches: Sequence[Switch], rules: KeyRules, now: datetime
) -> tuple[Account, Switch | None]:
    """Return the account and the switch to set, so that its entries stop, or go on, as they must.

    A switch that somebody else has set is left alone: it is recognised by its reason.
    """
    if account.key is None:
        return account, None
    ban = rules.live_ban if account.mode is Mode.LIVE else ""
    return _turned(account, account.key, switches, ban or account.key.fault, now)


def released(
    account: Account, switches: Sequence[Switch], now: datetime
) -> tuple[Account, Switch | None]:
    """Return the account without its key, and the switch to set so that none of ours stays."""
    if account.key is None:
        return account, None
    account, switch = _turned(account, account.key, switches, "", now)
    return replace(account, key=None), switch


def _turned(
    account: Account, key: AccountKey, switches: Sequence[Switch], reason: str, now: datetime
) -> tuple[Account, Switch | None]:
    """Switch an account's entries off for a reason, or on again without one."""
    standing = next(
        (s for s in switches if s.scope is Scope.ACCOUNT and s.scope_id == account.id), None
    )
    on = standing.reason if standing is not None and standing.halt is not Halt.RUN else None
    if on is not None and (not key.stopped or on != key.stopped):  # somebody else's
        return replace(account, key=replace(key, stopped="")), None
    after = replace(account, key=replace(key, stopped=reason))
    if (on or "") == reason:
        return after, None
    switch = Switch(
        scope=Scope.ACCOUNT,
        scope_id=account.id,
        halt=Halt.STOP if reason else Halt.RUN,
        reason=reason or "its key is in order again",
        changed_at=now,
    )
    return after, switch


def _notice(
    account: Account, before: AccountKey, after: AccountKey, verdict: KeyVerdict, now: datetime
) -> Notify | None:
    """Return what the user is told of a check: only what is new."""
    name = f"{account.venue} ({account.mode.value})"
    if after.fault and after.fault != before.fault:
        _, ended = _texts(KeyFault.EXPIRED, account.venue, account.mode)
        cure = verdict.cure if isinstance(verdict, KeyDenied) else ended
        text = (
            f"🔑 {name}: {after.fault} No new entries there until that is mended; open positions "
            f"are still looked after.\n{cure} Then send /connect {account.venue}."
        )
    elif before.fault and not after.fault:
        text = f"🔑 {name}: the key is in order again."
    elif fresh := [warning for warning in after.warnings if warning not in before.warnings]:
        text = "\n".join([f"🔑 {name}:", *(f"⚠️ {warning}" for warning in fresh)])
    else:
        return None
    return Notify(account.user_id, Topic.SECURITY, text, now, priority=1 if after.fault else 5)
