"""Log lines: whose they are, where they go, and that no disk keeps anybody from working."""

import errno
import io
import json
import logging
import os
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

import pytest
from structlog.contextvars import bound_contextvars

from tradefleet.domain.errors import VenueRejected
from tradefleet.operations.logs import starting
from tradefleet.operations.logs.berth import Berth
from tradefleet.operations.logs.log_file import READABLE, Line, LogFile
from tradefleet.operations.logs.starting import NOISY, Scribe, show_logs, write_logs
from tradefleet.settings import Settings

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)


# ---- one file


class Files:
    """A folder of logs, and what was said beside them."""

    def __init__(self, folder) -> None:
        self.folder, self.said = folder, []

    def open(self, **given) -> LogFile:
        return LogFile(
            **{
                "berth": Berth(self.folder, "bot.log"),
                "name": "bot.log",
                "size_max": 1000,
                "keep": timedelta(days=30),
                "say": self.said.append,
                "note": lambda at, text: f"note: {text}",
                **given,
            }
        )

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*.log"))

    def text(self, name="bot.log") -> str:
        return (self.folder / name).read_text()


@pytest.fixture
def files(tmp_path) -> Files:
    return Files(tmp_path / "logs")


def say(file: LogFile, text: str, at: datetime = NOON) -> None:
    file.write([Line(at, text)])


def test_lines_are_added_to_what_is_there(files):
    for text in ("one", "two"):
        file = files.open()
        say(file, text, datetime.now(UTC))
        file.berth.leave()
        file.close()
    assert files.text() == "one\ntwo\n"
    assert (files.folder / "bot.log").stat().st_mode & 0o777 == READABLE


def test_at_midnight_utc_a_new_file_begins(files):
    file = files.open()
    midnight = datetime(2026, 11, 22, tzinfo=UTC)
    file.write([Line(midnight - timedelta(seconds=1), "late"), Line(midnight, "early")])
    assert (files.text("bot-2026-11-21.log"), files.text()) == ("late\n", "early\n")
    say(file, "a line of before is not put back", midnight - timedelta(seconds=1))
    assert files.text().startswith("early\na line")


def test_a_file_of_an_earlier_day_is_put_aside_at_the_start(files):
    file = files.open()
    say(file, "old")
    file.close()
    os.utime(files.folder / "bot.log", (NOON.timestamp(),) * 2)
    file.berth.leave()
    say(files.open(), "new", NOON + 2 * DAY)
    assert (files.text("bot-2026-11-21.log"), files.text()) == ("old\n", "new\n")


def test_a_file_that_is_full_is_put_aside_with_a_number(files):
    file = files.open()
    for number in range(5):
        say(file, str(number) * 600)
    assert files.names() == [
        "bot-2026-11-21-001.log", "bot-2026-11-21-002.log", "bot-2026-11-21-003.log",
        "bot-2026-11-21.log", "bot.log",
    ]  # fmt: skip
    assert files.text("bot-2026-11-21-003.log")[0] == "3"


def test_old_files_go_those_of_others_stay(files):
    file = files.open(keep=3 * DAY)
    for number in range(6):
        say(file, "x", NOON + number * DAY)
    (files.folder / "bottle-2001-01-01.log").write_text("not ours")
    (files.folder / "bot.2-2001-01-01.log").write_text("of a process that is no more")
    (files.folder / "bot.3.log").write_text("of one that ended long ago")
    os.utime(files.folder / "bot.3.log", (0, 0))
    say(file, "x", NOON + 6 * DAY)
    assert files.names() == [
        "bot-2026-11-24.log", "bot-2026-11-25.log", "bot-2026-11-26.log", "bot.log",
        "bottle-2001-01-01.log",
    ]  # fmt: skip


def test_a_file_that_was_moved_away_is_begun_anew(files):
    file = files.open()
    say(file, "one")
    (files.folder / "bot.log").rename(files.folder / "bot.log.1")
    say(file, "two")
    assert files.text() == "two\n"


def test_processes_do_not_share_a_file(files):
    one, two = files.open(), files.open()
    say(one, "one")
    say(two, "two")
    assert (files.text(), files.text("bot.2.log")) == ("one\n", "two\n")
    one.close()
    one.berth.leave()
    three = files.open()
    say(three, "three")
    assert files.text() == "one\nthree\n"


# ---- a disk that takes nothing


