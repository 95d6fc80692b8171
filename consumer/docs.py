"""The reference under docs/, written from the code: `python -m consumer.docs`.

A test compares the files with what this module would write, so they can't fall behind.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

import click
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from consumer.cli import main as command_line
from consumer.events import schemas
from consumer.metrics import Metrics
from consumer.settings import Settings
from encoders import errors

DOCS = Path("docs")
STARTER = Path(__file__).parents[1] / "deploy" / "starter" / "evaluation.json"
NOTE = "<!-- Written by `make docs`; change the code instead. -->\n\n"


def pages() -> dict[Path, str]:
    """Every page of the reference, by its place under docs/."""
    written = {
        Path("settings.md"): settings_page(),
        Path("errors.md"): errors_page(),
        Path("metrics.md"): metrics_page(),
        Path("commands.md"): commands_page(),
        Path("starter.md"): starter_page(json.loads(STARTER.read_text())),
    }
    for name, schema in schemas().items():
        text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        written[Path("schemas") / f"{name}.json"] = text
    return written


def settings_page() -> str:
    """One row a setting."""
    lines = [
        NOTE + "# Settings",
        "",
        "Variables of the environment come first, then the same names in lower case without the",
        "prefix in the TOML file that `--config` or `REELTAG_CONFIG` names. A list has commas.",
        "",
        "| variable | type | default | means |",
        "|---|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        kind, means = _type(field), _cell(field.description or "")
        variable = f"REELTAG_{name.upper()}" + ("__…" if kind == "table" else "")
        lines.append(f"| `{variable}` | {kind} | {_default(field)} | {means} |")
    return "\n".join(lines) + "\n"


def _type(field: FieldInfo) -> str:
    kind = field.annotation
    if isinstance(kind, UnionType):
        kind = next(part for part in get_args(kind) if part is not type(None))
    origin = get_origin(kind)
    if origin is tuple:
        return "list"
    if origin is dict:
        return "table"
    if origin is not None:  # a Literal
        return " or ".join(f"`{choice}`" for choice in get_args(kind))
    names = {"str": "text", "int": "whole number", "float": "number", "bool": "yes or no"}
    return {"Path": "path", "SecretStr": "secret", **names}[getattr(kind, "__name__", "")]


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "cores" if _type(field) == "whole number" else ""
    value = field.default
    if value is None or value is PydanticUndefined or value == ():
        return ""
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def metrics_page() -> str:
    """One row a metric."""
    lines = [
        NOTE + "# Metrics",
        "",
        "At `/metrics` of `REELTAG_HTTP_HOST`:`REELTAG_HTTP_PORT`, in Prometheus's text format.",
        "Alerts on them: [rules.yaml](../deploy/prometheus/rules.yaml).",
        "",
        "| metric | type | means |",
        "|---|---|---|",
    ]
    lines += [f"| `{name}` | {kind} | {_cell(means)} |" for name, kind, means in Metrics().table()]
    return "\n".join(lines) + "\n"


def errors_page() -> str:
    """The tree of errors, and what the worker makes of each."""
    tree = inspect.cleandoc(errors.__doc__ or "")
    lines = [NOTE + "# Errors", "", *_tree(tree)]
    lines += ["| error | `reason` | another try | means |", "|---|---|---|---|"]
    for error in _classes(errors.ReeltagError):
        again = "yes" if error.transient else "no"
        first = inspect.cleandoc(error.__doc__ or "").splitlines()[0]
        lines.append(f"| `{error.__name__}` | `{error.reason}` | {again} | {_cell(first)} |")
    return "\n".join(lines) + "\n"


def _tree(text: str) -> Iterator[str]:
    """The docstring's text, its drawn tree as a code block."""
    for paragraph in text.replace("``", "`").split("\n\n"):
        drawn = paragraph.startswith("    ")
        yield from ("```", inspect.cleandoc(paragraph), "```", "") if drawn else (paragraph, "")


def _classes(error: type[errors.ReeltagError]) -> Iterator[type[errors.ReeltagError]]:
    yield error
    for child in error.__subclasses__():
        yield from _classes(child)


def starter_page(figures: Mapping[str, Any]) -> str:
    """The figures that the starter bundle earned, as its evaluation file has them."""
    recall, systems = figures["recall"], figures["systems"]
    lines = [
        NOTE + "# The starter bundle",
        "",
        f"On {figures['videos']:,} test clips of the starter corpus and {figures['vocabulary']:,}",
        f"tags, against the {figures['against']}: {figures['true_tags_per_video']:.2f} true tags a",
        "clip. No picture, sound, title or series of titles of a test clip is in training.",
        "Intervals are 95 %, by bootstrap over clips that share material.",
        "",
        "| system | accuracy | tags a video | recall | F1 | accuracy, top 3.12 a video | mAP |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in systems.items():
        low, high = row["accuracy_interval"]
        lines.append(
            f"| {name.replace('_', ' ')} | {row['accuracy']:.3f} ({low:.3f}–{high:.3f}) "
            f"| {row['tags_per_video']:.2f} | {row['recall']:.3f} | {row['f1']:.3f} "
            f"| {row['accuracy_top']:.3f} | {row['map']:.3f} |"
        )
    lines += [
        "",
        "`recall ranking` is what is served. Calibration error of its scores: "
        f"{figures['calibration_error']:.3f}.",
        "",
        "| channel | recall alone | recall of the other four |",
        "|---|---|---|",
    ]
    for name, without in recall["without"].items():
        lines.append(f"| {name} | {recall[name]:.3f} | {without:.3f} |")
    lines += [
        f"| all five, {recall['candidates_per_video']:.0f} candidates "
        f"| {recall['overall']:.3f} | |",
        f"| as many of the commonest tags | {recall['commonest_tags']:.3f} | |",
    ]
    for title, group in (
        ("by frequency of the tag", "by_frequency"),
        ("by uploader", "by_uploader"),
    ):
        lines += ["", f"| {title} | true pairs | accuracy | recall | F1 |", "|---|---|---|---|---|"]
        for name, row in figures[group].items():
            lines.append(
                f"| {name} | {row['pairs']:,} | {row['accuracy']:.3f} | {row['recall']:.3f} "
                f"| {row['f1']:.3f} |"
            )
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """The help of every command."""
    lines = [NOTE + "# Commands"]
    for path, command in _commands(command_line, ("reeltag",)):
        context = click.Context(command, info_name=" ".join(path), max_content_width=100)
        context.terminal_width = 100
        lines += ["", f"## {' '.join(path)}", "", "```", command.get_help(context), "```"]
    return "\n".join(lines) + "\n"


def _commands(
    command: click.Command, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    children: Mapping[str, Any] = command.commands if isinstance(command, click.Group) else {}
    for name, child in children.items():
        yield from _commands(child, (*path, name))


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def main() -> None:
    """Write every page."""
    for place, text in pages().items():
        path = DOCS / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(path)


if __name__ == "__main__":
    main()
