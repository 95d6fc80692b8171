"""Timing of two ways to do the same work, and the table that shows them side by side."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a benchmark. ``ratio``: how many times as long as the raw library it takes."""

    work: str
    milliseconds: float
    raw: str
    raw_milliseconds: float

    @property
    def ratio(self) -> float:
        """Ours over raw."""
        return self.milliseconds / self.raw_milliseconds


def side_by_side(
    work: str,
    ours: Callable[[int], object],
    raw_name: str,
    raw: Callable[[int], object],
    *,
    rounds: int = 10,
    per: int = 1,
) -> Row:
    """Median milliseconds of each, over ``rounds`` taken in turn, divided by ``per`` items.

    Both are given the number of the round. Taken in turn, both see the same load of other work.
    """
    ours(0)
    raw(0)
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        for call, taken in zip((ours, raw), times, strict=True):
            began = perf_counter()
            call(number)
            taken.append((perf_counter() - began) * 1000 / per)
    return Row(work, statistics.median(times[0]), raw_name, statistics.median(times[1]))


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the rows as a table."""
    table = Table(box=None, pad_edge=False)
    for heading in ("work", "ms", "raw library", "ms", "ratio"):
        table.add_column(heading, justify="right" if heading in ("ms", "ratio") else "left")
    for row in rows:
        table.add_row(
            row.work,
            f"{row.milliseconds:.2f}",
            row.raw,
            f"{row.raw_milliseconds:.2f}",
            f"{row.ratio:.2f}",
        )
    console.print(table)


def to_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows as JSON has them."""
    return [{**asdict(row), "ratio": row.ratio} for row in rows]
