"""Builds the starter corpus: `python -m deploy.corpus --out build/starter`."""

import argparse
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from tqdm import tqdm

from deploy.corpus.files import write_corpus
from deploy.corpus.gather import Material, gather
from deploy.corpus.material import MaterialError
from deploy.corpus.model import Clip
from deploy.corpus.render import Studio, render
from deploy.corpus.scenes import plan


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.corpus",
        description=__doc__,
        epilog="example: python -m deploy.corpus --out build/starter --clips 9000 --workers 2",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/starter"), help="folder of the corpus"
    )
    parser.add_argument("--clips", type=int, default=9000, help="number of clips (default 9000)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--seed", type=int, default=7, help="the same seed gives the same corpus")
    parser.add_argument(
        "--material", type=Path, default=Path("build/material"), help="packages are kept here"
    )
    parser.add_argument(
        "--cache", type=Path, default=Path("build/corpus-cache"), help="rasters are kept here"
    )
    return parser.parse_args()


def studio_for(material: Material, arguments: argparse.Namespace) -> Studio:
    """Where rendering finds what the plan names."""
    return Studio(
        rasters=arguments.cache / "rasters",
        out=arguments.out,
        sounds={
            sound.source_id: (sound.location, sound.program) for sound in material.sounds.values()
        },
        bank_library=(arguments.material / "x" / "tinysoundfont").resolve(),
    )


def _render_all(clips: tuple[Clip, ...], studio: Studio, workers: int) -> int:
    with ProcessPoolExecutor(workers) as pool:
        sizes = pool.map(partial(render, studio=studio), clips, chunksize=16)
        return sum(tqdm(sizes, total=len(clips), desc="clips", unit="clip"))


def remove_strangers(out: Path, wanted: set[str]) -> None:
    """Removes clips that an earlier build with other settings left in `out/clips`."""
    for path in (out / "clips").glob("*/*"):
        if str(path.relative_to(out)) not in wanted:
            path.unlink()


def main() -> int:
    """Fetches the material, plans and renders the clips, writes the corpus's files and its card."""
    arguments = _arguments()
    try:
        material = gather(arguments.material, arguments.cache, arguments.workers)
    except MaterialError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    planned = plan(
        material.pictures,
        material.sounds,
        material.concepts,
        material.implied,
        arguments.clips,
        arguments.seed,
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    size = _render_all(planned.clips, studio_for(material, arguments), arguments.workers)
    remove_strangers(arguments.out, {clip.uri for clip in planned.clips})
    write_corpus(planned, material, arguments.out, arguments.seed)
    splits = Counter(clip.split for clip in planned.clips)
    print(f"{len(planned.clips)} clips ({dict(splits)}), {size / 1e6:.0f} MB in {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
