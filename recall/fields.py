"""Fields of one JSON line, by type. ValueError, naming the field, where one is something else."""

from __future__ import annotations

from collections.abc import Mapping


def need(row: Mapping[str, object], field: str) -> str:
    """A text that must be there."""
    value = optional(row, field)
    if not value:
        raise ValueError(f"{field} is missing or empty")
    return value


def optional(row: Mapping[str, object], field: str) -> str | None:
    """A text that may be missing."""
    value = row.get(field)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{field} must be text")
    return value


def strings(row: Mapping[str, object], field: str) -> tuple[str, ...]:
    """A list of texts; empty where it is missing."""
    value = row.get(field)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{field} must be a list of texts")
    return tuple(value)
