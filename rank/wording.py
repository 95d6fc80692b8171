"""How the report says a difference."""

from __future__ import annotations

from rank.bootstrap import Interval
from rank.comparing import Row


def same(row: Row) -> bool:
    return row.accuracy_behind.low == row.accuracy_behind.high == 0.0


def verdict(behind: Interval) -> str:
    """In words, of what comes after or is left out."""
    if behind.holds(0.0):
        return "no difference"
    return "worse" if behind.low > 0 else "better"


def gap(behind: Interval) -> str:
    if behind.holds(0.0):
        return "neither better nor worse beyond the interval"
    which = "ahead" if behind.low > 0 else "behind"
    near, far = sorted((abs(behind.low), abs(behind.high)))
    return f"{which} by {near:.1%} to {far:.1%}, beyond the interval"


def gain(behind: Interval) -> str:
    return f"{-behind.high:+.3f} to {-behind.low:+.3f}"


def span(interval: Interval, *, sign: bool = False) -> str:
    form = "+.3f" if sign else ".3f"
    return f"{interval.low:{form}} to {interval.high:{form}}"


def maybe(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def seeds(count: int) -> str:
    return "one seed" if count == 1 else f"{count} seeds"
