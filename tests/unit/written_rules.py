"""The rules of APEX and EMA cross written down a second time: dull, from scratch on every bar."""

from dataclasses import dataclass
from decimal import Decimal
from math import inf


@dataclass(frozen=True)
class Said:
    """What the rules say of one bar; stop and fraction are of an entry, else None."""

    exit_reason: str = ""
    score: int = 0
    stop: Decimal | None = None
    fraction: Decimal | None = None


def money(x):
    return Decimal(format(x, ".10g"))


def ema(values, period):
    found = [values[0]]
    for x in values[1:]:
        found.append(found[-1] + 2 / (period + 1) * (x - found[-1]))
    return found


def mean(values):
    return sum(values) / len(values)


def rsi(closes, i, n=14):
    changes = [closes[k] - closes[k - 1] for k in range(i - n + 1, i + 1)]
    gain = mean([max(c, 0) for c in changes])
    loss = mean([max(-c, 0) for c in changes])
    return round(100 * gain / (gain + loss), 6) if gain + loss else 50.0


def atr(bars, i, n=14):
    return mean(
        [
            max(bars[k][1], bars[k - 1][3]) - min(bars[k][2], bars[k - 1][3])
            for k in range(i - n + 1, i + 1)
        ]
    )


def dx(bars, i, n=14):
    plus, minus = [], []
    for k in range(i - n + 1, i + 1):
        up, down = bars[k][1] - bars[k - 1][1], bars[k - 1][2] - bars[k][2]
        plus.append(up if up > down and up > 0 else 0)
        minus.append(down if down > up and down > 0 else 0)
    p, m = mean(plus), mean(minus)
    return 100 * abs(p - m) / (p + m) if p + m else 0


def adx(bars, i, n=14):
    return round(mean([dx(bars, k, n) for k in range(i - n + 1, i + 1)]), 6)


def vwap(bars, i, n=100):
    window = bars[i - n + 1 : i + 1]
    volume = sum(b[4] for b in window)
    return sum((b[1] + b[2] + b[3]) / 3 * b[4] for b in window) / volume if volume else None


def candle(before, bar, above):
    o, h, low, c, _ = bar
    po, _, _, pc, _ = before
    engulfing = (
        above(po, pc)
        and above(c, o)
        and not above(o, pc)
        and not above(po, c)
        and above(c - o, po - pc)
    )
    wick, body = min(o, c) - low, abs(c - o)
    return engulfing or (above(h, low) and above(wick, 2 * body) and above(wick, 0.6 * (h - low)))


def upside_down(bar):
    o, h, low, c, v = bar
    return (-o, -low, -h, -c, v)


def apex(bars, warmup=100):
    """Return what APEX with its defaults says of each bar; bars are tuples of floats."""
    closes = [b[3] for b in bars]
    fast, mid, slow = ema(closes, 9), ema(closes, 21), ema(closes, 50)
    line = [a - b for a, b in zip(ema(closes, 12), ema(closes, 26), strict=True)]
    histogram = [a - b for a, b in zip(line, ema(line, 9), strict=True)]
    found = []
    for i, bar in enumerate(bars):
        if i + 1 < warmup:
            found.append(Said())
            continue
        close, volume = bar[3], bar[4]
        v, trend = vwap(bars, i), adx(bars, i)
        volumes = [b[4] for b in bars[: i + 1]]

        def above(a, b, close=close):
            return a - b > 1e-9 * close

        def enough(k, values, volume=volume):
            return volume >= k * mean(values) * (1 - 1e-9)

        def near(x, close=close):
            return x is not None and abs(close - x) <= 0.005 * x * (1 + 1e-9)

        filters, scores = [], []
        for sign in (1, -1):
            shape = (bars[i - 1], bar) if sign > 0 else (upside_down(bars[i - 1]), upside_down(bar))
            now, last = rsi(closes, i), rsi(closes, i - 1)
            filters.append(
                [
                    v is not None and above(sign * close, sign * v),
                    above(sign * fast[i], sign * mid[i]) and above(sign * mid[i], sign * slow[i]),
                    above(sign * histogram[i], 0),
                    trend > 20,
                    enough(0.5, volumes[-5:]),
                ].count(True)
            )
            scores.append(
                [
                    near(mid[i]) or near(v),
                    30 < now < 70 and sign * now > sign * last,
                    candle(*shape, above),
                    above(sign * histogram[i], sign * histogram[i - 1]),
                    enough(0.6, volumes[-3:-1]),
                ].count(True)
            )
        reason = ""
        was_below = mid[i - 1] - fast[i - 1] > 1e-9 * closes[i - 1]
        if filters[1] == 5 and scores[1] >= 3:
            reason = "opposite_signal"
        elif not was_below and above(mid[i], fast[i]):
            reason = "ema_cross"
        stop = money(min(b[2] for b in bars[i - 9 : i + 1]) - 0.5 * atr(bars, i))
        enters = filters[0] == 5 and scores[0] >= 3 and enough(0.3, volumes[-20:])
        if not (enters and 0 < stop < money(close)):
            found.append(Said(reason))
            continue
        bands = ((25, "0.02"), (30, "0.04"), (40, "0.06"), (50, "0.08"), (inf, "0.10"))
        size = next(Decimal(share) for end, share in bands if trend < end)
        size *= Decimal("0.9") if scores[0] == 3 else 1
        size = min(max(size, Decimal("0.02")), Decimal("0.10"))
        found.append(Said(reason, scores[0], stop, size))
    return found


def ema_cross(bars, warmup=100):
    """Return what EMA cross with its defaults says of each bar."""
    closes = [b[3] for b in bars]
    fast, slow = ema(closes, 9), ema(closes, 21)
    found = []
    for i, close in enumerate(closes):
        if i + 1 < warmup:
            found.append(Said())
            continue
        margin, margin_before = 1e-9 * close, 1e-9 * closes[i - 1]
        gap, gap_before = fast[i] - slow[i], fast[i - 1] - slow[i - 1]
        stop = money(close - 2 * atr(bars, i))
        if gap > margin and not gap_before > margin_before and 0 < stop < money(close):
            found.append(Said("", 0, stop, Decimal("0.10")))
        elif -gap > margin and not -gap_before > margin_before:
            found.append(Said("ema_cross"))
        else:
            found.append(Said())
    return found


def said(signal):
    """Return a strategy's signal in the same words."""
    if signal is None:
        return Said()
    if signal.entry is None:
        return Said(signal.exit_reason)
    entry = signal.entry
    return Said(signal.exit_reason, entry.score, entry.stop, entry.fraction)
