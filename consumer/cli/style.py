"""What all commands share: how they fail, options that recur, JSON and progress on the terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import click

from encoders.errors import ReeltagError

TRAINING_PACKAGES = frozenset(
    {"torch", "transformers", "onnx", "onnx_ir", "onnxscript", "sklearn", "scipy"}
)

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
NEW = click.Path(path_type=Path)

bundle_option = click.option(
    "--bundle",
    type=FOLDER,
    required=True,
    envvar="REELTAG_BUNDLE",
    show_envvar=True,
    help="Directory of the bundle.",
)
config_option = click.option(
    "--config",
    type=FILE,
    envvar="REELTAG_CONFIG",
    show_envvar=True,
    help="TOML file of settings; REELTAG_* variables come first.",
)
samples_option = click.option(
    "--samples",
    type=FILE,
    default=Path("deploy/samples/samples.jsonl"),
    show_default=True,
    help="The sample uploads.",
)
bootstrap_option = click.option(
    "--bootstrap", metavar="HOST:PORT", help="A real broker, instead of the embedded one."
)
seed_option = click.option("--seed", default=0, show_default=True, help="Seed of all chance.")


class Failure(click.ClickException):
    """A command that could not do its work: one sentence on stderr, exit status 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the sentence to ``file`` (default: stderr)."""
        click.echo(f"reeltag: {self.message}", file=file or sys.stderr)


class Commands(click.Group):
    """The outermost group: every expected error ends here, as one sentence."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; ReeltagError and a missing extra become a Failure."""
        try:
            return super().invoke(ctx)
        except ReeltagError as error:
            raise Failure(str(error)) from error
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in TRAINING_PACKAGES:
                raise
            raise Failure(
                f"{error.name} is missing: install the extra with `pip install 'reeltag[train]'` "
                "(the README says how to get torch without CUDA)."
            ) from error


def echo_json(data: Mapping[str, Any]) -> None:
    """Print one JSON object, for people and for pipes."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write one JSON object to a file, whose folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
