"""The feature store: what has been encoded once is not decoded or encoded again.

    sources/…     (uri, ETag or size and time)  → content digest
    media/…       (profile, content digest)     → MediaFeatures
    words/…       (profile, words)              → TextFeatures

Two uploads of the same bytes share one record, and a changed title costs one sentence. Records
are safetensors files. Training's cache and the worker's store are this one class.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from encoders.blobs import Blobs, open_blobs
from encoders.checkpoint import Array, parse_safetensors
from encoders.features import Features, State, Words
from encoders.parts import Known, MediaFeatures, TextFeatures, all_words, split
from encoders.profile import Profile

KINDS = {"float32": "F32", "int64": "I64", "bool": "BOOL"}
MEDIA = ("frames", "bridge", "heard", "sound_bridge")
"""Fields of MediaFeatures that hold arrays, in their order."""
EXTRA = ("shown", "spoken")
"""Fields of MediaFeatures that hold words."""


class FeatureStore:
    """Features of one profile, kept in ``blobs``. Thread-safe. Every method may
    raise StoreError.
    """

    def __init__(self, blobs: Blobs, profile: Profile) -> None:
        self._blobs = blobs
        self._profile = profile.digest[:16]

    @classmethod
    def open(cls, location: str | Path, profile: Profile, **options: Any) -> FeatureStore:
        """A store in a directory, or in S3 (``s3://bucket/prefix``; ``options`` as s3fs's)."""
        return cls(open_blobs(location, **options), profile)

    def find(self, words: Words, uri: str, fingerprint: str | None) -> Known:
        """What is known of a video that has not been fetched.

        ``fingerprint``: what changes when the file does (``MediaReader.fingerprint``).
        """
        digest = fingerprint and self._blobs.get(_source_key(uri, fingerprint))
        if not digest:
            return Known(text=self.text(words))
        return self.find_content(words, digest.decode("ascii", "replace"))

    def find_content(self, words: Words, digest: str) -> Known:
        """What is known of a video whose bytes have this sha256."""
        media = self.media(digest)
        return Known(self.text(all_words(words, media)), media)

    def text(self, words: Words) -> TextFeatures | None:
        """The part of the features that follows from the words."""
        record = _unpack(self._blobs.get(self._words_key(words)), ("text",))
        if record is None:
            return None
        (state,), arrays, _ = record
        return TextFeatures(state, arrays.get("sentence"), arrays.get("tokens"))

    def media(self, digest: str) -> MediaFeatures | None:
        """The part of the features that follows from the file."""
        record = _unpack(self._blobs.get(self._media_key(digest)), ("visual", "audio"))
        if record is None:
            return None
        (visual, audio), arrays, extra = record
        fields: dict[str, Any] = {name: arrays.get(name) for name in MEDIA} | extra
        return MediaFeatures(visual, audio, **fields)

    def keep(
        self,
        features: Features,
        *,
        digest: str | None,
        uri: str | None = None,
        fingerprint: str | None = None,
        known: Known | None = None,
    ) -> None:
        """Keep what ``known`` doesn't have yet.

        A failed modality is not kept, so that it is tried again.
        ``digest``: the sha256 of the video's bytes; None where they could not all be read.
        """
        text, media = split(features)
        if known is None or known.text is None:
            arrays = {"sentence": text.sentence, "tokens": text.tokens}
            self._blobs.put(self._words_key(features.words), _pack({"text": text.state}, arrays))
        if digest is None or State.FAILED in (media.visual, media.audio):
            return
        if known is None or known.media is None:
            arrays = {name: getattr(media, name) for name in MEDIA}
            states = {"visual": media.visual, "audio": media.audio}
            extra = {name: said for name in EXTRA if (said := getattr(media, name))}
            self._blobs.put(self._media_key(digest), _pack(states, arrays, extra))
        if uri is not None and fingerprint is not None:
            self._blobs.put(_source_key(uri, fingerprint), digest.encode())

    def _words_key(self, words: Words) -> str:
        return f"words/{self._profile}/" + _name(words.text, (words.language or "").lower())

    def _media_key(self, digest: str) -> str:
        return f"media/{self._profile}/" + _name(digest)


def _source_key(uri: str, fingerprint: str) -> str:
    return "sources/" + _name(uri, fingerprint)


def _name(*parts: str) -> str:
    text = json.dumps(parts)
    name = hashlib.sha256(text.encode()).hexdigest()
    return f"{name[:2]}/{name}"


def _pack(
    states: Mapping[str, State],
    arrays: Mapping[str, Array | None],
    extra: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    header: dict[str, Any] = {
        "__metadata__": {role: str(state) for role, state in states.items()} | dict(extra)
    }
    parts, end = [], 0
    for name, array in arrays.items():
        if array is not None:
            part = np.ascontiguousarray(array).tobytes()
            header[name] = {
                "dtype": KINDS[array.dtype.name],
                "shape": list(array.shape),
                "data_offsets": [end, end + len(part)],
            }
            parts.append(part)
            end += len(part)
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    return b"".join([struct.pack("<Q", len(head)), head, *parts])


def _unpack(
    record: bytes | None, roles: tuple[str, ...]
) -> tuple[list[State], dict[str, Any], dict[str, str]] | None:
    """States, arrays and extra words of a record; None where there is none, or it is damaged."""
    if record is None:
        return None
    try:
        arrays = parse_safetensors(np.frombuffer(record, np.uint8))
        (length,) = struct.unpack("<Q", record[:8])
        metadata = json.loads(record[8 : 8 + length])["__metadata__"]
        extra = {name: str(metadata[name]) for name in EXTRA if name in metadata}
        return [State(metadata[role]) for role in roles], arrays, extra
    except (ValueError, KeyError, TypeError, struct.error):
        return None
