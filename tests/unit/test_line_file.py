"""Lines are added to the end of a file, each whole, whatever happened to the one before."""

import os

import pytest

from tradefleet.operations.line_file import add_line


def test_lines_stand_one_below_the_other_in_a_file_only_its_owner_reads(tmp_path):
    file = tmp_path / "folder" / "lines"
    for line in ("one", "two"):
        add_line(file, line)
    assert file.read_text() == "one\ntwo\n"
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_a_crash_left_unended_stays_a_line_by_itself(tmp_path):
    file = tmp_path / "lines"
    file.write_text("one\ntw")
    add_line(file, "three")
    assert file.read_text() == "one\ntw\nthree\n"


def test_a_line_that_the_disk_takes_in_parts_is_written_whole(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:2]))
    add_line(tmp_path / "lines", "a longer line")
    assert (tmp_path / "lines").read_text() == "a longer line\n"


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "lines").mkdir()
    with pytest.raises(OSError, match="directory"):
        add_line(tmp_path / "lines", "one")
