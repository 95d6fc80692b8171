"""s3:// URIs, against a local S3 server."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import boto3  # type: ignore[import-untyped]  # it ships no types
import pytest
from moto.server import ThreadedMotoServer

from encoders.errors import NotFound, Refused, Unavailable, Unreadable
from encoders.fetch import Access, Fetcher, Limits, S3Options
from encoders.sandbox import MediaReader
from tests.media.servers import serving
from tests.synthetic import clip

LIMIT = 3_000_000
S3 = frozenset({"s3"})


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def options(endpoint: str) -> S3Options:
    return S3Options(endpoint_url=endpoint, region="us-east-1", key="key", secret="SECRET")


@pytest.fixture
def bucket(options: S3Options) -> Iterator[object]:
    store = boto3.resource(
        "s3",
        endpoint_url=options.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="SECRET",
    )
    bucket = store.Bucket("videos")
    bucket.create()
    yield bucket
    bucket.objects.delete()
    bucket.delete()


def fetch(uri: str, options: S3Options | None, seconds: float = 20) -> bytes:
    fetcher = Fetcher(Limits(fetch_bytes=LIMIT))
    with fetcher.open(uri, Access(S3, s3=options), time.monotonic() + seconds) as fetched:
        content = fetched.file.read()
    assert fetched.digest == hashlib.sha256(content).hexdigest()
    return content


def put(bucket: object, key: str, content: bytes) -> None:
    bucket.put_object(Key=key, Body=content)  # type: ignore[attr-defined]  # boto3 has no types


@pytest.mark.parametrize("key", ["a.mp4", "deep/er/a b.mp4", "ü☃?#%.mp4"])
def test_an_object_is_fetched(key: str, bucket: object, options: S3Options) -> None:
    content = bytes(range(256)) * 10_000
    put(bucket, key, content)
    encoded = key.replace("%", "%25").replace("?", "%3F").replace("#", "%23").replace(" ", "%20")
    assert fetch(f"s3://videos/{encoded}", options) == content


def test_what_is_not_there_is_not_found(bucket: object, options: S3Options) -> None:
    for uri in ("s3://videos/none.mp4", "s3://no-such-bucket/a.mp4"):
        with pytest.raises(NotFound):
            fetch(uri, options)


def test_a_large_and_an_empty_object(bucket: object, options: S3Options) -> None:
    put(bucket, "large", bytes(LIMIT + 1))
    put(bucket, "empty", b"")
    with pytest.raises(Refused, match="larger"):
        fetch("s3://videos/large", options)
    with pytest.raises(Unreadable, match="empty"):
        fetch("s3://videos/empty", options)


def test_only_allowed_buckets_are_read(bucket: object, options: S3Options) -> None:
    put(bucket, "a", b"content")
    allowed = S3Options(
        options.endpoint_url, options.region, "key", "SECRET", buckets=frozenset({"others"})
    )
    with pytest.raises(Refused, match="bucket"):
        fetch("s3://videos/a", allowed)


@pytest.mark.parametrize(
    "uri", ["s3://", "s3://videos", "s3://videos/", "s3:///a", "s3://a/b?versionId=1", "s3://x/y#z",
            "s3://arn:aws:s3:eu:1:accesspoint/x/y", "s3://user:pass@videos/a", "s3://videos:80/a"],
)  # fmt: skip
def test_what_is_no_bucket_and_key_is_refused(uri: str, options: S3Options) -> None:
    with pytest.raises(Refused):
        fetch(uri, options)


def test_a_store_that_is_away_is_worth_another_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    options = S3Options(f"http://127.0.0.1:{port}", "us-east-1", "key", "SECRET")
    begin = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        fetch("s3://videos/a", options, seconds=3)
    assert time.monotonic() - begin < 6
    assert "SECRET" not in str(caught.value)


def test_a_store_that_stalls_ends_at_the_limit_of_time() -> None:
    def stalls(connection: socket.socket, path: str, head: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(40):
            time.sleep(0.05)
            connection.sendall(b"x")

    with serving(stalls) as server:
        options = S3Options(f"http://127.0.0.1:{server.port}", "us-east-1", "key", "SECRET")
        begin = time.monotonic()
        with pytest.raises(Unavailable, match="too slow"):
            fetch("s3://videos/a", options, seconds=0.5)
        assert time.monotonic() - begin < 2


def test_a_store_that_refuses_the_credentials() -> None:
    from tests.media.servers import reply

    body = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
    with serving(reply(body, status="403 Forbidden")) as server:
        options = S3Options(f"http://127.0.0.1:{server.port}", "us-east-1", "key", "SECRET")
        with pytest.raises(Refused):
            fetch("s3://videos/a", options)


def test_a_fingerprint_is_the_etag(bucket: object, options: S3Options) -> None:
    fetcher, access = Fetcher(Limits()), Access(S3, s3=options)
    put(bucket, "a", b"one")
    first = fetcher.fingerprint("s3://videos/a", access)
    assert first == fetcher.fingerprint("s3://videos/a", access)
    put(bucket, "a", b"two")
    assert fetcher.fingerprint("s3://videos/a", access) not in (None, first)
    with pytest.raises(NotFound):
        fetcher.fingerprint("s3://videos/b", access)


def test_a_video_is_read_from_s3(
    bucket: object, options: S3Options, tmp_path: Path, reader: MediaReader
) -> None:
    put(bucket, "a.mp4", clip(tmp_path / "a.mp4").read_bytes())
    media = reader.read("s3://videos/a.mp4", Access(S3, s3=options))
    assert media.frames is not None


def test_secrets_are_not_shown(options: S3Options) -> None:
    assert "SECRET" not in repr(Access(S3, s3=options))
    assert urlsplit(str(options.endpoint_url)).hostname == "127.0.0.1"
