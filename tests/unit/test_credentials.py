"""A secret keeps itself from being shown, whatever is done with it."""

import logging
from dataclasses import asdict

import pytest

from tests.key_rig import pair
from tradefleet.domain.credentials import KeyFault, KeyRefused, Secret

TEXT = "abcd-this-is-never-shown-wxyz"


def test_a_secret_is_told_only_to_who_asks_for_it():
    secret = Secret(TEXT)
    assert secret.reveal() == TEXT
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>40}"):
        assert "never" not in shown
    assert "never" not in repr([secret, {"a": secret}, pair(TEXT), asdict(pair(TEXT))])


def test_a_log_line_and_an_error_that_are_given_a_secret_do_not_show_it(caplog):
    logging.getLogger("x").warning("key %s of %r", Secret(TEXT), pair(TEXT))
    assert "never" not in caplog.text
    assert "never" not in str(ValueError("bad key", Secret(TEXT)))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (TEXT, "abcd…wxyz (29 characters)"),
        ("1234567890123456", "1234…3456 (16 characters)"),
        ("123456789012345", "… (15 characters)"),
        ("", "… (0 characters)"),
    ],
)
def test_a_mask_shows_the_ends_of_what_is_long(text, shown):
    assert Secret(text).masked() == shown


def test_secrets_are_compared_by_what_they_hold():
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert (bool(Secret("a")), bool(Secret(""))) == (True, False)


def test_a_refusal_names_its_fault():
    refusal = KeyRefused(KeyFault.CLOCK, "text")
    assert (refusal.fault, str(refusal)) == (KeyFault.CLOCK, "text")


def test_a_secret_does_not_slip_out_by_its_attributes():
    assert not hasattr(Secret(TEXT), "__dict__")
