"""Rasterising every picture once, and finding near copies among the rasters."""

import io
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from deploy.corpus.model import Picture

SIDE = 208  # pixels: the longer side of a rasterised picture
_THUMB = 16
_NEAR = (
    14.0  # root mean square difference of thumbnails (0–255) below which pictures count as copies
)


def raster_path(cache: Path, source_id: str) -> Path:
    """Where a picture's raster lies under the cache folder."""
    digest = sha256(source_id.encode()).hexdigest()
    return cache / digest[:2] / f"{digest[:20]}.png"


def _open(location: str) -> Image.Image:
    if location.endswith(".svg"):
        import resvg_py

        text = Path(location).read_text(encoding="utf-8", errors="replace")
        data = bytes(resvg_py.svg_to_bytes(svg_string=text, width=SIDE))
        return Image.open(io.BytesIO(data)).convert("RGBA")
    with Image.open(location) as image:
        return image.convert("RGBA")


def _fit(image: Image.Image) -> Image.Image | None:
    box = image.getbbox()
    if box is None:
        return None
    image = image.crop(box)
    if min(image.size) < 12 or max(image.size) > 12 * min(image.size):
        return None
    scale = SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def rasterise(job: tuple[str, str, str]) -> tuple[str, bytes | None]:
    """Makes one raster: (source id, location, target) to (source id, thumbnail or None)."""
    source_id, location, target = job
    path = Path(target)
    if path.with_suffix(".bad").exists():
        return source_id, None
    try:
        if path.exists():
            with Image.open(path) as cached:
                fitted: Image.Image | None = cached.convert("RGBA")
        else:
            fitted = _fit(_open(location))
            if fitted is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                partial = path.with_suffix(f".{os.getpid()}")
                fitted.save(partial, "PNG", compress_level=1)
                partial.rename(path)
    except Exception:  # whatever a decoder says about one of thousands of old files: leave it out
        fitted = None
    if fitted is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".bad").touch()
        return source_id, None
    square = Image.new("RGBA", (SIDE, SIDE), (160, 160, 160, 255))
    square.alpha_composite(fitted, ((SIDE - fitted.width) // 2, (SIDE - fitted.height) // 2))
    thumb = square.convert("RGB").resize((_THUMB, _THUMB), Image.Resampling.BOX)
    data = np.asarray(thumb, dtype=np.uint8)
    return source_id, None if float(data.std()) < 3.0 else data.tobytes()


def rasterise_all(
    pictures: Iterable[Picture], cache: Path, workers: int
) -> dict[str, npt.NDArray[np.float32]]:
    """Rasters for all pictures, in parallel and kept; thumbnails of those that could be drawn."""
    jobs = [(p.source_id, p.location, str(raster_path(cache, p.source_id))) for p in pictures]
    with ProcessPoolExecutor(workers) as pool:
        results = pool.map(rasterise, jobs, chunksize=32)
        rows = list(tqdm(results, total=len(jobs), desc="pictures", unit="picture"))
    return {
        source_id: np.frombuffer(data, np.uint8).astype(np.float32)
        for source_id, data in rows
        if data is not None
    }


def join_copies(
    pictures: Mapping[str, Picture], thumbs: Mapping[str, npt.NDArray[np.float32]]
) -> tuple[dict[str, Picture], int]:
    """The pictures with near copies put into one series, and how many copies were found."""
    names = sorted(pictures)
    matrix = np.stack([thumbs[name] for name in names])
    parent: dict[str, str] = {}

    def root(series: str) -> str:
        while parent.get(series, series) != series:
            series = parent[series]
        return series

    norms = (matrix**2).sum(axis=1)
    limit = _NEAR**2 * matrix.shape[1]
    copies = 0
    for start in range(0, len(names), 1024):
        block = matrix[start : start + 1024]
        distance = norms[start : start + 1024, None] + norms[None, :] - 2.0 * block @ matrix.T
        for i, j in np.argwhere(distance < limit):
            if start + i < j:
                a, b = pictures[names[start + i]], pictures[names[j]]
                if a.title != b.title and not a.tags & b.tags:
                    continue
                first, second = root(a.series), root(b.series)
                if first != second:
                    parent[max(first, second)] = min(first, second)
                    copies += 1
    return {
        name: replace(picture, series=root(picture.series)) for name, picture in pictures.items()
    }, copies
