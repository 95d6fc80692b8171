"""Finished stages of a training, kept on disk: a killed run goes on after the last one."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stages:
    """A folder for each stage below ``root``; it is there only once the stage is finished."""

    root: Path

    @classmethod
    def of(cls, cache_dir: Path, *inputs: object) -> Stages:
        """Stages of one training, told from others by everything that goes into it."""
        text = json.dumps([str(part) for part in inputs])
        name = hashlib.sha256(text.encode()).hexdigest()[:24]
        return cls(cache_dir / "training" / name)

    def folder(self, stage: str, make: Callable[[Path], None]) -> Path:
        """The stage's folder, made by ``make`` unless it is there already."""
        done = self.root / stage
        if done.is_dir():
            return done
        self.root.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{stage}.", dir=self.root))
        try:
            make(fresh)
            os.replace(fresh, done)
        except OSError:
            if not done.is_dir():  # else another run has finished the same stage meanwhile
                raise
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return done


def file_digest(path: Path) -> str:
    """sha256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
