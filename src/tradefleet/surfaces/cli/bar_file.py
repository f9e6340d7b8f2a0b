"""Open a file of recorded bars, plain or gzip; whatever is wrong is refused with its cure."""

import gzip
import zlib
from io import TextIOWrapper
from pathlib import Path

from tradefleet.domain.errors import Refused
from tradefleet.domain.market import Bar, Timeframe
from tradefleet.simulation.recorded import read_bars

GZIP_START = b"\x1f\x8b"


def load_bars(path: Path, timeframe: Timeframe) -> list[Bar]:
    """Return the bars of a CSV file, oldest first; Refused names the file, the line, the cure."""
    try:
        with path.open("rb") as file:
            packed = file.peek(2).startswith(GZIP_START)
            lines = TextIOWrapper(gzip.GzipFile(fileobj=file) if packed else file, encoding="utf-8")
            return read_bars(lines, timeframe)
    except Refused as refusal:
        raise Refused(f"{path}: {refusal}") from None
    except FileNotFoundError:
        raise Refused(f"{path}: there is no such file; check the path and its spelling.") from None
    except IsADirectoryError:
        raise Refused(f"{path} is a directory; name a CSV file in it.") from None
    except (gzip.BadGzipFile, zlib.error, EOFError):
        raise Refused(
            f"{path}: the gzip data is damaged or cut short; check with `gzip -t`, "
            "and copy or download the file again."
        ) from None
    except UnicodeDecodeError:
        raise Refused(
            f"{path} is not UTF-8 text; save it as CSV in UTF-8, for example with "
            "`iconv -f UTF-16 -t UTF-8`."
        ) from None
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}; check its permissions.") from None