class Disk:
    """Takes lines as long as there is room."""

    def __init__(self, monkeypatch) -> None:
        self.room: int | None = None
        self.real = os.write
        monkeypatch.setattr(os, "write", self.write)

    def write(self, file, data) -> int:
        if self.room is None:
            return self.real(file, data)
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = self.real(file, bytes(data)[: self.room])
        self.room -= taken
        return taken


def test_a_full_disk_is_said_once_and_tried_again(files, monkeypatch):
    disk, file = Disk(monkeypatch), files.open()
    say(file, "one")
    disk.room = 2
    for second in range(60):
        say(file, "lost", NOON + timedelta(seconds=second))
    disk.room = None
    say(file, "not tried yet", NOON + timedelta(seconds=59))
    say(file, "two", NOON + timedelta(seconds=90))
    note = "note: 61 lines are missing here: the disk took none since 12:00:00 UTC"
    assert files.text() == f"one\nlo\n{note}\ntwo\n"
    first, second = files.said
    assert "No space left on device" in first
    assert first.endswith("tried again every 30 s. Make room there.")
    assert second.endswith("is written again; 61 lines are missing.")


def test_a_folder_that_cannot_be_made_stops_nobody(tmp_path):
    (tmp_path / "taken").write_text("a file, where a folder should be")
    files = Files(tmp_path / "taken")
    file = files.open()
    say(file, "lost")
    say(file, "lost, too")
    (told,) = files.said
    assert "cannot be written (Not a directory)" in told or "(File exists)" in told


def test_a_file_that_cannot_be_put_aside_is_written_on(files, monkeypatch):
    file = files.open()
    say(file, "one")

    def refuse(*_):
        raise PermissionError(errno.EPERM, "not permitted")

    monkeypatch.setattr(os, "rename", refuse)
    say(file, "two", NOON + DAY)
    assert (files.text(), files.said) == ("one\ntwo\n", [])


# ---- the whole


@pytest.fixture
def root():
    """The root logger and the noisy ones, as they were before."""
    logger = logging.getLogger()
    before = [*logger.handlers], logger.level
    levels = {name: logging.getLogger(name).level for name in NOISY}
    yield logger
    for handler in [each for each in logger.handlers if isinstance(each, Scribe)]:
        handler.close()
    logger.handlers, logger.level = before
    logging.captureWarnings(False)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def begin(root, tmp_path):
    """Begin to write logs; the screen is returned."""

    def begun(**given) -> io.StringIO:
        screen = io.StringIO()
        write_logs(Settings(log_dir=tmp_path / "logs", **given), screen)
        return screen

    return begun


logger = logging.getLogger("tradefleet.runtime.host")


def flush() -> None:
    for handler in logging.getLogger().handlers:
        handler.flush()


def lines_of(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_is_on_the_screen_and_in_the_file_an_error_in_its_own_as_well(begin, tmp_path):
    screen = begin(log_format="json")
    with bound_contextvars(user="alice", bot="b1", order="o1"):
        logger.warning("order %s waits", "o1")
    logger.error("it broke")
    flush()
    text = screen.getvalue()
    assert (tmp_path / "logs/bot.log").read_text() == text
    assert (tmp_path / "logs/error.log").read_text() == text.splitlines(True)[1]
    first, second = lines_of(text)
    at = datetime.fromisoformat(first.pop("at"))
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)
    assert first == {
        "level": "warning", "logger": "tradefleet.runtime.host", "event": "order o1 waits",
        "user": "alice", "bot": "b1", "order": "o1",
    }  # fmt: skip
    assert second.keys() == {"at", "level", "logger", "event"}


def test_text_is_for_people(begin):
    screen = begin(log_file="")
    with bound_contextvars(user="alice"):
        logger.info("took her\nforged: line\x1b[2J")
    stamp, _, rest = screen.getvalue().partition(" ")
    assert stamp.endswith("Z")
    assert rest.split() == [
        "[info", "]", "took", "her", "forged:", "line\\x1b[2J", "[runtime.host]", "user=alice",
    ]  # fmt: skip
    assert "\n    forged" in rest


def test_an_empty_name_writes_no_file(begin, tmp_path):
    begin(log_file="")
    logger.error("it broke")
    assert not (tmp_path / "logs").exists()


SAID = "hunter2"


def fails(secret: str) -> None:
    raise ValueError(f"cannot read {secret}")


