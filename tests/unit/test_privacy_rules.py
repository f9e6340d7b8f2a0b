"""No table is forgotten: each has a rule for export, erasure and retention, found by the schema."""

import pytest
from sqlalchemy import LargeBinary

from tradefleet.settings import Settings
from tradefleet.stores.sql.privacy.rules import AGES, BY_NAME, RULES, Fate, stands_for
from tradefleet.stores.sql.tables import METADATA
from tradefleet.stores.sql.tables.privacy import RENAMABLE
from tradefleet.wiring.privacy import ages

TABLES = METADATA.sorted_tables
every_table = pytest.mark.parametrize("table", TABLES, ids=[table.name for table in TABLES])
OPENS_SOMETHING = {"hash", "sealed", "wrapped", "code", "value", "secret"}
# What says nothing of who it is that erased: a name is a pseudonym there, and no user's.
OF_THE_ERASED = {"erasures"}


def test_every_table_has_one_rule_and_every_rule_a_table():
    assert sorted(BY_NAME) == sorted(METADATA.tables)
    assert len(BY_NAME) == len(RULES)


@every_table
def test_a_table_with_rows_of_users_is_exported_and_no_other_is_kept_back_without_a_reason(table):
    rule = BY_NAME[table.name]
    is_users = {"user_id", "account_id"} & set(table.c.keys()) or table.name == "users"
    assert bool(is_users) == (rule.fate is not Fate.NOBODYS) or table.name in OF_THE_ERASED
    assert len(rule.why) > 3
    assert rule.fate is Fate.NOBODYS or rule.by in table.c


@every_table
def test_no_export_holds_what_opens_anything(table):
    rule, hidden = BY_NAME[table.name], stands_for(BY_NAME[table.name])
    for column in table.c:
        opens = isinstance(column.type, LargeBinary) or column.name in OPENS_SOMETHING
        is_chained = (
            table.name == "audit_log" and column.name == "hash"
        )  # of lines: they open nothing
        if opens and not is_chained and rule.fate is not Fate.NOBODYS:
            assert column.name in hidden, column.name


@every_table
def test_what_is_kept_after_an_erasure_can_be_renamed(table):
    rule = BY_NAME[table.name]
    if rule.fate is Fate.RENAMED and table.name != "users":
        assert "user_id" in table.c
    if table.name in RENAMABLE:
        assert rule.fate is Fate.RENAMED
        assert set(RENAMABLE[table.name]) <= set(table.c.keys())


def test_what_goes_after_a_time_has_a_setting_that_says_when():
    known = ages(Settings(_env_file=None))
    for each in AGES:
        assert each.at in each.table.c
        assert each.aging.age in known
        assert BY_NAME[each.aging.table].fate is not Fate.RENAMED or each.aging.table in {
            "trades",
            "decisions",
        }
    assert known["trades"].days == 730
    assert known["system_metrics"].days == 30


def test_books_never_go():
    assert not {each.aging.table for each in AGES} & {
        "orders",
        "fills",
        "ledger_entries",
        "audit_log",
    }
