"""How long work tells where it stands; who shows it is passed in."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the stage's name, how much of it is done, and how much there is in all."""


def quiet(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""
