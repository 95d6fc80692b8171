"""`reeltag models`: the weights of an encoder profile."""

from __future__ import annotations

from pathlib import Path

import click

from consumer.cli.style import NEW

profile_argument = click.argument("profile", default="packaged")


@click.group()
def models() -> None:
    """Fetch, check and export the encoders of a profile.

    \b
    Example:
      reeltag models pull paper
    """


@models.command()
@profile_argument
@click.option(
    "--mirror",
    envvar="REELTAG_MIRROR",
    show_envvar=True,
    help="Directory or URL to take weights from instead of the hub.",
)
@click.option(
    "--trust-first-use",
    is_flag=True,
    help="Fetch files whose sha256 nobody has published, and hold them to it from then on.",
)
def pull(profile: str, mirror: str | None, trust_first_use: bool) -> None:
    """Fetch the weights of PROFILE by pinned revision and checksum.

    A download that was cut off goes on where it stopped. Weights inside installed packages are
    only checked.

    \b
    Example:
      reeltag models pull paper --mirror https://mirror.example/hub
    """
    from encoders.profile import read_profile
    from encoders.pull import pull_profile

    for path in pull_profile(read_profile(profile), mirror=mirror, trust_first_use=trust_first_use):
        click.echo(path)


@models.command()
@profile_argument
def verify(profile: str) -> None:
    """Check every weight file of PROFILE against its sha256.

    \b
    Example:
      reeltag models verify packaged
    """
    from encoders.profile import load_profile
    from encoders.pull import verify_profile

    chosen = load_profile(profile)
    for path in verify_profile(chosen):
        click.echo(path)
    click.echo(f"Profile {chosen.name} is complete and as pinned: {chosen.digest}")


@models.command()
@profile_argument
@click.option("--out", type=NEW, help="Directory for the graphs (default: the profile's own).")
def export(profile: str, out: Path | None) -> None:
    """Export the networks of PROFILE to ONNX. Needs the extra `train`.

    \b
    Example:
      reeltag models export paper
    """
    from encoders.export import export as export_graphs
    from encoders.profile import read_profile

    for path in export_graphs(read_profile(profile), out):
        click.echo(path)
