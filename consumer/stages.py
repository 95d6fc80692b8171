"""The stages that `reeltag run` works with, built from a bundle; and the feature store around them.

With a feature store, what has been encoded once is neither fetched, decoded nor encoded again. A
store that can't be read or written costs only time: the worker goes on without it, and says so.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from consumer.pipeline import Fetched, Stages
from consumer.settings import Settings
from consumer.troubles import Trouble, Troubles
from encoders.access import Access
from encoders.encoder import Encoders, Item
from encoders.errors import SettingError, StoreError
from encoders.extra_words import as_served
from encoders.features import Features, Media, Modality, Words
from encoders.parts import NOTHING, Known, all_words
from encoders.profile import load_profile
from encoders.store import FeatureStore
from encoders.word_reader import Reader, open_reader
from rank.bundle import open_bundle
from rank.tagger import Tagger

log = logging.getLogger(__name__)


class StoredReader:
    """Reads a video, unless the store has its features. Thread-safe."""

    def __init__(
        self, reader: Reader, access: Access, store: FeatureStore | None, troubles: Troubles
    ) -> None:
        self._reader = reader
        self._access = access
        self._store = store
        self._troubles = troubles

    def read(self, uri: str, words: Words) -> Fetched:
        """What there is to encode. Raises MediaError."""
        if self._store is None:
            return Fetched(Item(words, self._media(uri)), uri)
        fingerprint = self._reader.fingerprint(uri, self._access)
        known = self._find(self._store, words, uri, fingerprint)
        if known.media is None:
            media = self._media(uri)
            said = all_words(words, media)
            if fingerprint is None or said != words:  # the bytes themselves say what is known
                known = self._find(self._store, said, uri, None, media.digest)
            return Fetched(Item(words, media, known=known), uri, fingerprint)
        return Fetched(Item(words, None, known=known), uri, fingerprint)

    def _media(self, uri: str) -> Media:
        media = self._reader.read(uri, self._access)
        if not media.complete:
            log.warning("going on without some words: %s", media.notes[Modality.TEXT])
        return media

    def _find(
        self, store: FeatureStore, words: Words, uri: str, fingerprint: str | None, digest: str = ""
    ) -> Known:
        try:
            if digest:
                return store.find_content(words, digest)
            return store.find(words, uri, fingerprint)
        except StoreError as error:
            self._troubles.met(Trouble.FEATURES, str(error))
            return NOTHING


class StoringEncoder:
    """Encodes a micro-batch and keeps what was not known. Thread-safe."""

    def __init__(self, encoders: Encoders, store: FeatureStore | None, troubles: Troubles) -> None:
        self._encoders = encoders
        self._store = store
        self._troubles = troubles

    def encode(self, videos: Sequence[Fetched]) -> list[Features]:
        """The features of a micro-batch."""
        features = self._encoders.encode([video.item for video in videos])
        if self._store is not None:
            for video, known in zip(videos, features, strict=True):
                self._keep(self._store, video, known)
        return features

    def _keep(self, store: FeatureStore, video: Fetched, features: Features) -> None:
        media = video.item.media
        try:
            store.keep(
                features,
                digest=media.digest if media is not None and media.complete else None,
                uri=video.uri,
                fingerprint=video.fingerprint,
                known=video.item.known,
            )
        except StoreError as error:
            self._troubles.met(Trouble.FEATURES, str(error))
        else:
            self._troubles.over(Trouble.FEATURES)


@contextmanager
def open_stages(settings: Settings) -> Iterator[Stages]:
    """Everything that the bundle needs, decode children first: they must not inherit threads.

    Raises SettingError, BundleError or ProfileError where something is missing.
    """
    if settings.bundle is None:
        raise SettingError("no bundle is named; set REELTAG_BUNDLE or give --bundle")
    manifest = open_bundle(settings.bundle).manifest
    profile = as_served(
        load_profile(manifest.profile, weights_dir=settings.weights),
        manifest.profile_digest,
        words=settings.words,
    )
    with (
        open_reader(profile, settings.limits, settings.decoders) as reader,
        ThreadPoolExecutor(settings.encoder_threads, "channel") as pool,
    ):
        encoders = Encoders.open(profile, threads=1, weights_dir=settings.weights)
        tagger = Tagger.load(settings.bundle, encoders, pool=pool)
        store = None
        if settings.features is not None:
            store = FeatureStore.open(settings.features, profile)
        troubles = Troubles()
        yield Stages(
            StoredReader(reader, settings.access, store, troubles),
            StoringEncoder(encoders, store, troubles),
            tagger,
            troubles,
        )
