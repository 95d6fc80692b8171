"""The demo's table: one row a result, as it arrives, above a line of progress."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from consumer.demo.results import Result

Line = tuple[Text, ...]

COLUMNS = ("video", "title", "tags", "score", "channels", "ms")
WIDEST = 130
COLOURS = {"tagged": "", "degraded": "yellow", "deleted": "magenta", "dead_lettered": "red"}


class ResultTable:
    """Prints rows of fixed widths, so that they can appear one by one.

    On a terminal a progress bar stays below them; elsewhere there are plain rows only.
    """

    def __init__(self, total: int, console: Console) -> None:
        self.console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._task = self._progress.add_task("starting", total=total)

    def __enter__(self) -> ResultTable:
        self._progress.start()
        return self

    def finish(self) -> None:
        """Take the progress bar away."""
        self._progress.stop()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.finish()

    def say(self, description: str) -> None:
        """Show what is going on beside the bar; a plain line where there is no terminal."""
        self._progress.update(self._task, description=description)
        if not self.console.is_terminal:
            self.console.print(description)

    def head(self) -> None:
        """Print the headings."""
        self._print([tuple(Text(name, style="bold") for name in COLUMNS)])

    def add(self, result: Result) -> None:
        """Print one result and move the bar on."""
        self._print(_lines(result))
        self._progress.advance(self._task)

    def _print(self, lines: Sequence[Line]) -> None:
        grid = Table.grid(padding=(0, 1))
        for name, width in _widths(self.console.width).items():
            right = name in ("score", "ms")
            grid.add_column(
                width=width,
                justify="right" if right else "left",
                no_wrap=name in ("video", "title"),
                overflow="ellipsis" if name in ("video", "title") else "fold",
            )
        for line in lines:
            grid.add_row(*line)
        self.console.print(grid)


def _widths(terminal: int) -> dict[str, int]:
    """Widths of the columns: the same for every row, so that rows can be printed one by one."""
    fixed = {"video": 16, "score": 5, "ms": 6}
    free = min(terminal, WIDEST) - sum(fixed.values()) - len(COLUMNS)
    shares = {"title": 0.33, "tags": 0.23, "channels": 0.44}
    free_widths = {name: max(8, int(free * share)) for name, share in shares.items()}
    return {name: (fixed | free_widths)[name] for name in COLUMNS}


def _lines(result: Result) -> list[Line]:
    """One line a tag; what went otherwise gets a line that says so."""
    upload, colour = result.upload, COLOURS[result.outcome]
    rows = [(tag["tag"], f"{tag['score']:.2f}", " ".join(tag["channels"])) for tag in result.tags]
    if result.outcome == "dead_lettered":
        rows = [("dead letter", "", result.reason)]
    elif result.outcome == "deleted":
        rows = [("deleted", "", "tombstone")]
    elif not rows:
        rows = [("no tag likely enough", "", "")]
    if result.outcome == "degraded":
        rows.append(("degraded", "", "without its picture"))
    heads = [(upload.key, upload.title, f"{result.milliseconds:.0f}")] + [("", "", "")] * len(rows)
    return [
        (
            Text(video, colour),
            Text(title),
            Text(tag, "" if score else colour),
            Text(score),
            Text(channels),
            Text(milliseconds),
        )
        for (video, title, milliseconds), (tag, score, channels) in zip(heads, rows, strict=False)
    ]
