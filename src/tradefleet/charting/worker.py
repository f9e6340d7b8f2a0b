"""The process that draws: charts come in, pictures go out, and it ends when nobody asks.

`python -m tradefleet.charting.worker`: a request is its length and a pickled (chart, theme); the
answer is the picture's length and the picture. What cannot be drawn ends the process, which says
why on its standard error. Both ends are ours.
"""

import os
import pickle
import resource
import select
import sys
from typing import BinaryIO

from tradefleet.domain.chart import CandleChart, Chart, EquityChart, Theme

IDLE = 120.0  # seconds without a request; then the memory is given back
MEMORY = 2 * 1024**3  # bytes of address space; a picture needs a small part of it
LENGTH = 4  # bytes, the highest first


def draw(chart: Chart, theme: Theme) -> bytes:
    """Return a chart as a PNG picture."""
    from tradefleet.charting.candles import draw_candles
    from tradefleet.charting.equity import draw_equity
    from tradefleet.charting.look import LOOKS, png_of

    look = LOOKS[theme]
    match chart:
        case CandleChart():
            return png_of(draw_candles(chart, look))
        case EquityChart():
            return png_of(draw_equity(chart, look))


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until nobody asks any more."""
    while True:
        ready, _, _ = select.select([requests], [], [], IDLE)
        head = requests.read(LENGTH) if ready else b""
        if len(head) < LENGTH:
            return
        chart, theme = pickle.loads(requests.read(int.from_bytes(head)))
        picture = draw(chart, theme)
        answers.write(len(picture).to_bytes(LENGTH) + picture)
        answers.flush()


def main() -> None:
    os.nice(5)  # who trades goes first
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
