"""`reeltag tag`: one file or URL, with the reasons if wanted."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

import click

from consumer.cli.style import bundle_option, echo_json

if TYPE_CHECKING:
    from encoders.access import Access


@click.command()
@bundle_option
@click.argument("video", metavar="FILE-OR-URL")
@click.option("--title", default="", help="Title of the video.")
@click.option("--description", default="", help="Description of the video.")
@click.option("--language", help="Language of the words, e.g. en.")
@click.option("--uploader", help="Id of the uploader, whose earlier videos are a hint.")
@click.option(
    "--allow-host", "hosts", multiple=True, help="Host allowed although private or loopback."
)
@click.option(
    "--allow-scheme",
    "schemes",
    multiple=True,
    default=("https", "s3"),
    show_default=True,
    help="Scheme that an address may have; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--explain", is_flag=True, help="Which channel, which neighbours, which score.")
def tag(
    bundle: Path,
    video: str,
    title: str,
    description: str,
    language: str | None,
    uploader: str | None,
    hosts: tuple[str, ...],
    schemes: tuple[str, ...],
    as_json: bool,
    explain: bool,
) -> None:
    """Tag one video: a file here, or an https:// or s3:// address.

    \b
    Example:
      reeltag tag --bundle deploy/starter cat.mp4 --title "a cat at play" --explain
    """
    from consumer.cli.explain import print_tagging, to_json
    from encoders.encoder import Encoders, Item
    from encoders.extra_words import as_trained
    from encoders.features import Words
    from encoders.limits import Limits
    from encoders.profile import load_profile
    from encoders.word_reader import open_reader
    from rank.bundle import open_bundle
    from rank.tagger import Tagger

    uri, access = locate(video, frozenset(schemes), frozenset(hosts))
    manifest = open_bundle(bundle).manifest
    profile = as_trained(load_profile(manifest.profile), manifest.profile_digest)
    # The decoding child starts first: it must not inherit threads.
    with open_reader(profile, Limits(), children=1) as reader:
        encoders = Encoders.open(profile)
        tagger = Tagger.load(bundle, encoders)
        started = time.perf_counter()
        media = reader.read(uri, access)
        [features] = encoders.encode([Item(Words(title, description, language), media)])
        [tagging] = tagger.tag([features], [uploader], explain=explain)
        seconds = time.perf_counter() - started
    if as_json:
        echo_json(to_json(video, tagger, features, media, tagging, explain=explain))
    else:
        print_tagging(tagger, features, media, tagging, seconds, explain=explain)


def locate(video: str, schemes: frozenset[str], hosts: frozenset[str]) -> tuple[str, Access]:
    """URI of what the user named, and what may be read for it.

    Naming a file allows its folder; everything else is allowed as for the worker.
    """
    from encoders.access import Access

    parts = urlsplit(video)
    if parts.scheme == "file":
        path = Path(url2pathname(parts.path)).resolve()
    elif "://" in video:
        return video, Access(schemes=schemes, paths=(), hosts=hosts, s3=None)
    else:
        path = Path(video).resolve()
    return path.as_uri(), Access(
        schemes=frozenset({"file"}), paths=(path.parent,), hosts=hosts, s3=None
    )
