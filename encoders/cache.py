"""Features of a corpus: read and encoded once, kept on disk, resumable after a kill."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from encoders.access import Access
from encoders.encoder import Encoders, Item
from encoders.errors import MediaError
from encoders.features import Features, Words
from encoders.limits import Limits
from encoders.parts import all_words
from encoders.profile import Profile
from encoders.store import FeatureStore
from encoders.word_reader import Reader, open_reader

AHEAD = 8  # rows under way for each worker; bounds memory


@dataclass(frozen=True, slots=True)
class Row:
    """One video of a corpus."""

    video_id: str
    uri: str
    words: Words


def extract(
    rows: Sequence[Row],
    profile: Profile,
    cache_dir: Path,
    *,
    access: Access,
    limits: Limits | None = None,
    workers: int = 2,
    weights_dir: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Generator[tuple[Row, Features | MediaError], None, None]:
    """Features of ``rows``, in their order, or the reason why a video can't be read.

    A row whose file's size and time, or ETag, are as before is neither fetched nor decoded; one
    whose bytes are known is not encoded again. ``workers`` videos at once, each with a decode
    child and one thread. ``progress`` is called with the number of rows done since the last call.
    Raises ProfileError, and StoreError where ``cache_dir`` can't be written.
    """
    encoders = Encoders.open(profile, weights_dir=weights_dir)
    store = FeatureStore.open(cache_dir, profile)
    with open_reader(profile, limits or Limits(), workers) as reader:
        yield from extract_with(
            rows, encoders, store, reader, access=access, workers=workers, progress=progress
        )


def extract_with(
    rows: Sequence[Row],
    encoders: Encoders,
    store: FeatureStore,
    reader: Reader,
    *,
    access: Access,
    workers: int = 2,
    progress: Callable[[int], None] | None = None,
) -> Generator[tuple[Row, Features | MediaError], None, None]:
    """As ``extract``, with what it is made of passed in."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="extract")
    waiting: deque[tuple[Row, Future[Features | MediaError]]] = deque()

    def work(row: Row) -> Features | MediaError:
        try:
            return features_of(row.words, row.uri, encoders, store, reader, access)
        except MediaError as error:
            return error

    upcoming = iter(rows)
    try:
        while True:
            while len(waiting) < AHEAD * workers and (row := next(upcoming, None)) is not None:
                waiting.append((row, pool.submit(work, row)))
            if not waiting:
                return
            row, future = waiting.popleft()
            result = future.result()
            if progress is not None:
                progress(1)
            yield row, result
    finally:
        pool.shutdown(cancel_futures=True)


def features_of(
    words: Words,
    uri: str,
    encoders: Encoders,
    store: FeatureStore,
    reader: Reader,
    access: Access,
) -> Features:
    """Features of one video, by way of the store. Raises MediaError and StoreError."""
    fingerprint = reader.fingerprint(uri, access)
    known = store.find(words, uri, fingerprint)
    media, digest = None, None
    if known.media is None:
        media = reader.read(uri, access)
        digest = media.digest if media.complete else None
        known = store.find_content(all_words(words, media), media.digest)
    (features,) = encoders.encode([Item(words, media, known=known)])
    store.keep(features, digest=digest, uri=uri, fingerprint=fingerprint, known=known)
    return features
