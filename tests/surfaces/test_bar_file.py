"""Files of recorded bars: plain and packed ones are read, damaged ones refused with the cure."""

import gzip
from pathlib import Path

import pytest

from tradefleet.domain.errors import Refused
from tradefleet.domain.market import Timeframe
from tradefleet.surfaces.cli.bar_file import load_bars

TEXT = "opened_at,open,high,low,close,volume\n" + "".join(
    f"2018-01-10T0{hour}:00:00Z,1.5,2,1,1.25,3\n" for hour in range(10)
)
HOUR = Timeframe(3600)


def refusal_of(path: Path) -> str:
    with pytest.raises(Refused) as refused:
        load_bars(path, HOUR)
    assert str(refused.value).startswith(str(path))
    return str(refused.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bars.csv"


def test_a_plain_and_a_packed_file_hold_the_same_bars(path, tmp_path):
    path.write_text(TEXT)
    packed = tmp_path / "bars.csv.gz"
    packed.write_bytes(gzip.compress(TEXT.encode()))
    assert len(load_bars(path, HOUR)) == 10
    assert load_bars(packed, HOUR) == load_bars(path, HOUR)


def test_a_packed_file_is_known_by_its_content_not_its_name(path):
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode()))
    assert len(load_bars(path, HOUR)) == 10


def test_a_defect_is_refused_with_file_and_line(path):
    path.write_text(TEXT.replace("04:00", "04:70"))
    assert ": Line 6: " in refusal_of(path)


def test_an_empty_file_is_refused(path):
    path.touch()
    assert "empty" in refusal_of(path)


def test_a_missing_file_is_refused(path):
    assert "no such file" in refusal_of(path)


def test_a_directory_is_refused(tmp_path):
    assert "is a directory" in refusal_of(tmp_path)


def test_a_file_in_a_file_is_refused_with_the_reason(path):
    path.touch()
    assert "cannot be read: Not a directory" in refusal_of(path / "bars.csv")


@pytest.mark.parametrize("cut", [-8, 40, 12])
def test_a_packed_file_cut_short_is_refused(path, cut):
    path.write_bytes(gzip.compress(TEXT.encode())[:cut])
    assert "gzip" in refusal_of(path)


@pytest.mark.parametrize("place", [2, 30, -6])
def test_a_damaged_packed_file_is_refused(path, place):
    content = bytearray(gzip.compress(TEXT.encode()))
    content[place] ^= 0xFF
    path.write_bytes(content)
    assert "gzip" in refusal_of(path)


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_file_in_another_encoding_is_refused(path, encoding):
    path.write_bytes(("é" + TEXT).encode(encoding))
    assert "UTF-8" in refusal_of(path)
