"""The file of a backup: whatever is changed, cut off, added or foreign is noticed."""

import asyncio
from pathlib import Path
from threading import Event

import pytest

from tests.backup_rig import MASTER, NOW, OTHER_MASTER
from tradefleet.operations.backup import sealed_file
from tradefleet.operations.backup.backups import stoppable
from tradefleet.operations.backup.copying import BackupFault, Picture
from tradefleet.operations.backup.sealed_file import read_sealed, write_sealed

PICTURE = Picture(schema="0001", tables={"orders": 1}, ledger="x", sums=0)


@pytest.fixture
def sealed(tmp_path, monkeypatch):
    """A backup of several pieces, and what is in it."""
    monkeypatch.setattr(sealed_file, "PIECE", 100)
    plain, file = tmp_path / "plain", tmp_path / "x.backup"
    plain.write_bytes(bytes(range(256)) * 4)
    words = {"kind": "sqlite", "of": "x", "taken_at": NOW, "version": "1"}
    write_sealed(file, plain, PICTURE, MASTER, **words, stop=Event())
    return file


def refusal(file: Path, masters=(MASTER,)) -> str:
    out = file.with_name("out")
    with pytest.raises(BackupFault) as fault:
        read_sealed(file, out, masters, stop=Event())
    assert not out.exists()  # nothing of it is used
    return str(fault.value)


def test_what_is_sealed_is_opened_as_it_was(sealed, tmp_path):
    header, picture = read_sealed(sealed, tmp_path / "out", (OTHER_MASTER, MASTER), stop=Event())
    assert (tmp_path / "out").read_bytes() == (tmp_path / "plain").read_bytes()
    assert picture == PICTURE
    assert (header.kind, header.schema, header.taken_at) == ("sqlite", "0001", NOW)
    assert (tmp_path / "out").stat().st_mode & 0o077 == 0


def test_each_flipped_byte_is_noticed(sealed):
    whole = sealed.read_bytes()
    for place in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[place] ^= 1
        sealed.write_bytes(changed)
        assert str(sealed) in refusal(sealed)


def test_a_file_cut_off_anywhere_is_noticed(sealed):
    whole = sealed.read_bytes()
    for end in [*range(0, len(whole), 11), len(whole) - 1]:
        sealed.write_bytes(whole[:end])
        assert "no backup of tradefleet" in (said := refusal(sealed)) or "is damaged" in said


def places_of_pieces(whole: bytes) -> list[int]:
    """Return where each piece begins, and the end."""
    at = len(sealed_file.MAGIC)
    at += sealed_file.LENGTH + int.from_bytes(whole[at : at + sealed_file.LENGTH], "big")
    places = [at]
    while at < len(whole):
        at += sealed_file.LENGTH + int.from_bytes(whole[at : at + sealed_file.LENGTH], "big")
        places.append(at)
    return places


def test_whole_pieces_cut_off_exchanged_repeated_or_added_are_noticed(sealed):
    whole = sealed.read_bytes()
    places = places_of_pieces(whole)
    assert len(places) > 5
    sealed.write_bytes(whole[: places[-2]])
    assert "its end is missing" in refusal(sealed)
    last = whole[places[-2] :]
    sealed.write_bytes(whole + last)
    assert "something was added to its end" in refusal(sealed)
    one, two = whole[places[1] : places[2]], whole[places[2] : places[3]]
    for changed in (two + one, one + one, one):
        sealed.write_bytes(whole[: places[1]] + changed + whole[places[3] :])
        assert "piece 2 is not" in (said := refusal(sealed)) or "piece 3 is not" in said


def test_a_piece_of_another_backup_under_the_same_key_is_noticed(sealed, tmp_path):
    other = tmp_path / "y.backup"
    words = {"kind": "sqlite", "of": "x", "taken_at": NOW, "version": "1"}
    write_sealed(other, tmp_path / "plain", PICTURE, MASTER, **words, stop=Event())
    mine, theirs = sealed.read_bytes(), other.read_bytes()
    places = places_of_pieces(mine)
    assert places == places_of_pieces(theirs)
    sealed.write_bytes(mine[: places[1]] + theirs[places[1] :])
    assert "piece 2 is not what was sealed" in refusal(sealed)


def test_a_changed_header_is_noticed(sealed):
    whole = sealed.read_bytes()
    assert b'"2026-11-21T' in whole
    sealed.write_bytes(whole.replace(b'"2026-11-21T', b'"2026-11-22T'))
    assert "piece 1 is not what was sealed" in refusal(sealed)


def test_another_master_key_is_told_by_its_fingerprint(sealed):
    said = refusal(sealed, (OTHER_MASTER,))
    assert sealed_file.fingerprint(MASTER) in said
    assert sealed_file.fingerprint(OTHER_MASTER) in said
    assert MASTER.reveal() not in said
    assert "There is no master key here" in refusal(sealed, ())


def test_a_format_of_tomorrow_and_a_file_of_others_are_told_apart(sealed):
    whole = sealed.read_bytes()
    sealed.write_bytes(whole.replace(b'"format": 1', b'"format": 9'))
    assert "made by a newer version" in refusal(sealed)
    sealed.write_bytes(b"SQLite format 3\0" + bytes(100))
    assert "is no backup of tradefleet" in refusal(sealed)
    sealed.unlink()
    assert "cannot be read" in refusal(sealed)


def test_nothing_of_the_database_is_readable_in_a_backup(sealed, tmp_path):
    (tmp_path / "plain").write_bytes(b"canary-canary-canary" * 100)
    other = tmp_path / "z.backup"
    words = {"kind": "sqlite", "of": "x", "taken_at": NOW, "version": "1"}
    write_sealed(other, tmp_path / "plain", PICTURE, MASTER, **words, stop=Event())
    assert b"canary" not in other.read_bytes()
    assert b"orders" not in other.read_bytes()
    assert other.stat().st_mode & 0o077 == 0


async def test_a_thread_ends_soon_when_nobody_waits_for_it(tmp_path):
    begun, ended = Event(), Event()

    def work(*, stop: Event) -> None:
        begun.set()
        assert stop.wait(5)
        ended.set()

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(stoppable(work))
        await asyncio.to_thread(begun.wait, 5)
        task.cancel()
    assert await asyncio.to_thread(ended.wait, 5)


def test_what_was_stopped_is_neither_sealed_nor_opened_to_its_end(sealed, tmp_path):
    stop = Event()
    stop.set()
    words = {"kind": "sqlite", "of": "x", "taken_at": NOW, "version": "1", "stop": stop}
    with pytest.raises(BackupFault, match="stopped"):
        write_sealed(tmp_path / "z", tmp_path / "plain", PICTURE, MASTER, **words)
    with pytest.raises(BackupFault, match="stopped"):
        read_sealed(sealed, tmp_path / "out", (MASTER,), stop=stop)
    assert not (tmp_path / "out").exists()
