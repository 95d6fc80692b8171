"""Long work tells where it stands, without flooding a log."""

from __future__ import annotations

import io

from rich.console import Console

from consumer.cli.progress import stages


def test_a_log_gets_a_line_at_every_tenth() -> None:
    out = io.StringIO()
    with stages(Console(file=out)) as told:
        for done in range(1001):
            told("encode", done, 1000)
    lines = out.getvalue().splitlines()
    assert lines[0] == "encode: 0 of 1000"
    assert lines[-1] == "encode: 1000 of 1000"
    assert len(lines) == 11


def test_a_terminal_gets_a_bar_a_stage() -> None:
    out = io.StringIO()
    with stages(Console(file=out, force_terminal=True, width=100)) as told:
        told("encode", 3, 4)
        told("train", 1, 2)
    text = out.getvalue()
    assert "encode" in text
    assert "3/4" in text
    assert "1/2" in text
