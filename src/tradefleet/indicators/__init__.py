"""Streaming indicators: one bar in, values out; pure.

A bar comes as `Bar.numbers`: open, high, low, close, volume. `update` takes the next one, and
does no more than it must; a value asked for now and then is computed when it is asked for, one
wanted on every bar comes from a function that takes the bar and returns it. A
value not known yet is NaN, so that every condition on it is false. Sums are taken over the
window itself, never carried along from bar to bar: no drift, no trace of what has left it.
"""

Numbers = tuple[float, float, float, float, float]
