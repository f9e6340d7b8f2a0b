"""The master and the members: how variables name them, and what is said of each at start."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tradefleet.domain.credentials import Credentials, KeyFault, KeyRefused, KeyReport
from tradefleet.domain.errors import Refused
from tradefleet.domain.family import MASTER_LIMITS, MEMBER_LIMITS, Listed, family_of, listed_from
from tradefleet.domain.ids import UserId
from tradefleet.engine.key_guard import UNCLEAR, KeyRules
from tradefleet.operations import family
from tradefleet.operations.family import connect_family, connect_one, exit_code

VARIABLES = {
    "KRAKEN_MASTER_API_KEY": "master-key",
    "KRAKEN_MASTER_API_SECRET": "master-secret",
    "KRAKEN_USER_FIRST_API_KEY": "first-key",
    "KRAKEN_USER_FIRST_API_SECRET": "first-secret",
    "KRAKEN_USER_SECOND_API_KEY": "second-key",
    "KRAKEN_USER_SECOND_API_SECRET": "second-secret",
}
LISTED = [Listed(id=UserId("first_user")), Listed(id=UserId("second_user"))]
NOW = datetime(2026, 1, 11, tzinfo=UTC)
GOOD = KeyReport(
    can_read=True, can_trade=True, can_withdraw=False, balances={"USD": Decimal("1234.5")}
)


def test_the_master_comes_first_then_the_listed_members_in_their_order():
    members = family_of(VARIABLES, list(reversed(LISTED)))
    assert [(m.number, m.id, m.name, m.label) for m in members] == [
        (0, "master", "Master", "MASTER"),
        (1, "second_user", "Second User", "USER:second_user"),
        (2, "first_user", "First User", "USER:first_user"),
    ]
    assert [m.credentials and m.credentials.api_key.reveal() for m in members] == [
        "master-key",
        "second-key",
        "first-key",
    ]


def test_members_nobody_listed_are_found_from_the_variables_alone():
    assert [m.id for m in family_of(VARIABLES)] == ["master", "first", "second"]


def test_a_first_name_is_the_id_up_to_its_first_underscore():
    variables = {"KRAKEN_USER_MARY_API_KEY": "k", "KRAKEN_USER_MARY_API_SECRET": "s"}
    (member,) = family_of(variables, [Listed(id=UserId("mary_ann_smith"))])
    assert (member.credentials is not None, member.name) == (True, "Mary Ann Smith")


def test_two_ids_with_one_first_name_are_refused_and_both_named():
    listed = [Listed(id=UserId("mary_smith")), Listed(id=UserId("mary_jones"))]
    with pytest.raises(Refused, match=r"mary_smith and mary_jones.*KRAKEN_USER_MARY_API_KEY"):
        family_of({}, listed)


@pytest.mark.parametrize("id", ["", "Mary", "mary-ann", "mary__ann", "master", "ä", "a b", "_a"])
def test_an_id_that_cannot_name_variables_is_refused(id):
    with pytest.raises(Refused, match="cannot be a user id"):
        family_of({}, [Listed(id=UserId(id))])


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "set KRAKEN_USER_FIRST_API_KEY and KRAKEN_USER_FIRST_API_SECRET"),
        ({"KRAKEN_USER_FIRST_API_KEY": "k"}, "set KRAKEN_USER_FIRST_API_SECRET"),
        (
            {"KRAKEN_USER_FIRST_API_KEY": "  ", "KRAKEN_USER_FIRST_API_SECRET": "s"},
            "set KRAKEN_USER_FIRST_API_KEY",
        ),
    ],
)
def test_a_member_without_keys_is_told_which_variables_to_set(given, missing):
    member = family_of(given, LISTED)[0]
    assert (member.credentials, member.missing) == (None, missing)


def test_spaces_around_a_key_do_not_count():
    given = {"KRAKEN_USER_FIRST_API_KEY": " k\n", "KRAKEN_USER_FIRST_API_SECRET": "s "}
    credentials = family_of(given, LISTED)[0].credentials
    assert credentials is not None
    assert (credentials.api_key.reveal(), credentials.api_secret.reveal()) == ("k", "s")


def test_the_master_has_eight_positions_and_a_member_seven():
    master, member, _ = family_of(VARIABLES, LISTED)
    assert (master.limits, member.limits) == (MASTER_LIMITS, MEMBER_LIMITS)
    assert (MASTER_LIMITS.open_positions_max, MEMBER_LIMITS.open_positions_max) == (8, 7)
    assert (MEMBER_LIMITS.position_quote_max, MEMBER_LIMITS.daily_loss_quote) == (300, 150)
    assert MEMBER_LIMITS.drawdown_share_max == Decimal("0.15")


def answering(by_key):
    async def check(credentials: Credentials) -> KeyReport:
        answer = by_key.get(credentials.api_key.reveal(), GOOD)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return check


async def connected(by_key, variables=VARIABLES):
    said: list[str] = []
    ask = answering(by_key)

    async def connect(member):
        return await connect_one(member, ask, KeyRules(live_ban=""), NOW)

    found = await connect_family(family_of(variables, LISTED), connect, said.append)
    return found, said


async def test_the_start_up_log_is_as_the_guide_shows_it():
    found, said = await connected({})
    members = said[said.index("👤 CONNECTING USER ACCOUNTS") - 1 :]
    assert members == [
        "=" * 70,
        "👤 CONNECTING USER ACCOUNTS",
        "=" * 70,
        "📊 Attempting to connect User #1 (First User) - Kraken...",
        "   ✅ User #1 Kraken connected",
        "   💰 User #1 Kraken balance: $1,234.50",
        "",
        "📊 Attempting to connect User #2 (Second User) - Kraken...",
        "   ✅ User #2 Kraken connected",
        "   💰 User #2 Kraken balance: $1,234.50",
        "",
    ]
    assert family.summary_lines(found) == [
        "=" * 70,
        "📊 ACCOUNT TRADING STATUS SUMMARY",
        "=" * 70,
        "✅ MASTER ACCOUNT: TRADING (Broker: kraken)",
        "✅ USER #1 (First User): TRADING (Broker: Kraken)",
        "✅ USER #2 (Second User): TRADING (Broker: Kraken)",
        "=" * 70,
    ]
    assert family.check_lines(found) == [
        "🔍 KRAKEN CONNECTION TEST - MASTER + ALL USERS",
        "✅ Master account: CONNECTED",
        "✅ User #1 (First): CONNECTED",
        "✅ User #2 (Second): CONNECTED",
        "🎉 ALL ACCOUNTS CONNECTED - Ready for multi-account trading!",
    ]
    assert exit_code(found) == 0
    assert [family.cycle_line(c.member, 1) for c in found] == [
        "🔄 kraken (MASTER) - Cycle #1",
        "🔄 kraken (USER:first_user) - Cycle #1",
        "🔄 kraken (USER:second_user) - Cycle #1",
    ]


@pytest.mark.parametrize("fault", KeyFault)
async def test_one_that_fails_is_named_with_its_cure_and_the_others_connect(fault):
    found, said = await connected({"first-key": KeyRefused(fault, "the venue's words")})
    assert [c.connected for c in found] == [True, False, True]
    assert "   ❌ User #1: Kraken connection failed: the venue's words" in said
    assert found[1].cure
    assert f"   💡 {found[1].cure}" in said
    assert found[1].passes == (fault in UNCLEAR)
    assert exit_code(found) == 1
    assert (
        "❌ USER #1 (First User): NOT TRADING (Kraken connection failed: the venue's words)"
        in family.summary_lines(found)
    )
    assert family.check_lines(found)[-1].startswith("⚠️  2 OF 3 ACCOUNTS CONNECTED")


async def test_a_refusal_of_ours_is_told_as_it_is():
    found, _ = await connected({"first-key": Refused("Live accounts are switched off.")})
    assert found[1].fault == "Kraken connection refused: Live accounts are switched off."


@pytest.mark.parametrize(
    ("report", "fault"),
    [
        (
            KeyReport(can_read=True, can_trade=False, can_withdraw=False, missing=("Orders",)),
            "Kraken connection failed: This key lacks a right: Orders.",
        ),
        (
            KeyReport(can_read=True, can_trade=False, can_withdraw=False),
            "Kraken connection failed: This key lacks a right: trading.",
        ),
        (
            KeyReport(can_read=True, can_trade=True, can_withdraw=True),
            "Kraken connection failed: This key may withdraw.",
        ),
        (
            KeyReport(can_read=True, can_trade=True, can_withdraw=None),
            "Kraken connection failed: Kraken does not say whether this key may withdraw.",
        ),
    ],
)
async def test_a_key_with_a_right_too_few_or_too_many_does_not_trade(report, fault):
    found, _ = await connected({"master-key": report})
    assert (found[0].fault, found[0].cure) == (fault, family.PERMISSIONS)


async def test_an_account_without_variables_is_told_what_to_set():
    found, said = await connected({}, {k: v for k, v in VARIABLES.items() if "FIRST" not in k})
    assert "   ❌ User #1: Kraken credentials not configured" in said
    cure = "Set KRAKEN_USER_FIRST_API_KEY and KRAKEN_USER_FIRST_API_SECRET, then restart."
    assert found[1].cure == cure


@pytest.mark.parametrize(
    ("balance", "said"), [("0", "No balance"), ("0.99", "No balance"), ("24.99", "Below $25.00")]
)
async def test_too_little_money_is_said_plainly(balance, said):
    poor = KeyReport(
        can_read=True, can_trade=True, can_withdraw=False, balances={"USD": Decimal(balance)}
    )
    found, lines = await connected({"first-key": poor})
    assert found[1].connected
    assert any(said in line for line in lines)


async def test_without_any_account_nothing_is_connected():
    found, _ = await connected({}, {})
    assert not any(c.connected for c in found)
    assert exit_code(found) == 2
    assert family.verdict_line(found) == "❌ NO ACCOUNT CONNECTED"
    assert family.verdict_line([]).startswith("❌ NO ACCOUNTS CONFIGURED")
    assert exit_code([]) == 2


async def test_no_line_shows_anything_of_a_key():
    _, said = await connected({"second-key": KeyRefused(KeyFault.INVALID, "Invalid key")})
    assert not any("-key" in line or "-secret" in line for line in said)


def test_a_users_file_gives_ids_names_and_limits():
    first, second = listed_from(
        {
            "users": [
                {"id": "first_user", "positions": 3, "daily_loss_quote": 75.5},
                {"id": "second_user", "name": "The Second", "position_quote": 100},
            ]
        }
    )
    assert (first.limits.open_positions_max, first.limits.daily_loss_quote) == (3, Decimal("75.5"))
    assert first.limits.position_quote_max == 300
    assert (second.name, second.limits.position_quote_max) == ("The Second", 100)
    assert listed_from({}) == []


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"members": []}, "members"),
        ({"users": "first_user"}, "lists users like this"),
        ({"users": ["first_user"]}, "lists users like this"),
        ({"users": [{"id": 7}]}, "user 1 of the users file: write id"),
        ({"users": [{"id": "a", "name": 7}]}, "write id"),
        ({"users": [{"id": "a"}, {"id": "b", "api_key": "x"}]}, "user 2 .*api_key means nothing"),
        ({"users": [{"id": "a", "positions": 0}]}, "positions must be a number above zero"),
        ({"users": [{"id": "a", "positions": True}]}, "positions must be"),
        ({"users": [{"id": "a", "daily_loss_quote": float("nan")}]}, "daily_loss_quote must be"),
        ({"users": [{"id": "a", "position_quote": "much"}]}, "position_quote must be"),
    ],
)
def test_a_users_file_that_is_wrong_is_explained(table, text):
    with pytest.raises(Refused, match=text):
        listed_from(table)
