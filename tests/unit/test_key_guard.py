"""The key guard: which keys may be used, and what a check of a connected one leads to."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.key_rig import DAY, GOOD, LIVE_ALLOWED, keyed
from tests.makers import START
from tests.store_rig import ALICE
from tradefleet.domain.credentials import KeyFault, KeyRefused
from tradefleet.domain.limits import Halt, Scope, Switch
from tradefleet.domain.user import Mode
from tradefleet.engine.key_guard import (
    CHECK_AGAIN,
    CHECK_EVERY,
    EXPIRING,
    TEXTS,
    UNCLEAR,
    KeyAccepted,
    KeyDenied,
    KeyRules,
    KeyUnclear,
    checked,
    judge,
    key_of,
    obeying,
    released,
)

TESTNET, LIVE = Mode.TESTNET, Mode.LIVE


def judged(answer, mode=TESTNET, rules=LIVE_ALLOWED):
    return judge(answer, venue="bybit", mode=mode, rules=rules, now=START)


# ---- a key that is offered


@pytest.mark.parametrize("mode", [TESTNET, LIVE])
def test_a_key_that_may_trade_and_not_withdraw_is_accepted(mode):
    assert judged(GOOD, mode) == KeyAccepted()


@pytest.mark.parametrize("fault", KeyFault)
def test_every_fault_has_a_message_and_a_cure_of_its_own(fault):
    assert judged(KeyRefused(fault, "The venue's words, cure and all.")).text == (
        "The venue's words, cure and all."
    )
    verdict = judged(KeyRefused(fault, ""))
    assert verdict.text == f"{verdict.what}\n{verdict.cure}"
    assert "{" not in verdict.text
    texts = [judged(KeyRefused(other, "")).text for other in KeyFault]
    assert texts.count(judged(KeyRefused(fault, "")).text) == 1
    assert isinstance(verdict, KeyUnclear) == (fault in UNCLEAR)
    assert set(TEXTS) == set(KeyFault)


def test_a_key_for_the_other_mode_is_told_which():
    verdict = judged(KeyRefused(KeyFault.WRONG_MODE, ""), LIVE)
    assert verdict.text.startswith("This is not a live key.\n")


def test_a_missing_right_is_named():
    verdict = judged(replace(GOOD, missing=("Orders: create", "Query funds")))
    assert verdict.fault is KeyFault.PERMISSION
    assert verdict.what == "This key lacks a right: Orders: create, Query funds."
    assert judged(replace(GOOD, can_trade=False)).what == "This key lacks a right: trading."
    both = judged(replace(GOOD, can_trade=False, can_read=False))
    assert both.what == "This key lacks a right: reading, trading."


@pytest.mark.parametrize(
    ("mode", "may", "allowed", "accepted"),
    [
        (LIVE, True, False, False),
        (LIVE, True, True, False),
        (LIVE, None, False, False),
        (LIVE, None, True, False),
        (LIVE, False, False, True),
        (TESTNET, True, False, False),
        (TESTNET, True, True, True),
        (TESTNET, None, False, True),
        (TESTNET, False, False, True),
    ],
)
def test_a_key_that_may_withdraw_is_refused(mode, may, allowed, accepted):
    rules = replace(LIVE_ALLOWED, withdraw_on_testnet=allowed)
    verdict = judged(replace(GOOD, can_withdraw=may), mode, rules)
    assert isinstance(verdict, KeyAccepted) == accepted
    if accepted and may:
        assert verdict.warnings == ("This key may withdraw.",)
    if not accepted:
        assert "withdraw" in verdict.what
        assert "take the right to withdraw away" in verdict.cure


def test_what_is_not_wrong_but_not_well_is_a_warning():
    report = replace(
        GOOD,
        can_trade=None,
        ip_restricted=False,
        expires_at=START + timedelta(days=6),
        clock_offset=timedelta(seconds=-0.6),
    )
    verdict = judged(report)
    assert isinstance(verdict, KeyAccepted)
    assert [w.split()[2] for w in verdict.warnings] == ["not", "works", "expires", "of"]
    assert "2026-01-07" in verdict.warnings[2]
    assert judged(replace(GOOD, ip_restricted=None)) == KeyAccepted()
    fine = replace(GOOD, expires_at=START + 8 * DAY, clock_offset=timedelta(seconds=0.5))
    assert judged(fine) == KeyAccepted()


def test_a_right_for_the_statement_alone_is_advised_and_not_asked_for():
    report = replace(GOOD, advised=("Query Ledger Entries",))
    verdict = judge(report, venue="kraken", mode=Mode.LIVE, rules=LIVE_ALLOWED, now=START)
    assert isinstance(verdict, KeyAccepted)
    (warning,) = verdict.warnings
    assert warning.startswith("This key lacks a right: Query Ledger Entries.")
    assert "daily statement is not possible" in warning


def test_a_key_that_has_expired_is_refused():
    verdict = judged(replace(GOOD, expires_at=START))
    assert verdict.fault is KeyFault.EXPIRED
    assert judged(replace(GOOD, expires_at=START + timedelta(seconds=1))) != verdict


def test_an_accepted_key_is_remembered_with_what_it_may():
    report = replace(GOOD, can_withdraw=None, expires_at=START + 30 * DAY)
    key = key_of(report, KeyAccepted(("careful",)), "abcd…wxyz", START)
    assert (key.masked, key.connected_at, key.checked_at) == ("abcd…wxyz", START, START)
    assert (key.can_read, key.can_trade, key.can_withdraw) == (True, True, None)
    assert (key.ip_restricted, key.expires_at) == (True, START + 30 * DAY)
    assert (key.warnings, key.fault) == (("careful",), "")


# ---- a key that is connected

WITHDRAWING = replace(GOOD, can_withdraw=True)
REVOKED = KeyRefused(KeyFault.INVALID, "-2015 abc")
LATER = START + DAY


def switched(account, reason, halt=Halt.STOP):
    return Switch(
        scope=Scope.ACCOUNT, scope_id=account.id, halt=halt, reason=reason, changed_at=START
    )


def check(account, answer, *switches, rules=LIVE_ALLOWED):
    return checked(account, answer, switches, rules, LATER)


def test_a_key_in_order_is_looked_at_again_tomorrow_and_nobody_is_told():
    outcome = check(keyed(ALICE), GOOD)
    assert outcome.again_at == LATER + CHECK_EVERY
    assert (outcome.switch, outcome.notice) == (None, None)
    assert outcome.account.key.checked_at == LATER
    assert outcome.account.key.can_trade is True


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (WITHDRAWING, "This key may withdraw."),
        (replace(GOOD, can_trade=False), "This key lacks a right: trading."),
        (REVOKED, "bybit does not know this key."),
        (replace(GOOD, expires_at=LATER + timedelta(hours=23)), EXPIRING),
        (replace(GOOD, expires_at=LATER), "This key has expired."),
    ],
)
def test_a_key_that_went_wrong_stops_entries_and_its_user_is_told(answer, what):
    outcome = check(keyed(ALICE), answer)
    assert outcome.account.key.fault == outcome.account.key.stopped == what
    assert outcome.switch == replace(switched(outcome.account, what), changed_at=LATER)
    assert outcome.notice.user_id == ALICE
    assert outcome.notice.text.startswith(f"🔑 bybit (testnet): {what} No new entries there")
    assert "open positions are still looked after" in outcome.notice.text
    assert outcome.notice.text.endswith("Then send /connect bybit.")
    assert "-2015" not in outcome.notice.text
    assert outcome.notice.priority == 1


@pytest.mark.parametrize("fault", sorted(UNCLEAR))
def test_when_the_venue_cannot_be_asked_nothing_changes_and_it_is_asked_again_soon(fault):
    account = keyed(ALICE, fault="old", stopped="old")
    outcome = check(account, KeyRefused(fault, "x"), switched(account, "old"))
    assert outcome.account == account
    assert (outcome.switch, outcome.notice) == (None, None)
    assert outcome.again_at == LATER + CHECK_AGAIN


def test_what_is_still_wrong_is_told_once():
    first = check(keyed(ALICE), WITHDRAWING)
    again = check(first.account, WITHDRAWING, first.switch)
    assert (again.switch, again.notice) == (None, None)
    assert again.account == first.account


def test_what_is_wrong_in_another_way_is_told_again():
    first = check(keyed(ALICE), WITHDRAWING)
    other = check(first.account, REVOKED, first.switch)
    assert other.switch.reason == "bybit does not know this key."
    assert "does not know" in other.notice.text


def test_a_key_in_order_again_lets_entries_go_on():
    first = check(keyed(ALICE), WITHDRAWING)
    mended = check(first.account, GOOD, first.switch)
    assert mended.switch.halt is Halt.RUN
    assert mended.notice.text == "🔑 bybit (testnet): the key is in order again."
    assert (mended.account.key.fault, mended.account.key.stopped) == ("", "")
    assert check(mended.account, GOOD, mended.switch).switch is None


def test_a_new_warning_is_told_once_and_stops_nothing():
    open_to_all = replace(GOOD, ip_restricted=False)
    first = check(keyed(ALICE), open_to_all)
    assert first.notice.text.startswith("🔑 bybit (testnet):\n⚠️ This key works from any address.")
    assert first.switch is None
    assert check(first.account, open_to_all).notice is None


def test_a_switch_of_somebody_else_is_left_alone():
    account = keyed(ALICE)
    for halt in (Halt.STOP, Halt.FLATTEN):
        others = switched(account, "the operator says so", halt)
        outcome = check(account, WITHDRAWING, others)
        assert outcome.switch is None
        assert outcome.account.key.stopped == ""
        assert outcome.account.key.fault == "This key may withdraw."
        assert check(outcome.account, GOOD, others).switch is None


def test_a_switch_of_another_account_or_scope_says_nothing_of_this_one():
    account, other = keyed(ALICE), keyed(ALICE, venue="kraken")
    of_user = replace(switched(account, "paused"), scope=Scope.USER, scope_id=ALICE)
    outcome = check(account, WITHDRAWING, switched(other, "x"), of_user)
    assert outcome.switch.scope_id == account.id


def test_who_lifts_our_switch_by_hand_gets_it_back_as_long_as_the_key_is_wrong():
    first = check(keyed(ALICE), WITHDRAWING)
    lifted = replace(first.switch, halt=Halt.RUN, reason="by hand")
    assert check(first.account, WITHDRAWING, lifted).switch.halt is Halt.STOP


def test_an_account_without_a_key_has_nothing_to_check():
    paper = replace(keyed(ALICE), key=None)
    assert check(paper, GOOD).account == paper
    assert obeying(paper, (), LIVE_ALLOWED, LATER) == (paper, None)
    assert released(paper, (), LATER) == (paper, None)


# ---- the operator's rules

BANNED = KeyRules(live_ban="Trading is disabled.")


def test_live_accounts_stop_when_the_operator_says_so_and_testnets_do_not():
    account, switch = obeying(keyed(ALICE, LIVE), (), BANNED, LATER)
    assert (switch.halt, switch.reason) == (Halt.STOP, "Trading is disabled.")
    assert obeying(account, (switch,), BANNED, LATER) == (account, None)
    testnet = keyed(ALICE)
    assert obeying(testnet, (), BANNED, LATER) == (testnet, None)
    freed, lifted = obeying(account, (switch,), LIVE_ALLOWED, LATER)
    assert (lifted.halt, freed.key.stopped) == (Halt.RUN, "")


def test_without_a_word_of_the_operator_no_live_account_trades():
    assert obeying(keyed(ALICE, LIVE), (), KeyRules(), LATER)[1].halt is Halt.STOP


def test_a_ban_outlives_a_key_that_was_mended():
    account, switch = obeying(keyed(ALICE, LIVE, fault="x"), (), BANNED, LATER)
    outcome = check(account, GOOD, switch, rules=BANNED)
    assert outcome.switch is None
    assert outcome.account.key.stopped == "Trading is disabled."


def test_an_account_that_is_let_go_of_leaves_no_switch_of_ours():
    first = check(keyed(ALICE), WITHDRAWING)
    account, switch = released(first.account, (first.switch,), LATER)
    assert (account.key, switch.halt) == (None, Halt.RUN)
    others = switched(first.account, "the operator says so")
    assert released(first.account, (others,), LATER)[1] is None


def test_a_denial_is_no_uncertainty():
    assert not isinstance(judged(WITHDRAWING), KeyUnclear)
    assert isinstance(judged(REVOKED), KeyDenied)
