"""Servers that are slow, lie or break off, seen through the whole worker, beside good ones."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from consumer.kafka import headers_of
from tests.consumer.test_worker import eventually
from tests.delivery import Scene, audit
from tests.media.servers import reply, serving
from tests.worker_process import REAL

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
SAMPLES = Path(__file__).parents[2] / "deploy" / "samples"
VIDEOS = [path.read_bytes() for path in sorted(SAMPLES.glob("*.mp4"))[:6]]
SECONDS = 4
"""What a video may take; a server that needs longer is too slow."""
HEAD = b"HTTP/1.1 200 OK\r\n"


def no_length(connection: socket.socket, asked: int) -> None:
    connection.sendall(HEAD + b"\r\n" + VIDEOS[0])


def wrong_type(connection: socket.socket, asked: int) -> None:
    connection.sendall(reply(VIDEOS[1], headers=("Content-Type: text/html",)))


def a_page(connection: socket.socket, asked: int) -> None:
    page = b"<html><body>Please log in</body></html>"
    connection.sendall(reply(page, headers=("Content-Type: video/mp4",)))


def endless(connection: socket.socket, asked: int) -> None:
    connection.sendall(HEAD + b"Content-Type: video/mp4\r\n\r\n")
    while True:
        connection.sendall(bytes(1 << 16))


def byte_by_byte(connection: socket.socket, asked: int) -> None:
    connection.sendall(HEAD + b"\r\n")
    for byte in VIDEOS[2]:
        connection.sendall(bytes([byte]))
        time.sleep(1)


def silent(connection: socket.socket, asked: int) -> None:
    time.sleep(60)


def loop(connection: socket.socket, asked: int) -> None:
    connection.sendall(reply(b"", status="302 Found", headers=("Location: /loop/1",)))


def reset(connection: socket.socket, asked: int) -> None:
    connection.sendall(reply(VIDEOS[3][:9000], length=len(VIDEOS[3])))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def short(connection: socket.socket, asked: int) -> None:
    connection.sendall(reply(VIDEOS[4][:9000], length=len(VIDEOS[4])))


def busy(connection: socket.socket, asked: int) -> None:
    good = asked > 1
    connection.sendall(reply(VIDEOS[5]) if good else reply(b"", status="503 Busy"))


def reset_once(connection: socket.socket, asked: int) -> None:
    (reset if asked == 1 else no_length)(connection, asked)


def good(connection: socket.socket, asked: int) -> None:
    connection.sendall(reply(VIDEOS[0]))


BEHAVIOURS: dict[str, tuple[Callable[[socket.socket, int], None], str]] = {
    "no_length": (no_length, "tagged"),
    "wrong_type": (wrong_type, "tagged"),
    "busy": (busy, "tagged"),
    "reset_once": (reset_once, "tagged"),
    "a_page": (a_page, "unreadable"),
    "endless": (endless, "refused"),
    "loop": (loop, "refused"),
    "byte_by_byte": (byte_by_byte, "unavailable"),
    "silent": (silent, "unavailable"),
    "reset": (reset, "unavailable"),
    "short": (short, "unavailable"),
}
"""What the server does, and how its video ends: tagged, or as a dead letter for a reason."""


@pytest.mark.parametrize("scene", ["at_least_once"], indirect=True)
def test_each_ends_within_its_limits_and_none_holds_up_others(scene: Scene) -> None:
    """With one decode child and eight servers that never finish, thirty good videos go past."""
    asked: Counter[str] = Counter()

    def answer(connection: socket.socket, path: str, head: str) -> None:
        asked[path] += 1
        behaviour = BEHAVIOURS.get(path.split("/")[1])
        (behaviour[0] if behaviour else good)(connection, asked[path])

    with serving(answer) as server:
        worker = scene.worker(
            *REAL,
            REELTAG_ALLOWED_SCHEMES="http",
            REELTAG_ALLOWED_HOSTS="127.0.0.1",
            REELTAG_DECODERS="1",
            REELTAG_FETCHERS="16",
            REELTAG_MEDIA_SECONDS=str(SECONDS),
            REELTAG_MEDIA_FETCH_BYTES=str(32 << 20),
            REELTAG_RETRY_ATTEMPTS="2",
            REELTAG_RETRY_SECONDS="0.5",
            REELTAG_DEAD_LETTER_LIMIT="1",
        )
        scene.upload("first", server.uri("/first"))
        eventually(lambda: worker.metric("reeltag_outcomes_total", outcome="tagged") == 1, 90)
        began = time.monotonic()
        for number in range(30):
            scene.upload(f"alone{number}", server.uri(f"/alone{number}"))
        scene.wait(60)
        alone = time.monotonic() - began

        for number in range(4):
            scene.upload(f"silent{number}", server.uri(f"/silent/{number}"))
            scene.upload(f"byte_by_byte{number}", server.uri(f"/byte_by_byte/{number}"))
        for name in BEHAVIOURS:
            scene.upload(name, server.uri(f"/{name}/x"))
        began = time.monotonic()
        for number in range(30):
            scene.upload(f"beside{number}", server.uri(f"/beside{number}"))
        scene.producer.flush()
        tagged = 31 + 30 + 4
        eventually(lambda: worker.metric("reeltag_outcomes_total", outcome="tagged") == tagged, 60)
        beside = time.monotonic() - began
        scene.wait(60)
        in_all = time.monotonic() - began
        assert worker.get("/livez") == (200, "ok\n")
        assert worker.terminate() == 0
    print(f"30 good videos: {alone:.1f} s alone, {beside:.1f} s beside slow ones ({in_all:.1f} s)")
    assert in_all < 2 * SECONDS + 20  # two tries of each, side by side
    found = audit(scene)
    assert found.clean
    reasons = {
        (letter.key() or b"").decode(): headers_of(letter)["reason"]
        for letter in scene.read(scene.dlq)
    }
    tags = [json.loads(message.value() or b"{}") for message in scene.read(scene.tags)]
    ends = {event["video_id"]: event["outcome"] for event in tags} | reasons
    assert {name: ends[name] for name in BEHAVIOURS} == {
        name: expected for name, (_, expected) in BEHAVIOURS.items()
    }
    assert Counter(reasons.values()) == {"unavailable": 4 + 8, "refused": 2, "unreadable": 1}
