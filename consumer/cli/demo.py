"""`reeltag demo`: the whole thing on an embedded broker."""

from __future__ import annotations

from pathlib import Path

import click

from consumer.cli.cores import one_thread_a_call
from consumer.cli.style import FOLDER, NEW, bootstrap_option, samples_option


@click.command()
@click.option(
    "--bundle",
    type=FOLDER,
    default=Path("deploy/starter"),
    show_default=True,
    help="Directory of the bundle.",
)
@samples_option
@bootstrap_option
@click.option("--keep-running", is_flag=True, help="Stay up after the last video, until Ctrl-C.")
@click.option(
    "--out", type=NEW, default=Path("build/demo"), show_default=True, help="Summary and worker log."
)
@click.pass_context
def demo(
    ctx: click.Context,
    bundle: Path,
    samples: Path,
    bootstrap: str | None,
    keep_running: bool,
    out: Path,
) -> None:
    """Watch sample videos turn into tag events.

    Starts a Kafka broker inside this process and a worker beside it, uploads sample videos (some
    that must fail, one update, one deletion) and shows what comes out. Exit status 0 only if every
    upload ended as planned.

    \b
    Example:
      reeltag demo --keep-running
    """
    one_thread_a_call()
    from consumer.demo.show import show_demo

    as_planned = show_demo(
        bundle=bundle, samples=samples, bootstrap=bootstrap, keep_running=keep_running, out=out
    )
    ctx.exit(0 if as_planned else 1)
