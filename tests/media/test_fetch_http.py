"""http:// and https:// URIs, against servers that lie, stall, redirect and change their address."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from encoders.addresses import Resolver
from encoders.errors import MediaError, NotFound, Refused, Unavailable, Unreadable
from encoders.fetch import Access, Copy, Fetcher, Limits
from encoders.sandbox import MediaReader
from tests.media.servers import reply, serving
from tests.synthetic import clip

HTTP = frozenset({"http"})
LOCAL = Access(HTTP, hosts=frozenset({"127.0.0.1"}))
LIMIT = 100_000


def fetch(
    uri: str, access: Access = LOCAL, *, seconds: float = 5, resolver: Resolver | None = None
) -> bytes:
    limits = Limits(fetch_bytes=LIMIT)
    fetcher = Fetcher(limits, resolver=resolver) if resolver else Fetcher(limits)
    with fetcher.open(uri, access, time.monotonic() + seconds) as fetched:
        return fetched.file.read()


def test_a_file_is_fetched_whatever_type_it_claims() -> None:
    with serving(reply(b"content", headers=("Content-Type: text/html",))) as server:
        assert fetch(server.uri("/a%20b.mp4?x=1&y=%2F")) == b"content"
        assert server.requests[0].startswith("GET /a%20b.mp4?x=1&y=%2F HTTP/1.1\r\n")
        assert f"Host: 127.0.0.1:{server.port}\r\n" in server.requests[0]


def test_a_chunked_answer_and_one_without_any_length() -> None:
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    with serving(chunked) as server:
        assert fetch(server.uri()) == b"abcde"
    with serving(b"HTTP/1.0 200 OK\r\n\r\nabc") as server:
        assert fetch(server.uri()) == b"abc"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("404 Not Found", NotFound), ("410 Gone", NotFound), ("401 Unauthorized", Refused),
        ("403 Forbidden", Refused), ("400 Bad Request", Refused), ("451 Legal", Refused),
        ("204 No Content", Refused), ("206 Partial Content", Refused), ("304 Same", Refused),
        ("408 Request Timeout", Unavailable), ("429 Too Many Requests", Unavailable),
        ("500 Oops", Unavailable), ("502 Bad Gateway", Unavailable), ("503 Busy", Unavailable),
    ],
)  # fmt: skip
def test_each_status_is_sorted(status: str, error: type[MediaError]) -> None:
    body = b"" if status[:3] in ("204", "304") else b"x"
    with serving(reply(body, status=status)) as server, pytest.raises(error, match=status[:3]):
        fetch(server.uri())


def test_an_empty_file_is_unreadable() -> None:
    with serving(reply(b"")) as server, pytest.raises(Unreadable):
        fetch(server.uri())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "0"])
def test_this_machine_is_refused_unless_allowed(host: str) -> None:
    with serving(reply(b"secret")) as server:
        with pytest.raises(Refused):
            fetch(server.uri(host=host), Access(HTTP))
        assert server.requests == []


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.2:{port}/", "http://169.254.169.254/latest/meta-data/", "file:///etc/passwd",
     "http://[::ffff:127.0.0.1]:{port}/", "//0x7f000001:{port}/", "ftp://127.0.0.1/a",
     "https://127.0.0.1:{port}/", "http://localhost:{port}/", "s3://bucket/key", ""],
)  # fmt: skip
def test_a_redirect_is_checked_like_any_other_address(target: str) -> None:
    def answer(connection: socket.socket, path: str, head: str) -> None:
        location = target.format(port=connection.getsockname()[1])
        connection.sendall(reply(b"", status="302 Found", headers=(f"Location: {location}",)))

    with serving(answer) as server:
        with pytest.raises(Refused):
            fetch(server.uri())
        assert len(server.requests) == 1


def test_good_redirects_are_followed_a_few_times() -> None:
    def answer(connection: socket.socket, path: str, head: str) -> None:
        left = int(path.rpartition("/")[2])
        if not left:
            connection.sendall(reply(b"content"))
        else:
            to = (f"Location: ../x/{left - 1}",)
            connection.sendall(reply(b"", status="307 Moved", headers=to))

    with serving(answer) as server:
        assert fetch(server.uri("/x/5")) == b"content"
        with pytest.raises(Refused, match="redirects more than 5 times"):
            fetch(server.uri("/x/6"))


def test_a_name_that_changes_between_check_and_use_gains_nothing() -> None:
    """DNS rebinding: public when first asked, this machine ever after."""
    asked: list[str] = []

    def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["192.0.2.1"] if len(asked) == 1 else ["127.0.0.1"]

    with serving(reply(b"secret")) as server:
        # 192.0.2.1 stands for the checked address: allowed by name, so that it is connected to.
        access = Access(HTTP, hosts=frozenset({"evil.example"}))
        with pytest.raises(Unavailable):
            fetch(server.uri(host="evil.example"), access, seconds=1, resolver=rebinding)
        assert server.requests == []
        with pytest.raises(Refused):
            fetch(server.uri(host="evil.example"), Access(HTTP), resolver=rebinding)
        assert server.requests == []
    assert asked == ["evil.example", "evil.example"]


def test_a_name_is_resolved_once_and_the_connection_goes_to_that_address() -> None:
    asked: list[str] = []

    def resolver(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    with serving(reply(b"content")) as server:
        access = Access(HTTP, hosts=frozenset({"videos.internal"}))
        assert fetch(server.uri(host="videos.internal"), access, resolver=resolver) == b"content"
        assert f"Host: videos.internal:{server.port}\r\n" in server.requests[0]
    assert asked == ["videos.internal"]


def test_the_next_address_is_tried_where_the_first_does_not_answer() -> None:
    with serving(reply(b"content")) as server:
        access = Access(HTTP, hosts=frozenset({"videos.internal"}))
        uri = server.uri(host="videos.internal")
        addresses = ["127.0.0.9", "127.0.0.1"]  # nobody listens at the first
        assert fetch(uri, access, resolver=lambda host, port: addresses) == b"content"


def test_a_claim_over_the_limit_is_refused_unread() -> None:
    with serving(reply(b"", length=10**12)) as server, pytest.raises(Refused, match="larger"):
        fetch(server.uri())


def test_a_body_longer_than_its_claim_is_cut_and_a_shorter_one_is_unavailable() -> None:
    with serving(reply(b"abcdef", length=3)) as server:
        assert fetch(server.uri()) == b"abc"
    with serving(reply(b"abc", length=10)) as server, pytest.raises(Unavailable):
        fetch(server.uri())


@pytest.mark.parametrize(
    "claim", ["Content-Length: -5", "Content-Length: x", "Content-Length: 1, 2"]
)
def test_a_nonsensical_length(claim: str) -> None:
    answer = f"HTTP/1.1 200 OK\r\n{claim}\r\n\r\nabc".encode()
    with serving(answer) as server, pytest.raises(Unavailable):
        fetch(server.uri())


def test_an_endless_body_ends_at_the_limit_of_bytes() -> None:
    def answer(connection: socket.socket, path: str, head: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(bytes(65536))

    with serving(answer) as server, pytest.raises(Refused, match="larger"):
        fetch(server.uri())


@pytest.mark.parametrize("stalls_in", ["head", "body", "at once"])
def test_one_byte_at_a_time_ends_at_the_limit_of_time(stalls_in: str) -> None:
    def answer(connection: socket.socket, path: str, head: str) -> None:
        if stalls_in != "at once":
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
        if stalls_in == "body":
            connection.sendall(b"\r\n")
        for _ in range(30):
            time.sleep(0.05)
            if stalls_in != "at once":
                connection.sendall(b"x")

    begin = time.monotonic()
    with serving(answer) as server:
        with pytest.raises(Unavailable, match="too slow"):
            fetch(server.uri(), seconds=0.5)
        assert time.monotonic() - begin < 2


def test_a_server_that_never_accepts_the_connection_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        uri = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(Unavailable):
            fetch(uri, seconds=0.3)


@pytest.mark.parametrize(
    "answer", [b"", b"\x00" * 100, b"HTTP/1.1 200 OK\r\n", b"SSH-2.0-x\r\n\r\n"]
)
def test_an_answer_that_is_not_http_is_unavailable(answer: bytes) -> None:
    with serving(answer) as server, pytest.raises(Unavailable):
        fetch(server.uri())


def test_a_head_without_end_is_bounded() -> None:
    def answer(connection: socket.socket, path: str, head: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X-Header: " + b"x" * 1000 + b"\r\n")

    with serving(answer) as server, pytest.raises(Unavailable):
        fetch(server.uri())


def test_nobody_listens() -> None:
    with serving(b"") as server:
        uri = server.uri()
    with pytest.raises(Unavailable):
        fetch(uri)


def test_compressed_answers_are_not_unpacked() -> None:
    with serving(reply(b"\x1f\x8b", headers=("Content-Encoding: gzip",))) as server:
        assert fetch(server.uri()) == b"\x1f\x8b"
        assert "Accept-Encoding: identity\r\n" in server.requests[0]


def test_secrets_go_to_their_host_only_and_into_no_error() -> None:
    """User and password, and the signature in a query, on the way and across a redirect."""
    with serving(reply(b"", status="404 Not Found")) as second:

        def answer(connection: socket.socket, path: str, head: str) -> None:
            to = (f"Location: {second.uri('/b?signature=SECRET3')}",)
            connection.sendall(reply(b"", status="302 Found", headers=to))

        with serving(answer) as first:
            uri = first.uri("/a.mp4?signature=SECRET1", host="user:SECRET2@127.0.0.1")
            with pytest.raises(NotFound) as caught:
                fetch(uri)
            assert "Authorization: Basic dXNlcjpTRUNSRVQy\r\n" in first.requests[0]
        assert "authorization" not in second.requests[0].lower()
    chain: BaseException | None = caught.value
    while chain is not None:
        assert "SECRET" not in str(chain)
        assert "SECRET" not in repr(chain)
        chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
    assert "127.0.0.1" in str(caught.value)
    assert "/a.mp4" in str(caught.value)


@pytest.mark.parametrize(
    "uri", ["http://", "http:///a", "http://a:99999/", "http://a:b/", "http://exa mple.org/",
            "http://[::1/", "http://\u2100.example/", "https://example.org/", "http://a\r\nX: y/"],
)  # fmt: skip
def test_what_is_no_uri_of_an_allowed_scheme_is_refused(uri: str) -> None:
    with pytest.raises(Refused):
        fetch(uri, resolver=lambda host, port: ["10.0.0.1"])


def test_a_fingerprint_is_the_etag_or_the_time_of_change() -> None:
    fetcher = Fetcher(Limits())
    with serving(reply(b"", headers=('ETag: "abc"',))) as server:
        assert fetcher.fingerprint(server.uri(), LOCAL) == '"abc"'
        assert server.requests[0].startswith("HEAD ")
    changed = ('ETag: W/"weak"', "Last-Modified: Tue, 01 Jan 2030 00:00:00 GMT")
    with serving(reply(b"", headers=changed, length=7)) as server:
        assert fetcher.fingerprint(server.uri(), LOCAL) == "Tue, 01 Jan 2030 00:00:00 GMT 7"
    with serving(reply(b"")) as server:
        assert fetcher.fingerprint(server.uri(), LOCAL) is None
    for status in ("403 Forbidden", "405 Method Not Allowed"):  # a signed URI may allow GET alone
        with serving(reply(b"", status=status)) as server:
            assert fetcher.fingerprint(server.uri(), LOCAL) is None
    with serving(reply(b"", status="404 Gone")) as server, pytest.raises(NotFound):
        fetcher.fingerprint(server.uri(), LOCAL)


def test_a_certificate_of_somebody_else_is_not_accepted(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj",
         "/CN=127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def answer(connection: socket.socket, path: str, head: str) -> None:
        raise AssertionError("the handshake went through")

    with serving(answer) as server:
        uri = server.uri().replace("http:", "https:")
        access = Access(frozenset({"https"}), hosts=frozenset({"127.0.0.1"}))
        with pytest.raises(Unavailable):
            fetch(uri, access, seconds=1)


def test_a_video_is_read_over_http(tmp_path: Path, reader: MediaReader) -> None:
    content = clip(tmp_path / "a.mp4").read_bytes()
    with serving(reply(content)) as server:
        media = reader.read(server.uri(), LOCAL)
    assert media.frames is not None
    assert media.sound is not None


def test_a_page_that_says_it_is_a_video_is_unreadable(reader: MediaReader) -> None:
    page = reply(b"<html>" + b"x" * 1000, headers=("Content-Type: video/mp4",))
    with serving(page) as server, pytest.raises(Unreadable):
        reader.read(server.uri(), LOCAL)


def test_a_missing_scratch_folder_is_worth_another_try(tmp_path: Path) -> None:
    fetcher = Fetcher(Limits(), scratch=tmp_path / "missing")
    with (
        serving(reply(b"content")) as server,
        pytest.raises(Unavailable, match="scratch"),
        fetcher.open(server.uri(), LOCAL, time.monotonic() + 5),
    ):
        pass


def test_a_full_disk_while_writing_is_worth_another_try(tmp_path: Path) -> None:
    copy = Copy(LIMIT, tmp_path)
    copy.file.close()
    with (
        Path("/dev/full").open("wb", buffering=0) as copy.file,
        pytest.raises(Unavailable, match="make room"),
    ):
        copy.write(b"content")
    assert list(tmp_path.iterdir()) == []
