"""`reeltag run` and `reeltag replay`: the worker, and work done again."""

from __future__ import annotations

from pathlib import Path

import click

from consumer.cli.cores import one_thread_a_call
from consumer.cli.style import FILE, FOLDER, config_option


@click.command()
@click.option("--bundle", type=FOLDER, help="Directory of the bundle (default: REELTAG_BUNDLE).")
@config_option
def run(bundle: Path | None, config: Path | None) -> None:
    """Run the worker: uploads topic in, tags topic out.

    Settings come from REELTAG_* variables, then from the TOML file (the same names in lower case
    without the prefix). SIGTERM drains: no new work, what is in flight is finished and committed.

    \b
    Example:
      REELTAG_BOOTSTRAP_SERVERS=kafka:9092 reeltag run --bundle my-bundle
    """
    from consumer.signals import EndSignals

    signals = EndSignals()  # before the slow imports
    one_thread_a_call()
    from consumer.settings import load_settings
    from consumer.worker import run as run_worker

    run_worker(load_settings(config, bundle=bundle), signals)


@click.command()
@click.option("--from", "start", required=True, metavar="TIME|OFFSET", help="First upload event.")
@click.option("--to", "end", metavar="TIME|OFFSET", help="End, exclusive (default: now).")
@click.option("--videos", type=FILE, help="File of video ids, one a line; without it, all videos.")
@config_option
def replay(start: str, end: str | None, videos: Path | None, config: Path | None) -> None:
    """Tag again what was uploaded between two times or offsets.

    Only the newest event of each video is done again, deleted videos are left alone, and running
    workers do the work beside fresh uploads, which go first. Stopped half-way, the same command
    goes on where it was.

    \b
    Example:
      reeltag replay --from 2026-01-01T00:00:00Z --to 2026-02-01T00:00:00Z
    """
    from dataclasses import asdict

    from consumer.cli.progress import stages
    from consumer.replay import replay as replay_uploads
    from consumer.settings import load_settings

    settings = load_settings(config)
    with stages() as progress:
        came_to = replay_uploads(settings, start=start, end=end, videos=videos, told=progress)
    for name, count in asdict(came_to).items():
        click.echo(f"{count:>8}  {FATES[name]}")


FATES = {
    "asked": "asked for now, and done again",
    "before": "asked for before, by the same command",
    "superseded": "superseded by a newer event of the video",
    "deleted": "of videos deleted since",
    "others": "of videos that were not named",
    "unreadable": "break the contract: see reeltag dlq list",
}
