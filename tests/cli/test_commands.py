"""What every command promises: help with an example, quick, and errors of one sentence."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from consumer.cli import main
from consumer.cli.style import Commands
from encoders.errors import BundleError


def commands(group: click.Group, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*prefix, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*prefix, name))


@pytest.mark.parametrize("path", list(commands(main)), ids=" ".join)
def test_every_command_has_help_with_an_example_of_itself(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*path, "--help"])
    assert result.exit_code == 0
    example = result.output.partition("Example:")[2].strip().splitlines()[0]
    assert f"reeltag {' '.join(path)}" in example


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys\nfrom consumer.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "heavy = {'numpy', 'av', 'faiss', 'onnxruntime', 'torch', 'confluent_kafka'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_expected_error_is_one_sentence_on_stderr_and_status_1() -> None:
    @click.group(cls=Commands)
    def group() -> None: ...

    @group.command()
    def fail() -> None:
        raise BundleError("There is no bundle here: train one.")

    result = CliRunner().invoke(group, ["fail"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "reeltag: There is no bundle here: train one.\n"


def test_a_missing_extra_is_named() -> None:
    @click.group(cls=Commands)
    def group() -> None: ...

    @group.command()
    def fail() -> None:
        raise ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")

    result = CliRunner().invoke(group, ["fail"])
    assert result.exit_code == 1
    assert "reeltag[train]" in result.stderr


def test_a_wrong_option_is_status_2(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["tag", "--bundle", str(tmp_path / "none"), "clip.mp4"])
    assert result.exit_code == 2
    assert "does not exist" in result.stderr
