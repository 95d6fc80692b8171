"""The command line. One module a group of commands; heavy imports stay inside the commands."""

from __future__ import annotations

import click

from consumer.cli.bench import bench
from consumer.cli.demo import demo
from consumer.cli.dlq import dlq
from consumer.cli.models import models
from consumer.cli.service import replay, run
from consumer.cli.style import Commands
from consumer.cli.tagging import tag
from consumer.cli.tags import tags
from consumer.cli.training import evaluate, tables, train


@click.group(cls=Commands)
@click.version_option(package_name="reeltag")
def main() -> None:
    """Tag every new upload of a short-video platform.

    \b
    Example:
      reeltag demo
    """


for command in (demo, train, evaluate, tables, tag, run, replay, dlq, tags, models, bench):
    main.add_command(command)
