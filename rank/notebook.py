"""What experiments found, kept as they end: a killed run of the tables goes on after the last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from rank.stages import Stages

FOUND = "found.json"
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Notebook:
    """Findings by the name of their experiment."""

    stages: Stages

    def keep(self, name: str, kind: Any, make: Callable[[], Found]) -> Found:
        """What ``make`` finds, from disk where it ended before. ``kind``: its type."""
        adapter: TypeAdapter[Found] = TypeAdapter(kind)

        def write(folder: Path) -> None:
            (folder / FOUND).write_bytes(adapter.dump_json(make()))

        folder = self.stages.folder(name, write)
        return adapter.validate_json((folder / FOUND).read_bytes())