def test_of_an_error_only_where_it_was_is_told_unless_it_is_ours(begin):
    screen = begin(log_format="json", log_file="")
    try:
        try:
            fails(SAID)
        except ValueError as error:
            raise VenueRejected("the venue says no") from error
    except VenueRejected:
        logger.exception("an order was not sent")
    (line,) = lines_of(screen.getvalue())
    ours, frame, theirs, *_ = line["exception"].splitlines()
    assert ours == "VenueRejected: the venue says no"
    assert "test_logs.py" in frame
    assert "caused by ValueError" in line["exception"]
    assert SAID not in screen.getvalue()
    assert theirs


def test_no_secret_comes_through_whatever_way_it_is_said(begin):
    token = "123456:" + "ABCdefGHIjklMNOpqrSTUvwxYZ012345678"
    screen = begin(telegram_bot_token=token, log_format="json", log_file="")
    logger.info("https://api.telegram.org/bot%s/getMe", token)
    logger.info("%r", {"token": token, "plain": [token]})
    with bound_contextvars(api_key="hunter2", more={"password": "hunter2", "x": token}):
        logger.info("something")
    logger.info("half of it: %s", token[: len(token) // 2])
    text = screen.getvalue()
    assert len(lines_of(text)) == 4
    assert "hunter2" not in text
    assert not any(token[at : at + 12] in text for at in range(len(token) - 12))


def test_a_line_that_cannot_be_told_stops_nobody(begin, root):
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("hunter2")

    screen = begin(log_file="")
    root.handlers = [each for each in root.handlers if isinstance(each, Scribe)]  # no pytest's
    logger.info("%d of them", "hunter2")
    logger.info("%r", Broken())
    told = "a line of tradefleet.runtime.host could not be told: "
    assert screen.getvalue() == f"{told}TypeError\n{told}RuntimeError\n"
    screen.close()
    logger.info("nobody reads this")


def test_others_are_quiet(begin):
    screen = begin(log_level="DEBUG", log_file="")
    for name in ("ccxt.base.exchange", "httpx", "telegram.ext", "sqlalchemy.engine", "aiohttp"):
        logging.getLogger(name).info("headers and bodies")
    logging.getLogger("asyncio").warning("that they say")
    assert screen.getvalue().count("\n") == 1


def test_a_warning_of_a_library_is_not_louder_than_is_asked_for(begin):
    screen = begin(log_level="ERROR", log_file="")
    logging.getLogger("httpx").warning("something")
    assert screen.getvalue() == ""


def test_commands_show_warnings_with_secrets_hidden(root, capsys):
    show_logs()
    logger.info("not this")
    logger.warning("Authorization: Bearer %s", SAID)
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "Authorization: ***" in shown


def test_to_begin_again_replaces_what_was_begun(begin, root, tmp_path):
    begin()
    begin()
    logger.info("once")
    flush()
    assert (tmp_path / "logs/bot.log").read_text().count("once") == 1
    assert sum(isinstance(each, Scribe) for each in root.handlers) == 1


def test_files_are_put_aside_while_several_threads_write_and_no_line_is_lost(
    begin, tmp_path, monkeypatch
):
    monkeypatch.setattr(starting, "MIB", 20_000)
    begin(log_format="json", log_max_mb=1)

    def talk(name: str) -> None:
        for number in range(300):
            logger.info("line %s-%d", name, number)

    threads = [Thread(target=talk, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    flush()
    found = sorted((tmp_path / "logs").glob("bot*.log"))
    told = [line["event"] for path in found for line in lines_of(path.read_text())]
    assert len(found) > 3
    assert sorted(told) == sorted(f"line {name}-{n}" for name in "abcd" for n in range(300))


def test_a_disk_that_stands_still_costs_lines_and_is_not_waited_for(begin, tmp_path, monkeypatch):
    monkeypatch.setattr(starting, "LINES_WAITING_MAX", 3)
    begin(log_format="json")
    (scribe,) = [each for each in logging.getLogger().handlers if isinstance(each, Scribe)]
    logger.info("first")
    scribe.flush()
    (_, file), *_ = scribe.pen._files
    lines = []
    stands, goes_on = Event(), Event()

    def stand_still(self, given):
        stands.set()
        goes_on.wait(10)
        lines.extend(given)

    monkeypatch.setattr(type(file), "write", stand_still)
    logger.info("second")
    stands.wait(10)
    for number in range(10):
        logger.info("line %d", number)
    goes_on.set()
    scribe.flush()
    logger.info("last")
    scribe.flush()
    told = "7 lines are missing near here: the disk was too slow for them"
    events = [json.loads(line.text)["event"] for line in lines]
    assert [event for event in events if event.startswith("line")] == ["line 0", "line 1", "line 2"]
    assert told in events
