"""How long work tells where it stands; who shows it is passed in."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the stage's name, how much of it is done, and how much there is in all."""


def quiet(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def named(name: str, progress: Progress) -> Progress:
    """The same, with a name before each stage's."""
    return lambda stage, done, total: progress(f"{name}: {stage}", done, total)
