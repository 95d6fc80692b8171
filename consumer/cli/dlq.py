"""`reeltag dlq`: the dead-letter topic, and the way back from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consumer.cli.style import config_option, echo_json

if TYPE_CHECKING:
    from consumer.letters import Choice, Letter


def selection(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that choose dead letters: by reason, stage and time."""
    time = "a time (RFC 3339) or how long ago, e.g. 2h"
    for option in (
        click.option("--until", metavar="TIME", help=f"Failed before: {time}."),
        click.option("--since", metavar="TIME", help=f"Failed then or later: {time}."),
        click.option("--stage", help="Only this stage, e.g. fetch."),
        click.option("--reason", help="Only this reason, e.g. unavailable."),
    ):
        command = option(command)
    return command


def choice_of(
    reason: str | None, stage: str | None, since: str | None, until: str | None
) -> Choice:
    """The dead letters that the options name."""
    from consumer.letters import Choice, moment

    return Choice(reason, stage, moment(since) if since else None, moment(until) if until else None)


@click.group()
def dlq() -> None:
    """List, show and replay dead letters.

    \b
    Example:
      reeltag dlq replay --reason unavailable --since 2h
    """


@dlq.command("list")
@selection
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@config_option
def list_letters(
    reason: str | None,
    stage: str | None,
    since: str | None,
    until: str | None,
    as_json: bool,
    config: Path | None,
) -> None:
    """List dead letters, partition by partition, oldest first, then how many by stage and reason.

    \b
    Example:
      reeltag dlq list --reason unreadable
    """
    import json

    from consumer import letters
    from consumer.settings import load_settings

    chosen = letters.list_letters(load_settings(config), choice_of(reason, stage, since, until))
    if as_json:
        for letter in chosen:
            click.echo(json.dumps(as_row(letter), ensure_ascii=False))
        return
    found = []
    for letter in chosen:
        found.append(letter)
        why = letter.why
        when = why.failed_at.isoformat(timespec="seconds")
        key = text(letter.key)
        click.echo(f"{letter.place:>8}  {when}  {key}  {why.stage} {why.reason}: {why.error}")
    click.echo(f"{len(found)} dead letters")
    for (at, because), count in letters.figures(found).most_common():
        click.echo(f"{count:>8}  {at} {because}")


@dlq.command()
@click.argument("place", metavar="PARTITION:OFFSET")
@config_option
def show(place: str, config: Path | None) -> None:
    """Show one dead letter: its headers, its key and the original bytes.

    \b
    Example:
      reeltag dlq show 3:1042
    """
    from consumer.letters import show_letter
    from consumer.settings import load_settings

    letter = show_letter(load_settings(config), place)
    echo_json(as_row(letter) | {"value": text(letter.value)})


@dlq.command()
@selection
@config_option
def replay(
    reason: str | None, stage: str | None, since: str | None, until: str | None, config: Path | None
) -> None:
    """Send dead letters back to the running workers, and wait until they are done again.

    Asking twice does the work once. What a newer event has superseded since is skipped and counted.

    \b
    Example:
      reeltag dlq replay --reason unavailable --since 2026-01-01T00:00:00Z
    """
    from consumer.cli.progress import stages
    from consumer.letters import replay_letters
    from consumer.settings import load_settings

    choice = choice_of(reason, stage, since, until)
    with stages() as progress:
        came_to = replay_letters(load_settings(config), choice, told=progress)
    click.echo(f"{came_to.chosen} dead letters chosen")
    for name in ("replayed", "already", "superseded", "gone", "elsewhere"):
        click.echo(f"{getattr(came_to, name):>8}  {WAYS[name]}")
    for (at, because), count in came_to.again.most_common():
        click.echo(f"{count:>8}  of those replayed failed again: {at} {because}")


WAYS = {
    "replayed": "sent back",
    "already": "sent back earlier, or the same event twice",
    "superseded": "superseded by a newer event of the video",
    "gone": "gone: too large for the dead-letter topic, and no longer in the uploads topic",
    "elsewhere": "of another topic",
}


def as_row(letter: Letter) -> dict[str, Any]:
    """Where it lies, its key and its headers."""
    headers = letter.why.model_dump(mode="json", exclude_none=True)
    return {"place": letter.place, "key": text(letter.key), **headers}


def text(data: bytes | None) -> str | None:
    """Bytes as text; what isn't UTF-8 is escaped."""
    return None if data is None else data.decode(errors="backslashreplace")
