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


def shares(name: str, progress: Progress) -> Callable[[str, float], None]:
    """Progress of ``name`` by shares of the work."""
    return lambda what, share: progress(f"{name}: {what}", round(share * 1000), 1000)
