"""The one strategy that every engine runs: EMA 9/21, a stop of 2 ATR, 10 % of the balance."""

FAST, SLOW, ATR, STOP_ATR = 9, 21, 14, 2
SIZE, BALANCE, FEE = 0.10, 10_000, 0.001
WARMUP = 100
