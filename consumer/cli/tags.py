"""`reeltag tags`: the vocabulary of a bundle and what it publishes, changed without training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from consumer.cli.style import FILE, bundle_option

if TYPE_CHECKING:
    from encoders.encoder import Encoders
    from encoders.features import Features
    from encoders.profile import Profile


@click.group()
def tags() -> None:
    """Add, block or merge tags of a bundle, or publish more or fewer, without training.

    A running worker goes on with the bundle that it loaded; start it again to take the new one.

    \b
    Example:
      reeltag tags block --bundle my-bundle spam
    """


@tags.command()
@bundle_option
@click.argument("name")
@click.option("--id", "tag_id", help="The tag's id (default: made from the name).")
@click.option("--alias", "aliases", multiple=True, help="Another name; may be repeated.")
@click.option("--description", default="", help="One sentence on what the tag means.")
@click.option(
    "--parent", "parents", multiple=True, help="A wider tag, which NAME implies; may be repeated."
)
@click.option("--example", "examples", multiple=True, type=FILE, help="A video that has the tag.")
def add(
    bundle: Path,
    name: str,
    tag_id: str | None,
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
    from encoders.encoder import Encoders
    from encoders.errors import CorpusError
    from encoders.extra_words import as_trained
    from encoders.profile import load_profile
    from rank.bundle import open_bundle
    from rank.edit import add as add_tag
    from recall.normal import slug
    from recall.storage import load_recaller
    from recall.vocabulary import Tag

    opened = open_bundle(bundle)
    manifest = opened.manifest
    profile = as_trained(load_profile(manifest.profile), manifest.profile_digest)
    encoders = Encoders.open(profile)
    vocabulary = load_recaller(opened.recall).vocabulary
    wider = {parent: vocabulary.index_of(parent) for parent in parents}
    for parent, index in wider.items():
        if index is None:
            raise CorpusError(f"there is no tag {parent!r} in the bundle; add it first")
    ids = tuple(vocabulary.tags[index].tag_id for index in wider.values() if index is not None)
    tag = Tag(tag_id or slug(name), name, aliases, description, ids)
    changed = add_tag(bundle, tag, encoders, _features(examples, encoders, profile))
    click.echo(f"Added {name!r} as {tag.tag_id}; the bundle is now {changed.manifest.version}")


def _features(
    examples: tuple[Path, ...], encoders: Encoders, profile: Profile
) -> list[tuple[str, Features]]:
    """Each example's name and features; its file name says nothing, so it has no words."""
    if not examples:
        return []
    from encoders.access import Access
    from encoders.encoder import Item
    from encoders.features import Words
    from encoders.limits import Limits
    from encoders.word_reader import open_reader

    paths = [example.resolve() for example in examples]
    access = Access(schemes=frozenset({"file"}), paths=tuple({path.parent for path in paths}))
    with open_reader(profile, Limits(), children=1) as reader:
        items = [Item(Words(), reader.read(path.as_uri(), access)) for path in paths]
    return list(zip([path.stem for path in paths], encoders.encode(items), strict=True))


@tags.command()
@bundle_option
@click.argument("names", nargs=-1, required=True)
@click.option("--release", is_flag=True, help="Let blocked tags be published again.")
def block(bundle: Path, names: tuple[str, ...], release: bool) -> None:
    """Never publish the tags NAMES (names, aliases or ids) again.

    \b
    Example:
      reeltag tags block --bundle my-bundle spam "click bait"
    """
    from rank.edit import block as block_tag

    for name in names:
        block_tag(bundle, name, blocked=not release)
    click.echo(f"{'Released' if release else 'Blocked'}: {', '.join(names)}")


@tags.command()
@bundle_option
@click.argument("name")
@click.option("--into", required=True, help="The tag that stays.")
def merge(bundle: Path, name: str, into: str) -> None:
    """Let the tag NAME stand for the tag --into from now on.

    \b
    Example:
      reeltag tags merge --bundle my-bundle soccer --into football
    """
    from rank.edit import merge as merge_tags

    merge_tags(bundle, name, into)
    click.echo(f"Merged {name!r} into {into!r}")


@tags.command()
@bundle_option
@click.option("--per-video", type=float, help="As many tags a video on average.")
@click.option(
    "--precision", type=float, help="At least this share of true tags, at 90 % confidence."
)
@click.option("--score", type=float, help="This score or more.")
@click.option("--per-tag", is_flag=True, help="A threshold of its own for each well-known tag.")
def publish(
    bundle: Path,
    per_video: float | None,
    precision: float | None,
    score: float | None,
    per_tag: bool,
) -> None:
    """Choose how many tags are published: name exactly one target.

    The threshold is found on the validation videos that the bundle was trained with, by scores of
    models that learned from all videos but their half: what is promised is promised of those. True
    tags that their labels miss count for --precision, as many as the calibration says.

    \b
    Example:
      reeltag tags publish --bundle my-bundle --precision 0.9
    """
    from rank.edit import set_operating_point
    from rank.operating import Kind, Operating

    targets = {Kind.TAGS_PER_VIDEO: per_video, Kind.PRECISION: precision, Kind.FIXED: score}
    named = [(kind, target) for kind, target in targets.items() if target is not None]
    if len(named) != 1:
        raise click.UsageError("Name exactly one of --per-video, --precision and --score.")
    [(kind, target)] = named
    changed = set_operating_point(bundle, kind, target, per_tag=per_tag)
    point = Operating.load(changed.last).point
    apart = f", {len(point.own):,} tags from one of their own" if point.own else ""
    click.echo(f"Tags are published from a score of {point.threshold:.3f}{apart}")
