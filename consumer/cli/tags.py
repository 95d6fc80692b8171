"""`reeltag tags`: the vocabulary of a bundle, changed without training."""

from __future__ import annotations

from pathlib import Path

import click

from consumer.cli.style import FILE, bundle_option


@click.group()
def tags() -> None:
    """Add, block or merge tags of a bundle, without training.

    \b
    Example:
      reeltag tags block --bundle my-bundle spam
    """


@tags.command()
@bundle_option
@click.argument("name")
@click.option("--alias", "aliases", multiple=True, help="Another name; may be repeated.")
@click.option("--description", default="", help="One sentence on what the tag means.")
@click.option("--parent", "parents", multiple=True, help="A wider tag; may be repeated.")
@click.option("--example", "examples", multiple=True, type=FILE, help="A video that has the tag.")
def add(
    bundle: Path,
    name: str,
    aliases: tuple[str, ...],
    description: str,
    parents: tuple[str, ...],
    examples: tuple[Path, ...],
) -> None:
    """Add the tag NAME, known by its name alone or by example videos too.

    \b
    Example:
      reeltag tags add --bundle my-bundle "paper crane" --parent origami --example crane.mp4
    """
    from rank.edit import add_tag

    tag_id = add_tag(
        bundle, name, aliases=aliases, description=description, parents=parents, examples=examples
    )
    click.echo(f"Added {name!r} as {tag_id}")


@tags.command()
@bundle_option
@click.argument("names", nargs=-1, required=True)
def block(bundle: Path, names: tuple[str, ...]) -> None:
    """Never publish the tags NAMES (names, aliases or ids) again.

    \b
    Example:
      reeltag tags block --bundle my-bundle spam "click bait"
    """
    from rank.edit import block_tags

    block_tags(bundle, names)
    click.echo(f"Blocked: {', '.join(names)}")


@tags.command()
@bundle_option
@click.argument("name")
@click.option("--into", required=True, help="The tag that stays.")
def merge(bundle: Path, name: str, into: str) -> None:
    """Make the tag NAME another name of the tag --into.

    \b
    Example:
      reeltag tags merge --bundle my-bundle soccer --into football
    """
    from rank.edit import merge_tags

    merge_tags(bundle, name, into)
    click.echo(f"Merged {name!r} into {into!r}")
