"""The vault: what is sealed for one place opens there and nowhere else."""

import base64
import itertools
import random
from dataclasses import replace

import pytest
from cryptography.fernet import Fernet

from tests.key_rig import FINGERPRINTS, MASTERS, pair, vault_under
from tradefleet.domain.credentials import Secret
from tradefleet.domain.errors import BrokenInvariant
from tradefleet.domain.ids import AccountId, UserId
from tradefleet.domain.user import Mode
from tradefleet.vault import CannotOpen, Place, Use, Vault, new_master

ALICE, BOB = UserId("alice"), UserId("bob")
SWAPS = 10_000


def place(user=ALICE, venue="bybit", mode=Mode.TESTNET, use=Use.ACCOUNT):
    id = AccountId(f"{user}:{venue}:{mode.value}")
    return Place(user_id=user, account_id=id, venue=venue, mode=mode, use=use)


def test_what_was_sealed_opens_again_with_every_letter():
    vault = vault_under()
    key = vault.new_user_key(ALICE)
    given = pair("ключ 🔑 \\ \"'\n", "s" * 4096)
    assert vault.open(key, place(), vault.seal(key, place(), given)) == given


def test_no_two_seals_are_alike_and_none_shows_what_is_in_it():
    vault = vault_under()
    key = vault.new_user_key(ALICE)
    sealed = {vault.seal(key, place(), pair()) for _ in range(10)}
    assert len(sealed) == 10
    for token in (*sealed, key):
        raw = base64.urlsafe_b64decode(token)
        assert b"alice" not in raw
        assert b"key-of" not in raw


@pytest.mark.parametrize(
    "other",
    [
        place(BOB),
        replace(place(), user_id=BOB),
        replace(place(), account_id=AccountId("alice:bybit:live")),
        replace(place(), venue="kraken"),
        replace(place(), mode=Mode.LIVE),
        replace(place(), use=Use.PENDING),
    ],
)
def test_sealed_credentials_open_in_no_other_place(other):
    vault = vault_under()
    key = vault.new_user_key(ALICE)
    sealed = vault.seal(key, place(), pair())
    with pytest.raises(CannotOpen):
        vault.open(key, other, sealed)


def test_of_ten_thousand_swaps_of_rows_fields_users_and_accounts_none_opens():
    """Every field of a row is taken at random from one of many rows: only whole rows open."""
    vault, chance = vault_under(), random.Random(7)
    places = [
        place(UserId(f"user{number}"), venue, mode, use)
        for number, venue, mode, use in itertools.product(
            range(5), ("bybit", "kraken"), (Mode.TESTNET, Mode.LIVE), Use
        )
    ]
    keys = {user: vault.new_user_key(user) for user in {p.user_id for p in places}}
    sealed = [vault.seal(keys[p.user_id], p, pair(p.account_id)) for p in places]
    rows = [(keys[p.user_id], p, token) for p, token in zip(places, sealed, strict=True)]
    opened = refused = 0
    while refused < SWAPS:
        wrapped, owner, token = (chance.choice(rows)[column] for column in range(3))
        owner = replace(owner, **drawn_field(chance, places))
        try:
            found = vault.open(wrapped, owner, token)
        except CannotOpen:
            refused += 1
            continue
        # What opens is a row as it was written: nothing was moved after all.
        assert (wrapped, owner, token) in rows
        assert found.api_key.reveal() == owner.account_id
        opened += 1
    assert opened < SWAPS / 100


def drawn_field(chance, places):
    """Return one field of a place, from another one, or none."""
    name = chance.choice(["user_id", "account_id", "venue", "mode", "use", None])
    return {} if name is None else {name: getattr(chance.choice(places), name)}


def test_a_users_key_in_another_users_row_is_refused():
    vault = vault_under()
    alices, bobs = vault.new_user_key(ALICE), vault.new_user_key(BOB)
    sealed = vault.seal(alices, place(), pair())
    with pytest.raises(CannotOpen, match="alice is not theirs"):
        vault.open(bobs, place(), sealed)
    with pytest.raises(CannotOpen, match="bob is not theirs"):
        vault.open(alices, replace(place(BOB)), sealed)


def test_sealed_credentials_are_no_users_key():
    vault = vault_under()
    key = vault.new_user_key(ALICE)
    for token in (vault.seal(key, place(), pair()), b"", b"x" * 100, key[:-1], key[1:]):
        with pytest.raises(CannotOpen):
            vault.rewrapped(ALICE, token)


def test_every_changed_letter_of_a_token_is_noticed():
    vault = vault_under()
    key = vault.new_user_key(ALICE)
    sealed = vault.seal(key, place(), pair())
    for at in range(0, len(sealed) - 2, 7):
        changed = sealed[:at] + (b"A" if sealed[at : at + 1] != b"A" else b"B") + sealed[at + 1 :]
        with pytest.raises(CannotOpen):
            vault.open(key, place(), changed)


# ---- master keys


def test_the_first_master_key_wraps_and_all_unwrap():
    old, both, new = vault_under(0), vault_under(1, 0), vault_under(1)
    key = old.new_user_key(ALICE)
    sealed = old.seal(key, place(), pair())
    assert both.open(key, place(), sealed) == pair()
    assert not both.is_current(key)
    fresh = both.rewrapped(ALICE, key)
    assert both.is_current(fresh)
    assert new.open(fresh, place(), sealed) == pair()
    assert not old.opens(ALICE, fresh)
    with pytest.raises(CannotOpen, match="another ENCRYPTION_KEY"):
        new.open(key, place(), sealed)


def test_a_vault_needs_a_master_key():
    with pytest.raises(BrokenInvariant):
        Vault([], FINGERPRINTS)


def test_a_new_master_key_is_one():
    assert Fernet(new_master().reveal())
    assert new_master() != new_master()


# ---- fingerprints


def test_a_fingerprint_knows_a_key_and_tells_nothing_of_it():
    vault = vault_under()
    mark = vault.fingerprint(Secret("key"))
    assert mark == vault_under(2).fingerprint(Secret("key"))  # whatever the master key
    assert mark != vault.fingerprint(Secret("Key"))
    assert mark != Vault(MASTERS, b"g" * 32).fingerprint(Secret("key"))
    assert len(mark) == 64


def test_errors_name_places_and_no_secret():
    vault = vault_under()
    key = vault.new_user_key(ALICE)
    with pytest.raises(CannotOpen) as error:
        vault.open(key, place(BOB), vault.seal(key, place(), pair()))
    assert error.value.__cause__ is None
    assert "secret" not in repr(error.value)
