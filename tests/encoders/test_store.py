"""The feature store gives back what it was given, and never half of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3  # type: ignore[import-untyped]  # it ships no types
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from moto.server import ThreadedMotoServer

from encoders.blobs import Blobs, DirectoryBlobs, open_blobs
from encoders.errors import StoreError
from encoders.features import F32, Features, Modality, State, Words
from encoders.parts import MediaFeatures, TextFeatures, join
from encoders.profile import Profile
from encoders.store import FeatureStore


class DictBlobs:
    """Blobs in memory."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        return self.content.get(key)

    def put(self, key: str, content: bytes) -> None:
        self.content[key] = content


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, object]]:
    """fsspec's options for an S3 server on this machine, with a bucket ``features``."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    options = {"key": "test", "secret": "test", "endpoint_url": f"http://{host}:{port}"}
    client = boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=options["endpoint_url"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_bucket(Bucket="features")
    yield dict(options)
    server.stop()


@pytest.fixture(params=["directory", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "directory":
        return open_blobs(tmp_path / "features")
    options = request.getfixturevalue("s3")
    return open_blobs(f"s3://features/{tmp_path.name}", **options)


def array(*shape: int, seed: int = 0) -> F32:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def video(title: str = "a dog", *, audio: State = State.USED) -> Features:
    return join(
        Words(title),
        TextFeatures(State.USED, array(384), np.arange(5)),
        MediaFeatures(
            State.USED,
            audio,
            array(8, 1280),
            array(384),
            array(2, 512) if audio == "used" else None,
            array(8) if audio == "used" else None,
        ),
    )


def assert_equal(one: Features, other: Features) -> None:
    assert one.words == other.words
    assert one.states == other.states
    for name in ("sentence", "tokens", "frames", "bridge", "audio", "sound_bridge"):
        a, b = getattr(one, name), getattr(other, name)
        if a is None or b is None:
            assert a is b, name
        else:
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype


def found(store: FeatureStore, words: Words, uri: str, fingerprint: str | None) -> Features | None:
    known = store.find(words, uri, fingerprint)
    if known.text is None or known.media is None:
        return None
    return join(words, known.text, known.media)


def test_what_was_kept_is_found_again(blobs: Blobs, profile: Profile) -> None:
    store, features = FeatureStore(blobs, profile), video()
    assert found(store, features.words, "s3://b/x.mp4", "etag") is None
    store.keep(features, digest="ab" * 32, uri="s3://b/x.mp4", fingerprint="etag")
    again = found(store, features.words, "s3://b/x.mp4", "etag")
    assert again is not None
    assert_equal(again, features)


def test_a_changed_file_is_not_found(blobs: Blobs, profile: Profile) -> None:
    store, features = FeatureStore(blobs, profile), video()
    store.keep(features, digest="ab" * 32, uri="s3://b/x.mp4", fingerprint="etag")
    assert store.find(features.words, "s3://b/x.mp4", "other").media is None
    assert store.find(features.words, "s3://b/y.mp4", "etag").media is None
    assert store.find(features.words, "s3://b/x.mp4", None).media is None


def test_the_same_bytes_are_known_under_any_name(profile: Profile) -> None:
    store, features = FeatureStore(DictBlobs(), profile), video()
    store.keep(features, digest="ab" * 32, uri="file:///x.mp4", fingerprint="1 2")
    assert store.find_content(features.words, "ab" * 32).complete


def test_a_changed_title_leaves_the_media_known(profile: Profile) -> None:
    store = FeatureStore(DictBlobs(), profile)
    store.keep(video("a dog"), digest="ab" * 32, uri="u", fingerprint="f")
    known = store.find(Words("a cat"), "u", "f")
    assert known.text is None
    assert known.media is not None


def test_another_profile_knows_nothing_of_it(profile: Profile) -> None:
    blobs = DictBlobs()
    FeatureStore(blobs, profile).keep(video(), digest="ab" * 32, uri="u", fingerprint="f")
    other = FeatureStore(blobs, replace(profile, digest="0" * 64))
    known = other.find(video().words, "u", "f")
    assert known.text is None
    assert known.media is None


def test_a_failed_modality_is_not_kept(profile: Profile) -> None:
    store, features = FeatureStore(DictBlobs(), profile), video(audio=State.FAILED)
    store.keep(features, digest="ab" * 32, uri="u", fingerprint="f")
    known = store.find(features.words, "u", "f")
    assert known.text is not None
    assert known.media is None


def test_a_missing_modality_is(profile: Profile) -> None:
    store, features = FeatureStore(DictBlobs(), profile), video(audio=State.MISSING)
    store.keep(features, digest="ab" * 32, uri="u", fingerprint="f")
    again = found(store, features.words, "u", "f")
    assert again is not None
    assert again.states[Modality.AUDIO] is State.MISSING


@given(cut=st.floats(0, 1, exclude_max=True), garbage=st.binary(max_size=80))
@example(cut=0.5, garbage=b"\1" + bytes(7) + b"0")  # JSON, but no object
def test_a_damaged_record_counts_as_none(profile: Profile, cut: float, garbage: bytes) -> None:
    blobs = DictBlobs()
    store, features = FeatureStore(blobs, profile), video()
    store.keep(features, digest="ab" * 32)
    for key, content in blobs.content.items():
        blobs.content[key] = content[: int(cut * len(content))]
    known = store.find_content(features.words, "ab" * 32)
    assert not known.complete
    for key in blobs.content:
        blobs.content[key] = garbage
    assert not store.find_content(features.words, "ab" * 32).complete


@given(
    state=st.sampled_from(State),
    sentence=hnp.arrays(np.float32, st.integers(1, 20)),
    tokens=hnp.arrays(np.int64, st.integers(0, 20)),
)
def test_every_number_survives(profile: Profile, state: State, sentence: F32, tokens: F32) -> None:
    store = FeatureStore(DictBlobs(), profile)
    text = TextFeatures(state, sentence, tokens.astype(np.int64))
    features = join(Words("x"), text, MediaFeatures(State.MISSING, State.MISSING))
    store.keep(features, digest=None)
    again = store.text(Words("x"))
    assert again is not None
    assert again.state is state
    assert again.sentence is not None
    np.testing.assert_array_equal(again.sentence, sentence)


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be used"):
        DirectoryBlobs(tmp_path / "file").put("a/b", b"x")


def test_an_object_store_that_is_away_is_another_try(profile: Profile) -> None:
    away = open_blobs(
        "s3://features/x",
        key="k",
        secret="s",
        endpoint_url="http://127.0.0.1:9",
        config_kwargs={"retries": {"max_attempts": 1}, "connect_timeout": 1},
    )
    with pytest.raises(StoreError) as raised:
        FeatureStore(away, profile).find(Words("x"), "u", "f")
    assert raised.value.transient
